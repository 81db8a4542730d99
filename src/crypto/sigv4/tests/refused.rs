//! Signed requests that do not verify, and why.

use http::HeaderValue;
use proptest::prelude::*;

use super::Request;
use crate::crypto::sigv4::verify::{SignatureError, SignatureErrorKind};

#[test]
fn whatever_was_tampered_with_is_noticed() {
    let mut body = Request::plain();
    body.body.push(b' ');
    assert_eq!(body.check(), Err(SignatureError::PayloadHash));

    let mut body_without_its_hash_in_a_header = Request::vector(4);
    body_without_its_hash_in_a_header.body.push(b' ');
    let mut query = Request::plain();
    query.query.push_str("&More=1");
    let mut path = Request::plain();
    path.path.push_str("other");
    let mut method = Request::plain();
    "PUT".clone_into(&mut method.method);
    let tampered = [
        body_without_its_hash_in_a_header,
        query,
        path,
        method,
        Request::plain().at_host("other.local"),
        Request::plain().with("content-type", "text/plain"),
        Request::plain().with("x-date", "20260224T100001Z"),
        Request::plain().replacing("Signature=77", "Signature=78"),
        Request::plain().replacing("Signature=77", "Signature="),
        Request::plain().replacing("Signature=77", "Signature=zz"),
        Request::plain().replacing("/request", "/aws4_request"),
        Request::plain().replacing("/cv/", "/CV/"),
    ];
    for request in tampered {
        let error = request.check().unwrap_err();
        assert_eq!(
            (&error, error.kind()),
            (&SignatureError::Signature, SignatureErrorKind::Mismatch),
            "{request:?}"
        );
    }
}

#[test]
fn a_malformed_head_is_refused_with_jimeng_relay_s_words() {
    let plain = Request::plain;
    let cases = [
        (plain().without("authorization"), "missing authorization header"),
        (plain().with("authorization", " "), "missing authorization header"),
        (
            plain().with("authorization", "Bearer sk_x"),
            "invalid authorization header",
        ),
        (
            plain().with("x-date", "").without("authorization"),
            "missing authorization header",
        ),
        (plain().replacing("host;", "host;host;"), "invalid authorization header"),
        (plain().replacing("host;", "host;;"), "invalid authorization header"),
        (plain().without("x-date"), "missing x-date header"),
        (plain().with("x-date", "2026-02-24T10:00:00Z"), "invalid x-date header"),
        (
            plain().with("x-date", "20260224T110000Z"),
            "request time is outside allowed window",
        ),
        (
            plain().replacing("/20260224/", "/20260225/"),
            "credential scope date does not match x-date",
        ),
        (
            plain().replacing("cn-north-1", "cn-north-2"),
            "credential scope region/service is not allowed",
        ),
        (
            plain().replacing("/cv/", "/ecs/"),
            "credential scope region/service is not allowed",
        ),
        (
            plain().replacing("host;", ""),
            "signed headers must include host, x-date and x-content-sha256",
        ),
        (plain().without("x-content-sha256"), "missing x-content-sha256 header"),
        (plain().at_host(""), "missing host header"),
        (plain().at_host("a\nx-date:b"), "missing host header"),
        (plain().without("content-type"), "missing signed header: content-type"),
        (
            plain().with("content-type", " \t"),
            "missing signed header: content-type",
        ),
        (plain().repeating("authorization"), "repeated authorization header"),
        (plain().repeating("x-date"), "repeated x-date header"),
        (
            plain().repeating("x-content-sha256"),
            "repeated x-content-sha256 header",
        ),
        (plain().repeating("host"), "repeated host header"),
    ];
    for (request, words) in cases {
        let error = request.check_strictly().unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.kind()),
            (words, SignatureErrorKind::Malformed)
        );
    }
}

#[test]
fn the_tolerant_rule_still_needs_the_date_under_the_signature() {
    assert_eq!(
        Request::plain().replacing(";x-date", "").check(),
        Err(SignatureError::DateNotSigned)
    );
}

#[test]
fn the_work_on_a_hostile_head_is_bounded() {
    let mut request = Request::plain();
    request.query = "a&".repeat(8193);
    assert_eq!(request.check(), Err(SignatureError::LongQuery));
    let request = Request::plain().replacing("host;", &format!("host;{};", "a".repeat(4096)));
    assert_eq!(request.check(), Err(SignatureError::InvalidAuthorization));
}

proptest! {
    #[test]
    fn no_head_makes_it_panic(
        method in any::<String>(),
        path in any::<String>(),
        query in any::<String>(),
        host in any::<Option<String>>(),
        names in "[a-zA-Z0-9;-]{0,40}",
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut request = Request { method, path, query, host, ..Request::plain() };
        prop_assert!(request.check().is_err());
        let renamed = request.clone().replacing("content-type;", &format!("{names};"));
        prop_assert!(renamed.check().is_err());
        for name in ["content-type", "x-content-sha256", "x-date", "authorization"] {
            if let Ok(value) = HeaderValue::from_bytes(&noise) {
                request.headers.insert(name, value);
                prop_assert!(request.check().is_err());
            }
        }
    }
}
