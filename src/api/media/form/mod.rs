//! Reading `multipart/form-data` (RFC 7578) out of a body that has come whole.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde_json::{Map, Value};

/// The parts of a form.
///
/// `a[b]`, as OpenAI's SDKs write the member `b` of an object `a`, becomes that object again, one level deep.
#[derive(Debug, Default, PartialEq)]
pub struct Form {
    /// Parts without a file name, as texts.
    pub fields: Map<String, Value>,
    /// Parts with a file name, by their field.
    pub files: BTreeMap<String, Bytes>,
}

/// Why a form cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The content type names no boundary, or one that RFC 2046 does not know.
    #[error("the content type of a form names its boundary")]
    Boundary,
    /// Its parts are not put together as they should be.
    #[error("the form cannot be read: {0}")]
    Malformed(String),
    /// It has more parts than [`Form::MAX_PARTS`].
    #[error("the form has more than {} parts", Form::MAX_PARTS)]
    TooManyParts,
    /// A part has no name, or a longer one than [`Form::MAX_NAME`].
    #[error("a part of the form has no name, or one of more than {} bytes", Form::MAX_NAME)]
    Name,
    /// A field occurs twice: readers differ in which one counts.
    #[error("the field {0:?} occurs twice")]
    Repeated(String),
    /// A part is larger than [`Form::MAX_PART`].
    #[error("the field {0:?} is larger than {max} bytes", max = Form::MAX_PART)]
    TooLarge(String),
    /// A part without a file name is no text.
    #[error("the field {0:?} is neither a file nor text in UTF-8")]
    NotText(String),
}

impl Form {
    /// The most parts.
    pub const MAX_PARTS: usize = 20;

    /// The most bytes of one part: the largest image that a provider takes, as a data URL.
    pub const MAX_PART: usize = 7 * 1024 * 1024;

    /// The most bytes of a field's name.
    pub const MAX_NAME: usize = 128;

    /// Reads a whole form.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn read(content_type: &str, body: Bytes) -> Result<Self, FormError> {
        let boundary = multer::parse_boundary(content_type).map_err(|_| FormError::Boundary)?;
        if !(1..=70).contains(&boundary.len()) {
            return Err(FormError::Boundary);
        }
        let most = u64::try_from(Self::MAX_PART).unwrap_or(u64::MAX);
        let constraints = Constraints::new().size_limit(SizeLimit::new().per_field(most));
        let whole = stream::iter([Ok::<_, Infallible>(body)]);
        let parts = Multipart::with_constraints(whole, boundary, constraints);
        // The body is here, so nothing is ever waited for; what waits all the same is cut short.
        let cut_short = FormError::Malformed("it ends too early".to_owned());
        Self::collect(parts).now_or_never().ok_or(cut_short)?
    }

    async fn collect(mut parts: Multipart<'static>) -> Result<Self, FormError> {
        let mut form = Self::default();
        let mut names = BTreeSet::new();
        while let Some(part) = parts.next_field().await.map_err(FormError::of)? {
            if names.len() == Self::MAX_PARTS {
                return Err(FormError::TooManyParts);
            }
            let name = part.name().unwrap_or_default().to_owned();
            if name.is_empty() || name.len() > Self::MAX_NAME {
                return Err(FormError::Name);
            }
            if !names.insert(name.clone()) {
                return Err(FormError::Repeated(name));
            }
            form.take(name, part).await?;
        }
        Ok(form)
    }

    async fn take(&mut self, name: String, part: Field<'static>) -> Result<(), FormError> {
        let is_file = part.file_name().is_some();
        let bytes = part.bytes().await.map_err(FormError::of)?;
        if is_file {
            self.files.insert(name, bytes);
            return Ok(());
        }
        let Ok(text) = String::from_utf8(bytes.into()) else {
            return Err(FormError::NotText(name));
        };
        let Some((outer, member)) = member(&name) else {
            let repeated = self.fields.insert(name.clone(), Value::String(text));
            return repeated.map_or(Ok(()), |_| Err(FormError::Repeated(name)));
        };
        let object = self.fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(members) = object else {
            return Err(FormError::Repeated(outer.to_owned()));
        };
        members.insert(member.to_owned(), Value::String(text));
        Ok(())
    }
}

impl FormError {
    fn of(error: multer::Error) -> Self {
        match error {
            multer::Error::FieldSizeExceeded { field_name, .. } => Self::TooLarge(field_name.unwrap_or_default()),
            // None of its words repeats what was sent but names of headers.
            other => Self::Malformed(other.to_string().chars().take(120).collect()),
        }
    }
}

/// `a[b]` as `a` and `b`.
fn member(name: &str) -> Option<(&str, &str)> {
    let (outer, rest) = name.split_once('[')?;
    let member = rest.strip_suffix(']')?;
    let is_plain = !outer.is_empty() && !member.is_empty() && !member.contains(['[', ']']);
    is_plain.then_some((outer, member))
}

#[cfg(test)]
mod tests;
