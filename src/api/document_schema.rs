//! What every schema of the document keeps to, so that generators and checkers of other people read it alike.

use serde_json::{Map, Value, json};

/// Brings every schema below `value` into the form that generators read alike.
///
/// - Integers have one of the two formats that OpenAPI defines: an unknown one is 32 bits to most generators, and a
///   sequence number would not fit. Ours that have no sign say so as a minimum.
/// - `nullable` stands beside a type only; a value of any type may be null anyhow.
/// - A reference with a description is an `allOf` of the reference alone, which is no new type.
pub(super) fn tidy(value: &mut Value) {
    match value {
        Value::Object(schema) => {
            tidy_integer(schema);
            if !schema.contains_key("type") {
                schema.remove("nullable");
            }
            if let Some(Value::Array(parts)) = schema.get_mut("allOf") {
                parts.retain(|part| {
                    part.as_object()
                        .is_none_or(|part| !part.keys().all(|key| key == "description"))
                });
            }
            schema.values_mut().for_each(tidy);
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tidy_integer(schema: &mut Map<String, Value>) {
    if schema.get("type").is_none_or(|ty| ty != "integer") {
        return;
    }
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let (is_unsigned, fitting) = match format {
        "int8" | "int16" | "int32" => (false, "int32"),
        "uint8" | "uint16" => (true, "int32"),
        "uint32" | "uint64" => (true, "int64"),
        _ => (false, "int64"),
    };
    schema.insert("format".to_owned(), Value::from(fitting));
    if is_unsigned {
        schema.entry("minimum").or_insert(json!(0));
    }
}

/// Schemas that no Rust type stands for, by name.
pub(super) fn extra() -> [(&'static str, Value); 3] {
    let any = |description: &str| json!({ "description": description });
    let text = |description: &str| json!({ "description": description, "type": "string", "nullable": true });
    [
        (
            "Order",
            json!({
                "title": "Order",
                "description": "The newest first, or the oldest.",
                "type": "string",
                "enum": ["desc", "asc"],
            }),
        ),
        (
            "RelayedError",
            json!({
                "title": "RelayedError",
                "description": "What stands in the way of a relayed call: our envelope, or what the provider answered, \
                    byte for byte.",
                "type": "object",
                "properties": {
                    "error": { "$ref": "#/components/schemas/RelayedErrorDetail" },
                    "code": any("Volcengine's own code, or ours in its scheme."),
                    "message": text("A sentence for people."),
                    "request_id": text("The id of the request, ours or the provider's."),
                },
                "additionalProperties": {},
            }),
        ),
        (
            "RelayedErrorDetail",
            json!({
                "title": "RelayedErrorDetail",
                "description": "What an error of ours says, or one of a provider that speaks OpenAI's API.",
                "type": "object",
                "properties": {
                    "code": any("A stable word, e.g. `RATE_LIMITED`; providers have their own, numbers too."),
                    "type": text("The kind of error, in OpenAI's words."),
                    "message": text("A sentence for people."),
                    "param": any("The field or header that is wrong."),
                    "request_id": text("Our id of the request, where the error is ours."),
                },
                "additionalProperties": {},
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(mut schema: Value) -> Value {
        tidy(&mut schema);
        schema
    }

    #[test]
    fn integers_have_a_format_that_every_generator_knows() {
        let unsigned = tidied(json!({ "type": "integer", "format": "uint64" }));
        let bounded = tidied(json!({ "type": "integer", "format": "uint8", "minimum": 1 }));
        let bare = tidied(json!({ "items": { "type": "integer" } }));
        assert_eq!(unsigned, json!({ "type": "integer", "format": "int64", "minimum": 0 }));
        assert_eq!(bounded, json!({ "type": "integer", "format": "int32", "minimum": 1 }));
        assert_eq!(bare, json!({ "items": { "type": "integer", "format": "int64" } }));
    }

    #[test]
    fn nullable_stands_beside_a_type_only() {
        let any = tidied(json!({ "nullable": true }));
        let text = tidied(json!({ "type": "string", "nullable": true }));
        assert_eq!(any, json!({}));
        assert_eq!(text, json!({ "type": "string", "nullable": true }));
    }

    #[test]
    fn a_described_reference_is_no_new_type() {
        let reference = json!({ "$ref": "#/components/schemas/Price" });
        let described = tidied(json!({ "allOf": [reference, { "description": "What it costs." }] }));
        assert_eq!(described, json!({ "allOf": [reference] }));
    }

    #[test]
    fn a_property_may_be_called_type() {
        let schema = json!({ "properties": { "type": { "type": "string" } } });
        assert_eq!(tidied(schema.clone()), schema);
    }
}
