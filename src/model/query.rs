//! Reading one parameter of a query string, so that no other parser can read another one.

use std::borrow::Cow;

use super::control::reads_as;

/// The parameter occurs twice, or in another spelling that some parsers take for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a query parameter is repeated or spelt in another way")]
pub struct Repeated;

/// The decoded value of the parameter `name` in `raw_query`, the part of a request target behind its `?`.
///
/// Names and values are percent-decoded and `+` is a space; a malformed percent sequence stays as it is and bytes that
/// are not UTF-8 become U+FFFD. A parameter without `=` has the empty value.
///
/// # Errors
/// [`Repeated`] if another parser could see another value: the name occurs twice, in another case (folded as the
/// names of control fields are), or beside a `;`, which old parsers take for `&` and Go's refuses.
pub fn single<'a>(raw_query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Repeated> {
    let mut found = None;
    for pair in raw_query.split('&') {
        for part in pair.split(';') {
            let (written, value) = part.split_once('=').unwrap_or((part, ""));
            let written = decoded(written);
            if !reads_as(&written, name) {
                continue;
            }
            if part != pair || written != name || found.is_some() {
                return Err(Repeated);
            }
            found = Some(decoded(value));
        }
    }
    Ok(found)
}

/// `raw` without percent encoding; borrowed where it has none.
fn decoded(raw: &str) -> Cow<'_, str> {
    if !raw.contains(['%', '+']) {
        return Cow::Borrowed(raw);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'+', _) => (b' ', after),
            (b'%', [high, low, tail @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, tail),
                _ => (first, after),
            },
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value of one hexadecimal digit.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_by_its_exact_name_and_decoded() {
        let query = "Version=2022-08-31&Action=CV%53ubmit+Task&empty";
        assert_eq!(single(query, "Version"), Ok(Some("2022-08-31".into())));
        assert_eq!(single(query, "Action"), Ok(Some("CVSubmit Task".into())));
        assert_eq!(single(query, "empty"), Ok(Some("".into())));
        assert_eq!(single(query, "Acti"), Ok(None));
        assert_eq!(single("", "Action"), Ok(None));
    }

    #[test]
    fn an_encoded_name_is_the_same_name() {
        assert_eq!(single("%41ction=x", "Action"), Ok(Some("x".into())));
        assert_eq!(single("%41ction=x&Action=x", "Action"), Err(Repeated));
    }

    #[test]
    fn a_repeated_parameter_is_refused_even_with_equal_values() {
        assert_eq!(single("Action=x&Version=1&Action=x", "Action"), Err(Repeated));
        assert_eq!(single("Action=x&Action", "Action"), Err(Repeated));
    }

    #[test]
    fn another_spelling_is_refused_alone_and_beside_the_exact_one() {
        for query in [
            "action=x",
            "Action=x&ACTION=y",
            "Action=x&act%49on=y",
            "Act%C4%B1on=x",
            "Action%00=x",
        ] {
            assert_eq!(single(query, "Action"), Err(Repeated), "{query}");
        }
    }

    #[test]
    fn a_bare_semicolon_beside_the_parameter_is_refused() {
        for query in ["Action=x;Action=y", "a=1;Action=y", "Action=x;y=1"] {
            assert_eq!(single(query, "Action"), Err(Repeated), "{query}");
        }
        assert_eq!(single("a=1;b=2&Action=x%3By", "Action"), Ok(Some("x;y".into())));
    }

    #[test]
    fn a_malformed_percent_sequence_is_kept_literally() {
        for (raw, value) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%%41", "%A"),
            ("%+1", "% 1"),
            ("%e4%bd%a0", "你"),
        ] {
            assert_eq!(
                single(&format!("Action={raw}"), "Action"),
                Ok(Some(value.into())),
                "{raw}"
            );
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_become_the_replacement_character() {
        assert_eq!(single("Action=a%ff", "Action"), Ok(Some("a\u{fffd}".into())));
    }
}
