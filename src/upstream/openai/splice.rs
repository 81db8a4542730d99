//! The only changes that a request's body ever sees, made where its control fields stand. Every other byte stays.

use std::num::NonZeroU32;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::stream::Extra;
use crate::model::control::{Control, Spanned, Value};
use crate::model::operation::Operation;
use crate::model::upstream::StreamUsage;

/// What the body should say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// What the model is called at the upstream.
    pub model: &'a str,
    /// What `max_tokens`, by whichever of its names, is capped at, if it is. Where the client sends none, none is added.
    pub max_tokens: Option<NonZeroU32>,
    /// Whether the usage of every stream is asked for.
    pub stream_usage: StreamUsage,
}

/// A body as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spliced {
    /// Its bytes: the client's own, without a copy, where nothing changed.
    pub body: Bytes,
    /// Whether the answer will hold a chunk that the client did not ask for.
    pub extra: Extra,
}

/// Makes `body` say what is `wanted`, in one pass over the places in `control`, which is what the scanner read in it.
#[must_use]
pub fn splice(operation: Operation, body: &Bytes, control: &Control<'_>, wanted: &Wanted<'_>) -> Spliced {
    let mut edits = Vec::with_capacity(3);
    let mut added = String::new();
    match &control.model {
        Some(model) if model.value.as_text() == Some(wanted.model) => {}
        Some(model) => edits.push((model.span.clone(), quoted(wanted.model))),
        None => added = format!("\"model\":{},", quoted(wanted.model)),
    }
    if let Some(cap) = wanted.max_tokens {
        let limits = [
            &control.max_tokens,
            &control.max_completion_tokens,
            &control.max_output_tokens,
        ];
        for asked in limits.into_iter().flatten().filter(|asked| is_above(asked, cap, body)) {
            edits.push((asked.span.clone(), cap.to_string()));
        }
    }
    let extra = if asks_no_usage(operation, control) && wanted.stream_usage == StreamUsage::Always {
        added.push_str(INCLUDE_USAGE);
        Extra::Hidden
    } else {
        Extra::Shown
    };
    if !added.is_empty() {
        edits.push(opening(body, added));
    }
    let body = if edits.is_empty() {
        body.clone()
    } else {
        edited(body, edits)
    };
    Spliced { body, extra }
}

/// Whether it is a stream that could report its usage and was not asked about it. Responses always report theirs.
fn asks_no_usage(operation: Operation, control: &Control<'_>) -> bool {
    let streams = control.stream.as_ref().and_then(|stream| stream.value.as_bool()) == Some(true);
    let can = matches!(operation, Operation::ChatCompletions | Operation::Completions);
    streams && can && control.stream_options.is_none()
}

/// Whether some parser could read more than `cap` in it: fractions count, and texts, which lenient parsers turn into
/// numbers.
fn is_above(asked: &Spanned<Value<'_>>, cap: NonZeroU32, body: &[u8]) -> bool {
    match &asked.value {
        Value::Integer(asked) => *asked > i64::from(cap.get()),
        Value::Text(asked) => !asked.parse::<u32>().is_ok_and(|asked| asked <= cap.get()),
        Value::Bool(_) => false,
        Value::Other => body
            .get(asked.span.clone())
            .and_then(|raw| str::from_utf8(raw).ok())
            .and_then(|raw| raw.parse::<f64>().ok())
            .is_some_and(|asked| asked > f64::from(cap.get())),
    }
}

/// Where members are added, and as what: behind the opening brace, with a comma if another follows.
fn opening(body: &[u8], mut added: String) -> (Range<usize>, String) {
    let at = body.iter().position(|&byte| byte == b'{').map_or(0, |brace| brace + 1);
    let next = body.iter().skip(at).find(|byte| !byte.is_ascii_whitespace());
    if next == Some(&b'}') {
        added.pop();
    }
    (at..at, added)
}

