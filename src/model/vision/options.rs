//! What a caller may set of a vision call.

use serde::Serialize;
use serde_json::Value;

/// The settings that a caller may choose. There are no others, so that nobody turns the operator's vision model into
/// an open one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Options {
    /// How freely the answer is sampled, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of likely tokens that is sampled from, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens of the answer, 1 to 8192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u16>,
    /// Makes sampling repeatable, as far as the provider can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How closely images are looked at. It belongs to each image, not to the call.
    #[serde(skip)]
    pub detail: Option<Detail>,
}

/// How closely an image is looked at, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// At a glance.
    Low,
    /// Closely.
    High,
    /// As the provider decides.
    Auto,
}

/// Why options are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// They are no JSON object.
    #[error("options is an object")]
    NotAnObject,
    /// There is one that callers may not set.
    #[error("{0:?} cannot be set here: the options are temperature, top_p, max_tokens, detail and seed")]
    NotAllowed(String),
    /// One has a value that it cannot have.
    #[error("{name} is {expected}")]
    Invalid {
        /// Which one.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
}

impl Options {
    /// Reads the `options` of a request. Null stands for nothing, for the whole as for each.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn from_json(json: &Value) -> Result<Self, OptionsError> {
        let members = match json {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) => members,
            _ => return Err(OptionsError::NotAnObject),
        };
        let mut options = Self::default();
        for (name, value) in members {
            match name.as_str() {
                "temperature" => options.temperature = within(value, 2.0, "temperature", "a number from 0 to 2")?,
                "top_p" => options.top_p = within(value, 1.0, "top_p", "a number from 0 to 1")?,
                "max_tokens" => {
                    let read = |value: &Value| u16::try_from(value.as_u64()?).ok().filter(|n| (1..=8192).contains(n));
                    options.max_tokens = unless_null(value, read, "max_tokens", "a whole number from 1 to 8192")?;
                }
                "seed" => options.seed = unless_null(value, Value::as_i64, "seed", "a whole number of 64 bits")?,
                "detail" => options.detail = unless_null(value, Detail::from_json, "detail", "low, high or auto")?,
                other => return Err(OptionsError::NotAllowed(other.chars().take(64).collect())),
            }
        }
        Ok(options)
    }
}

impl Detail {
    fn from_json(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "low" => Some(Self::Low),
            "high" => Some(Self::High),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }
}

fn within(value: &Value, most: f64, name: &'static str, expected: &'static str) -> Result<Option<f64>, OptionsError> {
    let read = |value: &Value| value.as_f64().filter(|number| (0.0..=most).contains(number));
    unless_null(value, read, name, expected)
}

fn unless_null<T>(
    value: &Value,
    read: impl FnOnce(&Value) -> Option<T>,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<T>, OptionsError> {
    if value.is_null() {
        return Ok(None);
    }
    read(value).map(Some).ok_or(OptionsError::Invalid { name, expected })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_five_options_are_read_and_written_again() {
        let json = json!({"temperature": 0.7, "top_p": 1, "max_tokens": 8192, "seed": -5, "detail": "high"});
        let options = Options::from_json(&json).unwrap();
        assert_eq!(options.detail, Some(Detail::High));
        let written = serde_json::to_value(&options).unwrap();
        assert_eq!(
            written,
            json!({"temperature": 0.7, "top_p": 1.0, "max_tokens": 8192, "seed": -5})
        );
    }

    #[test]
    fn no_option_is_needed() {
        for json in [
            json!(null),
            json!({}),
            json!({"temperature": null, "detail": null, "seed": null}),
        ] {
            assert_eq!(Options::from_json(&json), Ok(Options::default()), "{json}");
        }
    }

    #[test]
    fn an_option_that_would_open_the_model_to_everybody_is_refused_by_name() {
        for name in [
            "model",
            "messages",
            "stream",
            "n",
            "tools",
            "response_format",
            "Temperature",
            "max_completion_tokens",
        ] {
            let error = Options::from_json(&json!({"temperature": 1, name: null})).unwrap_err();
            assert_eq!(error, OptionsError::NotAllowed(name.to_owned()));
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn an_option_out_of_its_range_is_refused_by_name() {
        let wrong = [
            json!({"temperature": 2.01}),
            json!({"temperature": -0.1}),
            json!({"temperature": "1"}),
            json!({"top_p": 1.5}),
            json!({"max_tokens": 0}),
            json!({"max_tokens": 8193}),
            json!({"max_tokens": 1.5}),
            json!({"max_tokens": 100_000}),
            json!({"seed": 1.5}),
            json!({"seed": u64::MAX}),
            json!({"detail": "HIGH"}),
            json!({"detail": 1}),
        ];
        for json in wrong {
            let error = Options::from_json(&json).unwrap_err();
            let name = json.as_object().unwrap().keys().next().unwrap();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        for json in [json!([]), json!("temperature"), json!(1), json!(true)] {
            assert_eq!(Options::from_json(&json), Err(OptionsError::NotAnObject), "{json}");
        }
    }
}
