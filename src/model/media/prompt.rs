//! What to make, in words.

use std::fmt;

use serde_json::Value;

use super::error::InvalidRequest;

/// What to make, in words: not empty, and no longer than the provider takes.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt(String);

impl Prompt {
    /// The most characters, by the documents of every Jimeng model.
    pub const MAX_CHARACTERS: usize = 800;

    /// The words, as they were written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the field `prompt`.
    ///
    /// # Errors
    /// [`InvalidRequest`] where it is missing, no text, blank or too long.
    pub(super) fn read(value: Option<Value>) -> Result<Self, InvalidRequest> {
        match value {
            Some(Value::String(text)) if !text.trim().is_empty() => {
                let length = text.chars().count();
                if length > Self::MAX_CHARACTERS {
                    return Err(InvalidRequest::LongPrompt(length));
                }
                Ok(Self(text))
            }
            None | Some(Value::Null | Value::String(_)) => Err(InvalidRequest::NoPrompt),
            Some(_) => Err(InvalidRequest::Invalid {
                field: "prompt",
                expected: "a text",
            }),
        }
    }
}

/// What people ask for stays out of logs.
impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prompt({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prompt_has_one_to_eight_hundred_characters_of_any_alphabet() {
        for text in ["x", "黄昏的灯塔", &"图".repeat(800)] {
            assert_eq!(Prompt::read(Some(json!(text))).unwrap().as_str(), text);
        }
        let long = Prompt::read(Some(json!("图".repeat(801)))).unwrap_err();
        assert_eq!(
            long.to_string(),
            "the prompt has 801 characters; Jimeng takes at most 800"
        );
    }

    #[test]
    fn a_prompt_that_says_nothing_is_refused() {
        for value in [None, Some(json!(null)), Some(json!("")), Some(json!(" \n"))] {
            assert_eq!(Prompt::read(value), Err(InvalidRequest::NoPrompt));
        }
        assert!(Prompt::read(Some(json!(["a"]))).is_err());
    }

    #[test]
    fn a_prompt_does_not_show_itself_in_logs() {
        let prompt = Prompt::read(Some(json!("a secret"))).unwrap();
        assert_eq!(format!("{prompt:?}"), "Prompt(8 bytes)");
    }
}
