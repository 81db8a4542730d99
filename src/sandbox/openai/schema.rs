//! Values that a JSON schema accepts, so that arguments of tools are what their maker expects.

use serde_json::{Map, Value, json};

/// A value for `schema`: its default, its first choice, or something small of its type.
pub(super) fn sample(schema: &Value) -> Value {
    let first_of = |name: &str| schema.get(name)?.as_array()?.first();
    if let Some(value) = schema.get("default").or_else(|| schema.get("const")) {
        return value.clone();
    }
    if let Some(choice) = first_of("enum") {
        return choice.clone();
    }
    if let Some(other) = first_of("anyOf").or_else(|| first_of("oneOf")) {
        return sample(other);
    }
    let kind = first_of("type").or_else(|| schema.get("type"));
    match kind.and_then(Value::as_str) {
        Some("string") => json!("sandbox"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("null") => Value::Null,
        _ => object(schema),
    }
}

/// An object with every property that is named.
fn object(schema: &Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let filled = properties.into_iter().flatten();
    Value::Object(
        filled
            .map(|(name, schema)| (name.clone(), sample(schema)))
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_every_property_with_its_type() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 2},
            "unit": {"enum": ["celsius", "kelvin"]},
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        }});
        assert_eq!(
            sample(&schema),
            json!({"city": "sandbox", "days": 2, "unit": "celsius", "note": null})
        );
    }
}
