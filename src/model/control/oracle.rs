//! The judge of the scanner: what a last-wins, case-folding parser makes of a body. The fuzz target shares this file.
//!
//! It stands on `serde_json`'s grammar and on a list of foldings of its own, so that it does not repeat the scanner's
//! mistakes. Only the unescaping of texts is `serde_json`'s on both sides.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Control, Value, scan};

/// Checks that [`scan()`] accepts exactly the bodies that every parser reads alike, and reads them as this one does.
///
/// # Panics
/// If it does not.
pub(crate) fn judge(body: &[u8]) {
    match (scan(body), reference(body)) {
        (Ok(control), Ok(expected)) => {
            let seen: Vec<_> = NAMES.into_iter().zip(fields(&control)).collect();
            assert_eq!(seen, expected, "{}", String::from_utf8_lossy(body));
        }
        (Err(_), Err(_)) => {}
        (scanned, expected) => {
            panic!(
                "scan: {scanned:?}, reference: {expected:?}, body: {}",
                String::from_utf8_lossy(body)
            )
        }
    }
}

/// A field's value and place, in a form that both sides can make.
type Seen = Option<(Content, Range<usize>)>;

/// A value as it must be read.
#[derive(Debug, PartialEq)]
enum Content {
    Text(String),
    Bool(bool),
    Integer(i64),
    Other,
}

/// Every control field as a last-wins, case-folding parser sees it, or why the body must be refused.
fn reference(body: &[u8]) -> Result<Vec<(&'static str, Seen)>, &'static str> {
    let text = str::from_utf8(body).map_err(|_| "not UTF-8")?;
    let Members(members) = serde_json::from_str(text).map_err(|_| "not a JSON object")?;
    if depth(text) > 128 {
        return Err("too deep");
    }
    let mut fields = NAMES.map(|name| (name, None));
    for (name, raw) in members {
        let folded = fold(&name);
        let Some((exact, field)) = fields.iter_mut().find(|(exact, _)| *exact == folded) else {
            continue;
        };
        let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        if field.replace((content(raw)?, start..start + raw.get().len())).is_some() {
            return Err("doubled");
        }
        if name != *exact {
            return Err("misspelt");
        }
    }
    match &fields[6].1 {
        None | Some((Content::Text(_), _)) => Ok(fields.into()),
        Some(_) => Err("task_id is not a string"),
    }
}

/// What a raw value holds, by `serde_json`'s own reading.
fn content(raw: &RawValue) -> Result<Content, &'static str> {
    let raw = raw.get();
    match raw.as_bytes()[0] {
        b'"' => match serde_json::from_str::<String>(raw) {
            Ok(text) if text.contains('\0') => Err("a NUL"),
            Ok(text) => Ok(Content::Text(text)),
            Err(_) => Err("half a surrogate pair"),
        },
        b't' | b'f' => Ok(Content::Bool(raw == "true")),
        _ => Ok(serde_json::from_str::<i64>(raw).map_or(Content::Other, Content::Integer)),
    }
}

/// The name that a lenient parser compares: cut at NUL, without case.
fn fold(name: &str) -> String {
    let name = name.split('\0').next().unwrap_or_default();
    // Where the scanner knows more foldings than these, it may refuse more: they are listed so that it is noticed.
    let name = name
        .replace('\u{307}', "")
        .replace(['\u{130}', '\u{131}'], "i")
        .replace('\u{212a}', "k");
    name.replace('\u{17f}', "s")
        .replace('\u{df}', "ss")
        .replace(['\u{fb05}', '\u{fb06}'], "st")
        .to_ascii_lowercase()
}

/// The deepest nesting of a valid text.
fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut quoted, mut escaped) = (0, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What the scanner read, in the order of [`NAMES`].
fn fields(control: &Control<'_>) -> [Seen; 10] {
    let plain = [
        &control.model,
        &control.stream,
        &control.stream_options,
        &control.n,
        &control.max_tokens,
        &control.req_key,
        &control.max_completion_tokens,
        &control.max_output_tokens,
        &control.messages,
    ];
    let [
        model,
        stream,
        stream_options,
        n,
        max_tokens,
        req_key,
        max_completion_tokens,
        max_output_tokens,
        messages,
    ] = plain.map(|field| {
        field.as_ref().map(|field| {
            let content = match &field.value {
                Value::Text(text) => Content::Text(text.to_string()),
                Value::Bool(truth) => Content::Bool(*truth),
                Value::Integer(number) => Content::Integer(*number),
                Value::Other => Content::Other,
            };
            (content, field.span.clone())
        })
    });
    let task_id = control
        .task_id
        .as_ref()
        .map(|task| (Content::Text(task.value.to_string()), task.span.clone()));
    [
        model,
        stream,
        stream_options,
        n,
        max_tokens,
        req_key,
        task_id,
        max_completion_tokens,
        max_output_tokens,
        messages,
    ]
}

/// An object's members in order, doubles included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// The control fields, in the order that this file uses.
pub(crate) const NAMES: [&str; 10] = [
    "model",
    "stream",
    "stream_options",
    "n",
    "max_tokens",
    "req_key",
    "task_id",
    "max_completion_tokens",
    "max_output_tokens",
    "messages",
];
