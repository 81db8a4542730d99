//! Text is text: poem-openapi reads numbers and booleans too where a field is a string, so that `true` would become the
//! credential `true`.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde_json::Value;

use super::error::ApiError;

/// Refuses numbers and booleans where `T` says text.
///
/// # Errors
/// [`ApiError`] with the first field that is wrong.
pub(super) fn check<T: Type>(value: &Value) -> Result<(), ApiError> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let wrong = Texts { registry: &registry }.wrong(&T::schema_ref(), value, "");
    wrong.map_or(Ok(()), |field| {
        let field = field.trim_start_matches('.').to_owned();
        Err(ApiError::validation(format!("{field} is text, so it stands in quotes")).about(field))
    })
}

/// Looks for text that is none.
struct Texts<'a> {
    registry: &'a Registry,
}

impl Texts<'_> {
    /// The place of the first that is wrong. A value is as deep as its JSON, which has a bound.
    fn wrong(&self, schema: &MetaSchemaRef, value: &Value, place: &str) -> Option<String> {
        let schema = self.resolve(schema)?;
        if schema.ty == "string" && matches!(value, Value::Number(_) | Value::Bool(_)) {
            return Some(place.to_owned());
        }
        let fields = schema.properties.iter().filter_map(|(name, schema)| {
            let value = value.get(name)?;
            self.wrong(schema, value, &format!("{place}.{name}"))
        });
        let values = value.as_array().into_iter().flatten().enumerate();
        let items = values.filter_map(|(index, value)| {
            let schema = schema.items.as_ref()?;
            self.wrong(schema, value, &format!("{place}[{index}]"))
        });
        let parts = schema.all_of.iter().filter_map(|part| self.wrong(part, value, place));
        fields.chain(items).chain(parts).next().or_else(|| {
            // What lacks a field that an alternative needs is not that one.
            let meant = schema.one_of.iter().filter(|one| self.has_what_it_needs(one, value));
            let mut places = meant.map(|one| self.wrong(one, value, place));
            let first = places.next().flatten()?;
            places.all(|other| other.is_some()).then_some(first)
        })
    }

    fn has_what_it_needs(&self, schema: &MetaSchemaRef, value: &Value) -> bool {
        let schema = self.resolve(schema);
        schema.is_some_and(|schema| schema.required.iter().all(|field| value.get(field).is_some()))
    }

    fn resolve<'a>(&'a self, schema: &'a MetaSchemaRef) -> Option<&'a MetaSchema> {
        match schema {
            MetaSchemaRef::Inline(schema) => Some(schema),
            MetaSchemaRef::Reference(name) => self.registry.schemas.get(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::jobs::logs::shapes::PostedLines;
    use crate::api::keys::shapes::CreateKey;
    use crate::api::upstreams::account::ImportAccounts;

    #[test]
    fn a_number_is_no_text() {
        assert!(check::<CreateKey>(&json!({ "description": 7 })).is_err());
        assert!(check::<CreateKey>(&json!({ "models": ["gpt-4o", true] })).is_err());
        assert!(check::<ImportAccounts>(&json!({ "credentials": [true] })).is_err());
    }

    #[test]
    fn text_numbers_and_null_pass_where_they_belong() {
        let whole = json!({ "description": "7", "expires_at": null, "limits": { "concurrency": 7 }, "models": [] });
        assert!(check::<CreateKey>(&whole).is_ok());
    }

    #[test]
    fn of_two_shapes_one_has_to_fit() {
        let line = json!({ "level": "info", "category": "tool", "message": "searched", "duration_ms": 3 });
        let odd = json!({ "level": "info", "category": "tool", "message": "searched", "step": false });
        assert!(check::<PostedLines>(&line).is_ok());
        assert!(check::<PostedLines>(&odd).is_err());
        assert!(check::<PostedLines>(&json!({ "lines": [line] })).is_ok());
        assert!(check::<PostedLines>(&json!({ "lines": [{ "message": true }] })).is_err());
    }
}
