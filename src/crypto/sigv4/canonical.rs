//! The canonical form of a request, on which signer and verifier must agree to the byte.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A canonical request, hashed while it is written, so that no header is copied.
///
/// Cloning it is how several values of one header are tried without repeating the path and the query.
#[derive(Clone)]
pub(super) struct CanonicalRequest {
    hasher: Sha256,
    names: String,
}

impl CanonicalRequest {
    /// Begins with the method, the path and the query, both as they stand on the wire.
    pub(super) fn new(method: &str, path: &str, query: &str) -> Self {
        let mut hasher = Sha256::new();
        for line in [method, &canonical_path(path), &canonical_query(query)] {
            hasher.update(line);
            hasher.update("\n");
        }
        Self {
            hasher,
            names: String::new(),
        }
    }

    /// Adds a signed header: its lower-case name and all its values. Call in the order of the names.
    ///
    /// Values are joined with a comma; white space around a value goes, inside it becomes one space.
    pub(super) fn header<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a [u8]>) {
        self.hasher.update(name);
        for (index, value) in values.into_iter().enumerate() {
            self.hasher.update(if index == 0 { ":" } else { "," });
            for (index, word) in words(value).enumerate() {
                self.hasher.update(if index == 0 { "" } else { " " });
                self.hasher.update(word);
            }
        }
        self.hasher.update("\n");
        if !self.names.is_empty() {
            self.names.push(';');
        }
        self.names.push_str(name);
    }

    /// Ends with the body's SHA-256; gives the names of the signed headers and the digest of the whole.
    pub(super) fn finish(mut self, body_sha256: &[u8; 32]) -> (String, [u8; 32]) {
        for part in ["\n", &self.names, "\n", &HEXLOWER.encode(body_sha256)] {
            self.hasher.update(part);
        }
        (self.names, self.hasher.finalize().into())
    }
}

/// Whether a header's value is nothing but white space.
pub(super) fn is_blank(value: &[u8]) -> bool {
    words(value).next().is_none()
}

fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
}

/// The path, decoded and encoded again except for `/`. An encoded slash becomes a plain one, as in Go's `URL.Path`,
/// from which jimeng-relay and the Go SDK build it.
fn canonical_path(path: &str) -> String {
    let mut canonical = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        canonical.push('/');
    }
    encode(&decode(path), b"/", &mut canonical);
    canonical
}

/// The query's pairs, decoded, sorted by name and then value, and encoded again.
///
/// A pair without `=` has an empty value, empty pairs vanish. Go drops malformed pairs; here a `%` that begins no code
/// stands for itself, so that every byte of the query is under the signature.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode_form(name), decode_form(value)))
        .collect();
    pairs.sort_unstable();
    let mut canonical = String::with_capacity(query.len());
    for (name, value) in &pairs {
        if !canonical.is_empty() {
            canonical.push('&');
        }
        encode(name, b"", &mut canonical);
        canonical.push('=');
        encode(value, b"", &mut canonical);
    }
    canonical
}

/// Decodes a name or value of a query, where `+` is a space.
fn decode_form(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        Cow::Owned(decode(&text.replace('+', " ")).into_owned())
    } else {
        decode(text)
    }
}

/// Decodes percent codes; a `%` without two hex digits stands for itself.
fn decode(text: &str) -> Cow<'_, [u8]> {
    let mut rest = text.as_bytes();
    if !rest.contains(&b'%') {
        return Cow::Borrowed(rest);
    }
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let code = after
            .split_first_chunk()
            .and_then(|([high, low], after)| Some((hex(*high)? << 4 | hex(*low)?, after)));
        let (value, after) = if byte == b'%' {
            code.unwrap_or((byte, after))
        } else {
            (byte, after)
        };
        decoded.push(value);
        rest = after;
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Percent-encodes everything but RFC 3986's unreserved characters and those in `kept`.
fn encode(bytes: &[u8], kept: &[u8], text: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_encoded_once_whatever_the_wire_says() {
        let cases = [
            ("", "/"),
            ("/", "/"),
            ("/v1/submit", "/v1/submit"),
            ("v1", "/v1"),
            ("/a%20b/*~", "/a%20b/%2A~"),
            ("/a%2Fb%2fc", "/a/b/c"),
            ("/%e4%bd%A0", "/%E4%BD%A0"),
            ("/a+b", "/a%2Bb"),
            ("/a//b/../c", "/a//b/../c"),
            ("/100%", "/100%25"),
            ("/%zz%4", "/%25zz%254"),
        ];
        for (wire, canonical) in cases {
            assert_eq!(canonical_path(wire), canonical, "{wire}");
        }
    }

    #[test]
    fn a_query_is_sorted_by_name_and_value_and_encoded_once() {
        let cases = [
            ("", ""),
            ("Version=2022-08-31&Action=A", "Action=A&Version=2022-08-31"),
            ("a=2&a=1&a", "a=&a=1&a=2"),
            ("&&b=1&", "b=1"),
            ("a=x+y&b=x%20y&c=x%2By", "a=x%20y&b=x%20y&c=x%2By"),
            ("a=b=c", "a=b%3Dc"),
            ("=v", "=v"),
            ("a=*~'/", "a=%2A~%27%2F"),
            ("a=%zz&b=%", "a=%25zz&b=%25"),
        ];
        for (wire, canonical) in cases {
            assert_eq!(canonical_query(wire), canonical, "{wire}");
        }
    }

    #[test]
    fn the_canonical_request_has_its_lines_in_order() {
        let mut request = CanonicalRequest::new("POST", "/a b", "b=1&a=2");
        request.header("host", [&b"relay.local"[..]]);
        request.header("x-tags", [&b" one \t two "[..], &b"three"[..]]);
        let (names, digest) = request.finish(&[0xab; 32]);

        assert_eq!(names, "host;x-tags");
        let text = format!(
            "POST\n/a%20b\na=2&b=1\nhost:relay.local\nx-tags:one two,three\n\nhost;x-tags\n{}",
            "ab".repeat(32)
        );
        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(text)));
    }

    proptest! {
        #[test]
        fn canonical_forms_are_stable(path in "/[ -~]{0,40}", query in "[ -~]{0,40}") {
            let canonical = canonical_path(&path);
            prop_assert_eq!(&canonical_path(&canonical), &canonical);
            let canonical = canonical_query(&query);
            prop_assert_eq!(&canonical_query(&canonical), &canonical);
        }
    }
}
