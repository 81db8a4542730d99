//! What we sign.

use std::time::Duration;

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::{Request, golden, now, signer};
use crate::crypto::digest::sha256;
use crate::crypto::sigv4::sign::Unsigned;
use crate::crypto::sigv4::verify::SignatureError;

const BODY_SHA256: [u8; 32] = [7; 32];

const UNSIGNED: Unsigned<'_> = Unsigned {
    method: "POST",
    host: "relay.local:8080",
    path: "/",
    query: "Action=CVSync2AsyncSubmitTask&Version=2022-08-31",
    content_type: "application/json",
    body_sha256: &BODY_SHA256,
};

#[test]
fn our_signature_equals_that_of_the_official_signers() {
    let golden = golden();
    let body_sha256 = sha256(golden.body.as_bytes());
    let signature = signer().sign(
        &Unsigned {
            body_sha256: &body_sha256,
            ..UNSIGNED
        },
        now(),
    );
    assert_eq!(signature.authorization, Request::plain().headers["authorization"]);
    assert_eq!(
        (signature.x_date, signature.x_content_sha256),
        (golden.x_date, golden.body_sha256)
    );
}

#[test]
fn a_default_port_is_not_signed() {
    let signed = |host| signer().sign(&Unsigned { host, ..UNSIGNED }, now());
    assert_eq!(signed("relay.local:443"), signed("relay.local"));
    assert_eq!(signed("relay.local:80"), signed("relay.local"));
    assert_ne!(signed("relay.local:8080"), signed("relay.local"));
}

#[test]
fn a_signer_follows_the_day() {
    let signer = signer();
    let tomorrow = now().plus(Duration::from_hours(24));
    let today = signer.sign(&UNSIGNED, now());
    let next_day = signer.sign(&UNSIGNED, tomorrow);
    assert!(next_day.authorization.contains("/20260225/"));
    assert_eq!(next_day, super::signer().sign(&UNSIGNED, tomorrow));
    assert_eq!(today, signer.sign(&UNSIGNED, now()));
}

#[test]
fn a_signer_prints_neither_its_secret_nor_a_signature() {
    assert!(!format!("{:?}", signer()).contains("bbbb"));
    assert!(!format!("{:?}", signer().sign(&UNSIGNED, now())).contains("Signature="));
}

proptest! {
    #[test]
    fn what_we_sign_verifies_and_any_changed_byte_of_the_body_does_not(
        path in "/[ -~]{0,20}",
        query in "[ -~é%+&=]{0,60}",
        host in "[A-Za-z0-9.-]{1,20}(:[0-9]{1,5})?",
        body in prop::collection::vec(any::<u8>(), 1..200),
        at: prop::sample::Index,
        change in 1..=u8::MAX,
    ) {
        let unsigned = Unsigned { host: &host, path: &path, query: &query, body_sha256: &sha256(&body), ..UNSIGNED };
        let signature = signer().sign(&unsigned, now());
        let mut request = Request { path: path.clone(), query: query.clone(), body, ..Request::plain() }
            .at_host(&host)
            .with("authorization", &signature.authorization)
            .with("x-date", &signature.x_date)
            .with("x-content-sha256", &signature.x_content_sha256);
        prop_assert_eq!(request.check(), Ok(()));

        let at = at.index(request.body.len());
        request.body[at] ^= change;
        prop_assert_eq!(request.check(), Err(SignatureError::PayloadHash));
        let new_hash = HEXLOWER.encode(&sha256(&request.body));
        prop_assert_eq!(request.with("x-content-sha256", &new_hash).check(), Err(SignatureError::Signature));
    }
}
