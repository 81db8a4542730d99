//! The mark by which a body is recognised wherever it arrives.

/// The first marker in `body`, found without parsing it: the value of a `"marker"` field, or a word that begins with
/// `marker-`.
pub(super) fn find(body: &[u8]) -> Option<&str> {
    let mut rest = body;
    while let Some(start) = rest.iter().position(|&byte| byte == b'm') {
        rest = rest.get(start..)?;
        if let Some(after) = rest.strip_prefix(b"marker") {
            let found = match after.first() {
                Some(b'-') => Some(word(rest)).filter(|found| *found != b"marker-"),
                Some(b'"') => field_value(after).map(word).filter(|found| !found.is_empty()),
                _ => None,
            };
            if let Some(found) = found {
                return std::str::from_utf8(found).ok();
            }
        }
        rest = rest.get(1..)?;
    }
    None
}

/// What follows `" : "`, the text between a field's name and its value.
fn field_value(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\"")?
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start()
        .strip_prefix(b"\"")
}

/// The letters, digits, `-`, `_` and `.` that `text` begins with, cut at a length that keeps memory bounded.
fn word(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"-_.".contains(byte)));
    text.get(..end.unwrap_or(text.len()).min(MAX_BYTES)).unwrap_or_default()
}

const MAX_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_a_field_or_a_word() {
        assert_eq!(find(br#"{"prompt":"a cat marker-17, please"}"#), Some("marker-17"));
        assert_eq!(find(br#"{"name":"m","marker" : "abc_1"}"#), Some("abc_1"));
        assert_eq!(
            find(br#"{"marker":7,"prompt":"marker marker- marker-x"}"#),
            Some("marker-x")
        );
        assert_eq!(find(b"no mark"), None);
    }
}
