//! The `Authorization` header of a signed request.

use http::HeaderName;

use crate::crypto::sigv4::Scheme;

/// `HMAC-SHA256 Credential=AK/date/region/service/suffix, SignedHeaders=a;b, Signature=…`, taken apart.
///
/// The parts are those that jimeng-relay read: separated by commas with or without white space, in any order, unknown
/// ones ignored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) access_key: &'a str,
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) scheme: Scheme,
    /// Sorted, each once, at least one.
    pub(super) signed_headers: Vec<HeaderName>,
    /// Not empty, and not yet checked to be a signature.
    pub(super) signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Takes `text` apart; `None` if it is too long, lacks a part or has one twice, or a part is malformed.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let (algorithm, parts) = text.trim().split_once(' ')?;
        if ![Scheme::Volcengine, Scheme::Aws]
            .iter()
            .any(|scheme| scheme.algorithm() == algorithm)
        {
            return None;
        }
        let [mut credential, mut signed_headers, mut signature] = [None; 3];
        for part in parts.split(',') {
            let (name, value) = part.split_once('=')?;
            let known = match name.trim() {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if known.replace(value.trim()).is_some() {
                return None;
            }
        }
        let mut credential = credential?.split('/');
        let mut next = || credential.next().filter(|part| !part.is_empty());
        let (access_key, date, region, service, suffix) = (next()?, next()?, next()?, next()?, next()?);
        let scheme = [Scheme::Volcengine, Scheme::Aws]
            .into_iter()
            .find(|scheme| scheme.suffix() == suffix)?;
        if credential.next().is_some() {
            return None;
        }
        Some(Self {
            access_key,
            date,
            region,
            service,
            scheme,
            signed_headers: parse_names(signed_headers?)?,
            signature: signature.filter(|signature| !signature.is_empty())?,
        })
    }
}

/// The names between semicolons, in any case and order, sorted; `None` if one is empty, malformed or there twice.
fn parse_names(text: &str) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for name in text.split(';') {
        names.push(HeaderName::from_bytes(name.trim().as_bytes()).ok()?);
    }
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    let twice = names
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if one == other));
    (!twice).then_some(names)
}

/// The longest `Authorization` read, in bytes. The official SDKs send about 250.
const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str =
        "HMAC-SHA256 Credential=ak/20260224/cn-north-1/cv/request, SignedHeaders=host;x-date, Signature=ab";

    #[test]
    fn the_official_form_is_taken_apart() {
        let authorization = Authorization::parse(PLAIN).unwrap();
        assert_eq!((authorization.access_key, authorization.date), ("ak", "20260224"));
        assert_eq!((authorization.region, authorization.service), ("cn-north-1", "cv"));
        assert_eq!(
            (authorization.scheme, authorization.signature),
            (Scheme::Volcengine, "ab")
        );
        assert_eq!(authorization.signed_headers, ["host", "x-date"]);
    }

    #[test]
    fn white_space_order_and_unknown_parts_do_not_matter() {
        let expected = Authorization::parse(PLAIN);
        assert!(expected.is_some());
        let other_forms = [
            "HMAC-SHA256 Credential=ak/20260224/cn-north-1/cv/request,SignedHeaders=host;x-date,Signature=ab",
            "HMAC-SHA256   Signature=ab , SignedHeaders = X-Date; Host ,Credential=ak/20260224/cn-north-1/cv/request ",
            "AWS4-HMAC-SHA256 X=1,Credential=ak/20260224/cn-north-1/cv/request,SignedHeaders=host;x-date,Signature=ab",
        ];
        for form in other_forms {
            assert_eq!(Authorization::parse(form), expected, "{form}");
        }
    }

    #[test]
    fn the_suffix_and_not_the_algorithm_chooses_the_scheme() {
        let mixed = PLAIN.replace("/request", "/aws4_request");
        assert_eq!(Authorization::parse(&mixed).unwrap().scheme, Scheme::Aws);
    }

    #[test]
    fn malformed_forms_are_refused() {
        let long = PLAIN.replace("ak/", &format!("{}/", "a".repeat(MAX_LENGTH)));
        let forms = [
            "",
            "HMAC-SHA256",
            "HMAC-SHA256 ",
            "Bearer sk_x",
            &PLAIN.replace("HMAC-SHA256", "HMAC-SHA1"),
            &PLAIN.replace("HMAC-SHA256", "hmac-sha256"),
            &PLAIN.replace("Credential=", "credential="),
            &PLAIN.replace(", Signature=ab", ""),
            &PLAIN.replace("Signature=ab", "Signature="),
            &PLAIN.replace("Signature=ab", "Signature=ab, Signature=cd"),
            &PLAIN.replace("Signature=ab", "Signature=ab, nonsense"),
            &PLAIN.replace("Signature=ab", "Signature=ab,"),
            &PLAIN.replace("ak/", ""),
            &PLAIN.replace("ak/", "/"),
            &PLAIN.replace("ak/", "ak/more/"),
            &PLAIN.replace("/request", "/"),
            &PLAIN.replace("/request", "/aws5_request"),
            &PLAIN.replace("host;x-date", ""),
            &PLAIN.replace("host;x-date", "host;"),
            &PLAIN.replace("host;x-date", "host;;x-date"),
            &PLAIN.replace("host;x-date", "host;x-date;Host"),
            &PLAIN.replace("host;x-date", ":authority;x-date"),
            &long,
        ];
        for form in forms {
            assert_eq!(Authorization::parse(form), None, "{form}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(noise in any::<String>(), parts in "[A-Za-z=,;/ ]{0,80}") {
            let _ = Authorization::parse(&noise);
            let _ = Authorization::parse(&format!("HMAC-SHA256 {parts}"));
        }
    }
}
