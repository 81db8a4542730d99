//! What a reply says of the tokens it used.

use serde::Deserialize;

use super::estimate;
use super::lenient::lenient;
use crate::model::usage::{Source, Usage};

/// The usage that a whole reply reports, if it does. Nothing else of it is kept while reading.
#[must_use]
pub fn reported(reply: &[u8]) -> Option<Usage> {
    let Body { usage } = serde_json::from_slice(reply).ok()?;
    usage?.usage()
}

/// The usage of a whole reply to `request`: as reported, else estimated from the text of both.
#[must_use]
pub fn of(request: &[u8], reply: &[u8]) -> (Usage, Source) {
    let estimated = || Usage {
        input: estimate::input(request),
        output: estimate::output(reply),
        cached: 0,
    };
    reported(reply).map_or_else(|| (estimated(), Source::Estimated), |usage| (usage, Source::Reported))
}

#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<Counts>,
}

/// A `usage` object. Chat, completions and embeddings count `prompt_tokens`, responses and images `input_tokens`; some
/// upstreams write both.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Counts {
    #[serde(rename = "prompt_tokens", default, deserialize_with = "lenient")]
    prompt: Option<u64>,
    #[serde(rename = "completion_tokens", default, deserialize_with = "lenient")]
    completion: Option<u64>,
    #[serde(rename = "input_tokens", default, deserialize_with = "lenient")]
    input: Option<u64>,
    #[serde(rename = "output_tokens", default, deserialize_with = "lenient")]
    output: Option<u64>,
    #[serde(rename = "total_tokens", default, deserialize_with = "lenient")]
    total: Option<u64>,
    #[serde(rename = "prompt_tokens_details", default, deserialize_with = "lenient")]
    prompt_details: Option<Details>,
    #[serde(rename = "input_tokens_details", default, deserialize_with = "lenient")]
    input_details: Option<Details>,
}

/// What the input was, in part.
#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(rename = "cached_tokens", default, deserialize_with = "lenient")]
    cached: Option<u64>,
}

impl Counts {
    /// What they say; `None` if nothing. What is missing follows from the total, else it is 0: embeddings have no output.
    pub(super) fn usage(&self) -> Option<Usage> {
        let input = self.prompt.or(self.input);
        let output = self.completion.or(self.output);
        let rest = |known: u64| self.total.map_or(0, |total| total.saturating_sub(known));
        let (input, output) = match (input, output) {
            (Some(input), Some(output)) => (input, output),
            (Some(input), None) => (input, rest(input)),
            (None, Some(output)) => (rest(output), output),
            (None, None) => (self.total?, 0),
        };
        let details = self.prompt_details.as_ref().or(self.input_details.as_ref());
        let cached = details.and_then(|details| details.cached).unwrap_or(0).min(input);
        Some(Usage { input, output, cached })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(usage: &str) -> Option<Usage> {
        reported(format!(r#"{{"id":"x","choices":[{{"usage":1}}],"usage":{usage}}}"#).as_bytes())
    }

    fn tokens(input: u64, output: u64) -> Usage {
        Usage {
            input,
            output,
            cached: 0,
        }
    }

    #[test]
    fn cached_tokens_are_read_in_both_spellings_and_are_never_more_than_the_input() {
        let cached = |body: &str| usage(body).unwrap().cached;
        let chat = r#"{"prompt_tokens":7,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}"#;
        let responses = r#"{"input_tokens":7,"output_tokens":5,"input_tokens_details":{"cached_tokens":9}}"#;
        let odd = r#"{"prompt_tokens":7,"completion_tokens":5,"prompt_tokens_details":[]}"#;
        assert_eq!((cached(chat), cached(responses), cached(odd)), (4, 7, 0));
    }

    #[test]
    fn usage_is_read_in_both_spellings() {
        for (body, expected) in [
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}"#,
                Some(tokens(7, 5)),
            ),
            (
                r#"{"input_tokens":7,"output_tokens":5,"output_tokens_details":{"reasoning_tokens":1}}"#,
                Some(tokens(7, 5)),
            ),
            (
                r#"{"prompt_tokens":7,"input_tokens":7,"completion_tokens":5,"output_tokens":5}"#,
                Some(tokens(7, 5)),
            ),
        ] {
            assert_eq!(usage(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_missing_follows_from_the_total() {
        for (body, expected) in [
            (r#"{"prompt_tokens":7,"total_tokens":7}"#, Some(tokens(7, 0))),
            (r#"{"prompt_tokens":7,"total_tokens":12}"#, Some(tokens(7, 5))),
            (r#"{"completion_tokens":5,"total_tokens":12}"#, Some(tokens(7, 5))),
            (r#"{"total_tokens":12}"#, Some(tokens(12, 0))),
            (r#"{"prompt_tokens":7}"#, Some(tokens(7, 0))),
            (r#"{"prompt_tokens":7,"total_tokens":3}"#, Some(tokens(7, 0))),
        ] {
            assert_eq!(usage(body), expected, "{body}");
        }
    }

    #[test]
    fn a_usage_of_another_type_reports_nothing_and_hides_nothing() {
        for body in [
            "null",
            "{}",
            "[]",
            "7",
            r#"{"prompt_tokens":"7"}"#,
            r#"{"prompt_tokens":-1}"#,
        ] {
            assert_eq!(usage(body), None, "{body}");
        }
        assert_eq!(
            usage(r#"{"prompt_tokens":7,"completion_tokens":null}"#),
            Some(tokens(7, 0))
        );
        assert_eq!(reported(b"<html>"), None);
    }

    #[test]
    fn what_nobody_reported_is_estimated_from_the_text() {
        let request = br#"{"messages":[{"role":"user","content":"abcd"}]}"#;
        let reply = br#"{"choices":[{"message":{"content":"abcdefgh"}}]}"#;
        assert_eq!(of(request, reply), (tokens(5, 2), Source::Estimated));
        let reply = br#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        assert_eq!(of(request, reply), (tokens(1, 2), Source::Reported));
    }
}
