//! Signed requests that verify.

use std::time::Duration;

use data_encoding::{HEXLOWER, HEXUPPER};

use super::{OFFICIAL, Request, golden, now};
use crate::crypto::digest::sha256;
use crate::crypto::sigv4::verify::{MAX_SKEW, Rules, SignatureError, Strictness, inspect};

#[test]
fn the_signatures_of_all_official_sdks_verify() {
    let golden = golden();
    assert_eq!(golden.vectors.len(), 5);
    for vector in &golden.vectors {
        assert_eq!(Request::of(&golden, vector).check(), Ok(()), "{}", vector.name);
    }
}

#[test]
fn strict_mode_refuses_only_the_php_and_node_forms() {
    let results = [1, 2, 3, 4, 5].map(|number| Request::vector(number).check_strictly());
    let refused = Err(SignatureError::HeadersNotSigned);
    assert_eq!(results, [Ok(()), Ok(()), Ok(()), refused.clone(), refused]);
}

#[test]
fn an_inspected_head_says_who_signed_it_and_when() {
    let rules = Rules {
        region: " CN-North-1".to_owned(),
        service: "cv",
        strictness: Strictness::Tolerant,
    };
    let presented = inspect(&Request::plain().head(), &rules, now()).unwrap();
    assert_eq!(presented.access_key(), golden().access_key);
    assert_eq!(presented.x_date(), now());
    assert_eq!(
        HEXLOWER.encode(presented.signature_bytes()),
        golden().vectors[0].signature
    );
}

#[test]
fn the_spelling_of_authorization_does_not_matter() {
    let signature = &golden().vectors[0].signature;
    let upper = HEXUPPER.encode(&HEXLOWER.decode(signature.as_bytes()).unwrap());
    let unsorted = "x-date;host;Content-Type;X-Content-Sha256";
    let upper_hash = Request::plain().with("x-content-sha256", &golden().body_sha256.to_uppercase());
    let requests = [
        Request::plain().replacing(", ", ","),
        Request::plain().replacing(signature, &upper),
        Request::plain().replacing(&OFFICIAL.join(";"), unsorted),
        Request::plain().replacing("HMAC-SHA256 ", "AWS4-HMAC-SHA256 "),
        upper_hash.signed_by_reference(&OFFICIAL, &golden().host),
    ];
    for request in requests {
        assert_eq!(request.check(), Ok(()), "{request:?}");
        assert_eq!(request.check_strictly(), Ok(()), "{request:?}");
    }
}

#[test]
fn extra_signed_headers_are_under_the_signature() {
    let names = ["host", "x-content-sha256", "x-date", "x-security-token", "x-amz-meta"];
    let request = Request::plain()
        .with("x-security-token", "token==")
        .with("x-amz-meta", "a");
    let request = request.signed_by_reference(&names, &golden().host);
    assert_eq!(request.check(), Ok(()));
    assert_eq!(request.check_strictly(), Ok(()));
    assert_eq!(
        request.with("x-security-token", "other").check(),
        Err(SignatureError::Signature)
    );
}

#[test]
fn a_host_verifies_however_the_signer_wrote_it() {
    // (on the wire, in the signature, accepted by the strict rule)
    let cases = [
        ("relay.local:8080", "relay.local:8080", true),
        ("Relay.Local", "relay.local", true),
        ("Relay.Local", "Relay.Local", false),
        ("relay.local:80", "relay.local", false),
        ("relay.local:443", "relay.local", false),
        ("relay.local:443", "relay.local:443", true),
        ("Relay.Local:80", "Relay.Local", false),
        ("Relay.Local:80", "relay.local", false),
        ("[::1]:80", "[::1]", false),
    ];
    for (wire, signed, strictly) in cases {
        let request = Request::plain().at_host(wire).signed_by_reference(&OFFICIAL, signed);
        assert_eq!(request.check(), Ok(()), "{wire} {signed}");
        assert_eq!(request.check_strictly().is_ok(), strictly, "{wire} {signed}");
    }
    for (wire, signed) in [
        ("relay.local:8080", "relay.local"),
        ("relay.local", "relay.local:80"),
        ("a", "b"),
    ] {
        let request = Request::plain().at_host(wire).signed_by_reference(&OFFICIAL, signed);
        assert_eq!(request.check(), Err(SignatureError::Signature), "{wire} {signed}");
    }
}

#[test]
fn the_clock_may_differ_by_exactly_five_minutes() {
    let microsecond = Duration::from_micros(1);
    let at = |now| Request::plain().check_at(Strictness::Tolerant, now);
    assert_eq!(at(now().plus(MAX_SKEW)), Ok(()));
    assert_eq!(at(now().minus(MAX_SKEW)), Ok(()));
    assert_eq!(
        at(now().plus(MAX_SKEW + microsecond)),
        Err(SignatureError::OutsideWindow)
    );
    assert_eq!(
        at(now().minus(MAX_SKEW + microsecond)),
        Err(SignatureError::OutsideWindow)
    );
}

#[test]
fn a_payload_hash_that_is_not_signed_must_still_match() {
    let request = Request::vector(4);
    assert_eq!(
        request.clone().with("x-content-sha256", &golden().body_sha256).check(),
        Ok(())
    );
    for wrong in ["UNSIGNED-PAYLOAD", &"0".repeat(64)] {
        assert_eq!(
            request.clone().with("x-content-sha256", wrong).check(),
            Err(SignatureError::PayloadHash)
        );
    }
}

#[test]
fn odd_characters_hosts_and_orders_verify_as_the_official_python_signer_wrote_them() {
    // (host, path and query on the wire, signature by volcengine 1.0.229 for the body `{"a": 1}`)
    let cases = [
        (
            "relay.local:80",
            "/",
            "Action=a+b&Version=~%2A%27%2F%2B%C3%A9",
            "f2e12ac0cdc808199adb2daebaac7a8456d318baa632b3fe622421bd8404256a",
        ),
        (
            "Relay.Local:443",
            "/v1/sub%20mit",
            "b=2&a=1&a+b=%3D%26&a-b=x",
            "458dc0fad14e8b8af5523595117ca4ddad44199e507ef5e6f2d6301b2b221f14",
        ),
        (
            "Relay.Local:8080",
            "/a%2Ab~c",
            "%C3%A9=&z=%25zz",
            "03e439077b360fa76232aceb49d535410cf6a5f505ea2a7c4a86b34d1da4029c",
        ),
        (
            "h",
            "/v1/%E4%BD%A0%E5%A5%BD",
            "k=a&k=b",
            "5a45840f09580d5a60ac3ac218faa6bdb772d67e3e0bcb16158f6deebaf14c92",
        ),
    ];
    for (host, path, query, signature) in cases {
        let request = Request {
            path: path.to_owned(),
            query: query.to_owned(),
            ..Request::plain()
        };
        let mut request = request.at_host(host);
        request.body = br#"{"a": 1}"#.to_vec();
        let body_sha256 = HEXLOWER.encode(&sha256(&request.body));
        let request = request.with("x-content-sha256", &body_sha256);
        let request = request.authorized("HMAC-SHA256", "request", &OFFICIAL.join(";"), signature);
        assert_eq!(request.check(), Ok(()), "{host} {path} {query}");
    }
}