fn edited(body: &[u8], mut edits: Vec<(Range<usize>, String)>) -> Bytes {
    edits.sort_by_key(|(span, _)| span.start);
    let mut whole = BytesMut::with_capacity(body.len() + edits.iter().map(|(_, text)| text.len()).sum::<usize>());
    let mut kept = 0;
    for (span, text) in edits {
        whole.extend_from_slice(body.get(kept..span.start).unwrap_or_default());
        whole.extend_from_slice(text.as_bytes());
        kept = span.end;
    }
    whole.extend_from_slice(body.get(kept..).unwrap_or_default());
    whole.freeze()
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// With the comma that another member needs.
const INCLUDE_USAGE: &str = r#""stream_options":{"include_usage":true},"#;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::control::scan;

    const WANTED: Wanted<'static> = Wanted {
        model: "real/model",
        max_tokens: NonZeroU32::new(100),
        stream_usage: StreamUsage::Always,
    };

    fn spliced(body: &str) -> (String, Extra) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let Spliced { body, extra } = splice(Operation::ChatCompletions, &body, &scan(&body).unwrap(), &WANTED);
        (String::from_utf8(body.to_vec()).unwrap(), extra)
    }

    #[test]
    fn a_body_that_needs_no_change_is_not_copied() {
        for body in [
            r#"{"model":"real/model","max_tokens":100,"stream":false}"#,
            r#"{"model":"real\/model","stream":true,"stream_options":null}"#,
        ] {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let spliced = splice(Operation::ChatCompletions, &body, &scan(&body).unwrap(), &WANTED);
            assert_eq!(spliced.body.as_ptr(), body.as_ptr());
            assert_eq!(spliced.extra, Extra::Shown);
        }
    }

    #[test]
    fn only_the_values_are_replaced_whatever_their_order() {
        let body = r#" { "max_tokens" : 101 ,"x":[1.50,{"model":"m"}], "model":"alias" } "#;
        let expected = r#" { "max_tokens" : 100 ,"x":[1.50,{"model":"m"}], "model":"real/model" } "#;
        assert_eq!(spliced(body), (expected.to_owned(), Extra::Shown));
    }

    #[test]
    fn a_default_model_is_added() {
        assert_eq!(spliced("{ }").0, r#"{"model":"real/model" }"#);
        assert_eq!(spliced(r#"{"n":1}"#).0, r#"{"model":"real/model","n":1}"#);
    }

    #[test]
    fn max_tokens_is_capped_in_every_form_that_a_parser_could_read_as_more() {
        for (asked, sent) in [
            ("100", "100"),
            ("7", "7"),
            ("-1", "-1"),
            ("101", "100"),
            ("9223372036854775808", "100"),
            ("1e3", "100"),
            ("99.5", "99.5"),
            ("\"7\"", "\"7\""),
            ("\"101\"", "100"),
            ("\"1_000\"", "100"),
            ("null", "null"),
            ("[1000]", "[1000]"),
        ] {
            let body = |tokens: &str| format!(r#"{{"model":"real/model","max_tokens":{tokens}}}"#);
            assert_eq!(spliced(&body(asked)).0, body(sent));
        }
    }

    #[test]
    fn the_newer_names_of_max_tokens_are_capped_as_well() {
        let body = |tokens: u32| {
            format!(r#"{{"max_output_tokens":{tokens},"model":"real/model","max_completion_tokens":{tokens}}}"#)
        };
        assert_eq!(spliced(&body(101)).0, body(100));
        assert_eq!(spliced(&body(99)).0, body(99));
    }

    #[test]
    fn usage_is_asked_for_only_in_a_stream_whose_client_said_nothing_of_it() {
        let body = r#"{"model":"real/model","stream":true}"#;
        let with = r#"{"stream_options":{"include_usage":true},"model":"real/model","stream":true}"#;
        assert_eq!(spliced(body), (with.to_owned(), Extra::Hidden));
        for body in [
            r#"{"model":"real/model","stream":false}"#,
            r#"{"model":"real/model"}"#,
            r#"{"model":"real/model","stream":true,"stream_options":{"include_usage":false}}"#,
        ] {
            assert_eq!(spliced(body), (body.to_owned(), Extra::Shown));
        }
        let body = Bytes::from_static(body.as_bytes());
        let control = scan(&body).unwrap();
        for operation in [
            Operation::Responses,
            Operation::Embeddings,
            Operation::ImagesGenerations,
        ] {
            assert_eq!(splice(operation, &body, &control, &WANTED).extra, Extra::Shown);
        }
        let as_asked = Wanted {
            stream_usage: StreamUsage::AsAsked,
            ..WANTED
        };
        assert_eq!(
            splice(Operation::ChatCompletions, &body, &control, &as_asked).body,
            body
        );
    }

    /// A member, as it is written, and whether it may be changed.
    fn member() -> impl Strategy<Value = (&'static str, String)> {
        let space = "[ \n]{0,2}";
        prop_oneof![
            (space, "\"[a-z]{0,5}\"").prop_map(|(space, model)| ("model", format!("\"model\"{space}:{model}{space}"))),
            (space, 0_u32..300).prop_map(|(space, n)| ("max_tokens", format!("{space}\"max_tokens\":{space}{n}"))),
            any::<bool>().prop_map(|stream| ("stream", format!("\"stream\":{stream}"))),
            Just(("stream_options", "\"stream_options\":{}".to_owned())),
            ("[a-c]", "[^\"\\\\\\x00-\\x1f]{0,9}")
                .prop_map(|(name, text)| ("", format!("\"{name}\":{{\"model\":\"{text}\"}}"))),
        ]
    }

    proptest! {
        #[test]
        fn outside_the_control_fields_no_byte_changes_and_inside_they_say_what_is_wanted(
            members in prop::collection::vec(member(), 0..8),
            before in "[ \n]{0,2}",
            wanted_model in "[a-z\"/é]{1,6}",
            cap in prop::option::of(1_u32..300),
            always: bool,
        ) {
            let mut seen = Vec::new();
            let members: Vec<String> = members
                .into_iter()
                .filter(|(name, _)| name.is_empty() || (!seen.contains(name), seen.push(name)).0)
                .map(|(_, member)| member)
                .collect();
            let body = Bytes::from(format!("{before}{{{}}}", members.join(",")));
            let control = scan(&body).unwrap();
            let wanted = Wanted {
                model: &wanted_model,
                max_tokens: cap.and_then(NonZeroU32::new),
                stream_usage: if always { StreamUsage::Always } else { StreamUsage::AsAsked },
            };
            let sent = splice(Operation::Completions, &body, &control, &wanted);
            let after = scan(&sent.body).unwrap();

            prop_assert_eq!(after.model.as_ref().unwrap().value.as_text(), Some(wanted.model));
            let tokens = |control: &Control<'_>| control.max_tokens.as_ref().map(|tokens| tokens.value.as_integer().unwrap());
            let capped = tokens(&control).map(|asked| cap.map_or(asked, |cap| asked.min(cap.into())));
            prop_assert_eq!(tokens(&after), capped);
            let streams = control.stream.as_ref().is_some_and(|stream| stream.value == Value::Bool(true));
            let hides = always && streams && control.stream_options.is_none();
            prop_assert_eq!(sent.extra == Extra::Hidden, hides);
            prop_assert_eq!(after.stream_options.is_some(), hides || control.stream_options.is_some());

            let sent = without(&sent.body, &after);
            let mut rest = sent.strip_prefix(&format!("{before}{{")).unwrap();
            for (added, text) in [(control.model.is_none(), "\"model\":"), (hides, INCLUDE_USAGE.trim_end_matches(','))] {
                if added {
                    rest = rest.strip_prefix(text).unwrap();
                    rest = rest.strip_prefix(',').unwrap_or(rest);
                }
            }
            prop_assert_eq!(format!("{before}{{{rest}"), without(&body, &control));
        }
    }

    /// The body without the values of `model` and `max_tokens`.
    fn without(body: &[u8], control: &Control<'_>) -> String {
        let spans: Vec<Range<usize>> = [&control.model, &control.max_tokens]
            .into_iter()
            .flatten()
            .map(|field| field.span.clone())
            .collect();
        let kept = |at: &usize| !spans.iter().any(|span| span.contains(at));
        let bytes = (0..body.len()).filter(kept).map(|at| body[at]).collect();
        String::from_utf8(bytes).unwrap()
    }
}
