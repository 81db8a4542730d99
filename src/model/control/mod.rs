//! The control fields of a JSON body: the few that decide what a call costs, whose task it reads and how it answers.
//!
//! The body itself is relayed byte for byte, so the upstream parses it again with a parser we do not know. Most take
//! the last of two equal names, some the first; Go's `encoding/json` matches names in any case and even reads U+017F
//! as `s` and U+212A as `k`; C libraries end a text at NUL. [`scan()`] therefore refuses every body in which one of
//! these could find a control field that we did not, or another value in it. It does not guard against parsers that
//! also ignore the underscore (protobuf's JSON takes `taskId`): such names are other fields, and pass.

mod field;
mod scan;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use field::reads_as;
pub use scan::scan;

/// The control fields at the top level of one body. A name that only stands deeper inside is not a control field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control<'a> {
    /// Which model answers, in OpenAI's shape.
    pub model: Option<Spanned<Value<'a>>>,
    /// Whether the answer comes as server-sent events.
    pub stream: Option<Spanned<Value<'a>>>,
    /// What a stream reports beside its content; an object, so always [`Value::Other`] when well-typed.
    pub stream_options: Option<Spanned<Value<'a>>>,
    /// How many answers to one prompt.
    pub n: Option<Spanned<Value<'a>>>,
    /// The most tokens that an answer may have.
    pub max_tokens: Option<Spanned<Value<'a>>>,
    /// The same by its newer name.
    pub max_completion_tokens: Option<Spanned<Value<'a>>>,
    /// The same as responses call it.
    pub max_output_tokens: Option<Spanned<Value<'a>>>,
    /// What a chat is about; an array, so always [`Value::Other`] when well-typed.
    pub messages: Option<Spanned<Value<'a>>>,
    /// Which Volcengine visual service is asked, e.g. `jimeng_t2i_v40`.
    pub req_key: Option<Spanned<Value<'a>>>,
    /// The task that a query or a cancel is about. Ownership is checked on it, so it is always a text.
    pub task_id: Option<Spanned<Cow<'a, str>>>,
}

/// A value and where it stands in the body, for splices that leave every other byte alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value as read.
    pub value: T,
    /// Its bytes in the body, the quotes of a text included.
    pub span: Range<usize>,
}

/// What a control field holds. A wrong type is for the upstream to refuse, so none but that of `task_id` is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text, unescaped; borrowed from the body where it has no escapes.
    Text(Cow<'a, str>),
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction or exponent that fits; `-0`, which many parsers read as a fraction, is `Other`.
    Integer(i64),
    /// Anything else: null, an array, an object, any other number.
    Other,
}

impl Value<'_> {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub const fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

/// Why a body is not relayed. Every one of these is the client's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The body breaks RFC 8259 or is not UTF-8. A name at the top level with half a surrogate pair counts as well.
    #[error("the body is not valid JSON at byte {offset}")]
    NotJson {
        /// Bytes before the place where reading stopped.
        offset: usize,
    },
    /// The body begins another kind of JSON value; the rest of it was not read.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A control field occurs twice: parsers differ in which one counts.
    #[error("the field `{field}` occurs twice")]
    Doubled {
        /// The field's name.
        field: &'static str,
    },
    /// A name that some parsers take for a control field and some do not, e.g. `TASK_ID`.
    #[error("the field `{field}` is spelt in another way; write it exactly so")]
    Misspelt {
        /// The name as it should be.
        field: &'static str,
    },
    /// A `task_id` of another type: some parsers turn a number into a text, with or without loss.
    #[error("the field `{field}` is not a string")]
    NotAString {
        /// The field's name.
        field: &'static str,
    },
    /// A control field's text with a NUL or half a surrogate pair, which parsers cut, replace or drop.
    #[error("the field `{field}` holds a character that not every parser reads alike")]
    Ambiguous {
        /// The field's name.
        field: &'static str,
    },
    /// More than [`MAX_DEPTH`] arrays and objects inside each other.
    #[error("the body is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// How many arrays and objects may stand inside each other, the body's own object included.
pub const MAX_DEPTH: u32 = 128;
