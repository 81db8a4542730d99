//! The names of the control fields, and what else some parser takes for them.

use super::{Control, ScanError, Spanned, Value};

/// The names that are control fields.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Model,
    Stream,
    StreamOptions,
    N,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    Messages,
    ReqKey,
    TaskId,
}

impl Field {
    const ALL: [Self; 10] = [
        Self::Model,
        Self::Stream,
        Self::StreamOptions,
        Self::N,
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::MaxOutputTokens,
        Self::Messages,
        Self::ReqKey,
        Self::TaskId,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Stream => "stream",
            Self::StreamOptions => "stream_options",
            Self::N => "n",
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::Messages => "messages",
            Self::ReqKey => "req_key",
            Self::TaskId => "task_id",
        }
    }

    /// The field that an unescaped name stands for, if any.
    pub(super) fn named(name: &str) -> Result<Option<Self>, ScanError> {
        match Self::ALL.into_iter().find(|field| reads_as(name, field.name())) {
            Some(field) if field.name() == name => Ok(Some(field)),
            Some(field) => Err(ScanError::Misspelt { field: field.name() }),
            None => Ok(None),
        }
    }

    /// Puts what was read into this field's place, which must be empty.
    pub(super) fn fill<'a>(self, control: &mut Control<'a>, read: Spanned<Value<'a>>) -> Result<(), ScanError> {
        let field = self.name();
        let place = match self {
            Self::Model => &mut control.model,
            Self::Stream => &mut control.stream,
            Self::StreamOptions => &mut control.stream_options,
            Self::N => &mut control.n,
            Self::MaxTokens => &mut control.max_tokens,
            Self::MaxCompletionTokens => &mut control.max_completion_tokens,
            Self::MaxOutputTokens => &mut control.max_output_tokens,
            Self::Messages => &mut control.messages,
            Self::ReqKey => &mut control.req_key,
            Self::TaskId => {
                let Spanned {
                    value: Value::Text(value),
                    span,
                } = read
                else {
                    return Err(ScanError::NotAString { field });
                };
                return fill(&mut control.task_id, Spanned { value, span }, field);
            }
        };
        fill(place, read, field)
    }
}

/// Fills an empty place; a full one means that the field occurred before.
fn fill<T>(place: &mut Option<T>, read: T, field: &'static str) -> Result<(), ScanError> {
    match place.replace(read) {
        None => Ok(()),
        Some(_) => Err(ScanError::Doubled { field }),
    }
}

/// Whether some parser could take `written` for `name`.
///
/// Both are folded over all of Unicode's case mappings (which has ASCII's, U+017F to `s`, U+212A to `k`, U+0131 to `i`,
/// U+FB06 to `st` and U+00DF to `ss` in it), the dot that U+0130 leaves behind is dropped, and a NUL ends the name.
pub(crate) fn reads_as(written: &str, name: &str) -> bool {
    let plain = written.bytes().all(|byte| byte.is_ascii() && byte != 0);
    written.eq_ignore_ascii_case(name) || (!plain && folded(written).eq(folded(name)))
}

/// `name` as the most lenient parser sees it.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars()
        .take_while(|&c| c != '\0')
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .filter(|&c| c != COMBINING_DOT_ABOVE)
}

/// What the lower case of U+0130, the Turkish capital dotted I, has after its `i`.
const COMBINING_DOT_ABOVE: char = '\u{307}';
