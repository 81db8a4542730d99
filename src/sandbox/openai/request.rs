//! What a request says, whatever shape it says it in.

use serde_json::Value;

/// All the text in a message, a content part or an input.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect(),
        Value::Object(fields) => ["content", "text"]
            .iter()
            .filter_map(|name| fields.get(*name))
            .map(text_of)
            .collect(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A rough count: four bytes make a token.
pub(super) fn tokens(text: &str) -> usize {
    text.len().div_ceil(4)
}

/// Whether Chinese is written here.
pub(super) fn is_chinese(text: &str) -> bool {
    text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
}
