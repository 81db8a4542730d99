//! A secret shown in a header.

/// The token of `Authorization: Bearer …`; `None` if the header is of another form. The scheme's case does not matter
/// (RFC 9110, section 11.1).
pub(super) fn of_authorization(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.trim_ascii().split_at_checked(SCHEME.len())?;
    (scheme.eq_ignore_ascii_case(SCHEME) && token.first().is_none_or(u8::is_ascii_whitespace))
        .then(|| token.trim_ascii())
}

/// Whether `token` can be one: visible ASCII, not empty, not longer than any token.
pub(super) fn is_token(token: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic)
}

const SCHEME: &[u8] = b"Bearer";

/// The longest token that is looked at, in bytes. Ours have 35; `ADMIN_TOKEN` is the operator's choice.
const MAX_LENGTH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_follows_the_scheme_in_any_case() {
        assert_eq!(of_authorization(b"Bearer sk_x"), Some(&b"sk_x"[..]));
        assert_eq!(of_authorization(b" bearer   sk_x "), Some(&b"sk_x"[..]));
        assert_eq!(of_authorization(b"Bearer"), Some(&b""[..]));
        assert_eq!(of_authorization(b"Bearersk_x"), None);
        assert_eq!(of_authorization(b"HMAC-SHA256 Credential=x"), None);
        assert_eq!(of_authorization(b"Basic sk_x"), None);
    }

    #[test]
    fn a_token_is_visible_ascii_of_bounded_length() {
        assert!(is_token(b"sk_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"));
        assert!(is_token(&[b'x'; MAX_LENGTH]));
        for token in [&b""[..], b"two words", b"sk_\xc3\xa9", &[b'x'; MAX_LENGTH + 1]] {
            assert!(!is_token(token));
        }
    }
}
