//! Who is let in, and what a caller learns when it is not.

use std::time::Duration;

use super::*;
use crate::auth::KeyChange;
use crate::crypto::sigv4::verify::SignatureError;
use crate::model::caller::Identity;
use crate::model::record::Refusal;

#[tokio::test]
async fn another_body_or_signature_is_told_from_an_unknown_key() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let good = Request::signed(&issued, relay.clock.wall());
    assert!(relay.relay(&good).is_ok());

    let tampered = Request {
        body: b"{}",
        ..good.clone()
    };
    assert_eq!(
        relay.relay(&tampered).unwrap_err(),
        AuthError::InvalidSignature(SignatureError::PayloadHash)
    );
    let elsewhere = Request {
        uri: "/v1/get-result".parse().unwrap(),
        ..good.clone()
    };
    let error = relay.relay(&elsewhere).unwrap_err();
    assert_eq!(error, AuthError::InvalidSignature(SignatureError::Signature));
    assert_eq!(error.refusal(), Some(Refusal::InvalidSignature));

    let mut stranger = issued;
    stranger.key.access_key = "ak_zzzzzzzzzzzzzzzz".to_owned();
    let error = relay
        .relay(&Request::signed(&stranger, relay.clock.wall()))
        .unwrap_err();
    assert_eq!(error, AuthError::UnknownKey);
    assert_eq!(error.refusal(), Some(Refusal::AuthFailed));
}

#[tokio::test]
async fn the_host_of_http_2_is_its_authority() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let mut request = Request::signed(&issued, relay.clock.wall());
    request.headers.remove("host");
    request.uri = "http://relay.local:8080/v1/submit".parse().unwrap();
    assert!(relay.relay(&request).is_ok());
}

#[tokio::test]
async fn a_bearer_is_let_in_by_either_header_and_its_body_is_not_hashed() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let requests = [
        Request::bearer(&issued.secret),
        Request::new().with("x-api-key", issued.secret.expose()),
        Request::new().with("authorization", &format!("bearer  {} ", issued.secret.expose())),
    ];
    for request in requests {
        let presented = relay.authenticator.inspect(&request.parts(), Plane::Data).unwrap();
        assert!(!presented.needs_body_hash());
        let caller = relay.relay(&request).unwrap();
        assert_eq!(caller.identity, Identity::Key(issued.key.id));
        assert_eq!(caller.owner, issued.key.owner);
    }
}

#[tokio::test]
async fn a_missing_malformed_or_unknown_credential_is_refused_before_the_body() {
    let relay = Relay::new();
    relay.key([Scope::Relay]).await;
    let cases = [
        (Request::new(), AuthError::Missing),
        (Request::new().with("authorization", " "), AuthError::Missing),
        (
            Request::new().with("authorization", "Bearer"),
            AuthError::MalformedToken,
        ),
        (Request::new().with("x-api-key", "two words"), AuthError::MalformedToken),
        (
            Request::new().with("x-api-key", &"x".repeat(2000)),
            AuthError::MalformedToken,
        ),
        (
            Request::new().with("x-api-key", "sk_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
            AuthError::UnknownKey,
        ),
        (
            Request::new().with("authorization", "Basic dTpw"),
            AuthError::Malformed(SignatureError::InvalidAuthorization),
        ),
    ];
    for (request, expected) in cases {
        let error = relay.authenticator.inspect(&request.parts(), Plane::Data).unwrap_err();
        assert_eq!(error, expected);
        assert_eq!(error.refusal(), Some(Refusal::AuthFailed));
    }
}

#[tokio::test]
async fn a_header_that_is_read_once_may_not_come_twice() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    for name in [
        "host",
        "authorization",
        "x-date",
        "x-content-sha256",
        "x-api-key",
        "idempotency-key",
    ] {
        let request = Request::bearer(&issued.secret).adding(name, "a");
        let request = if request.headers.get_all(name).iter().count() < 2 {
            request.adding(name, "a")
        } else {
            request
        };
        let error = relay.relay(&request).unwrap_err();
        assert_eq!(
            error,
            AuthError::RepeatedHeader {
                name: name.parse().unwrap()
            }
        );
        assert_eq!(error.refusal(), None);
    }
}

#[tokio::test]
async fn two_credentials_at_once_are_refused_even_if_both_are_good() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let request = Request::signed(&issued, relay.clock.wall()).with("x-api-key", issued.secret.expose());
    assert_eq!(relay.relay(&request).unwrap_err(), AuthError::TwoCredentials);
}

#[tokio::test]
async fn the_state_of_a_key_is_told_only_to_who_holds_it() {
    let relay = Relay::new();
    let revoked = relay.key([Scope::Relay]).await;
    relay.issuer.revoke(revoked.key.id, &operator()).await.unwrap();
    let spec = KeySpec {
        expires_at: Some(relay.clock.wall().plus(Duration::from_mins(1))),
        ..spec([Scope::Relay])
    };
    let expired = relay.issuer.create(spec, &operator()).await.unwrap();
    relay.clock.forward(Duration::from_mins(1));

    for (issued, state) in [(revoked, AuthError::Revoked), (expired, AuthError::Expired)] {
        let now = relay.clock.wall();
        assert_eq!(relay.relay(&Request::bearer(&issued.secret)).unwrap_err(), state);
        assert_eq!(relay.relay(&Request::signed(&issued, now)).unwrap_err(), state);

        let guess = Issued {
            secret: Secret::new("sk_guess".to_owned()),
            ..issued
        };
        assert_eq!(
            relay.relay(&Request::signed(&guess, now)).unwrap_err(),
            AuthError::InvalidSignature(SignatureError::Signature)
        );
    }
}

#[tokio::test]
async fn the_scheme_comes_first_then_revocation_then_expiry_then_the_scope() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Jobs]).await;
    let id = issued.key.id;
    let request = Request::bearer(&issued.secret);
    let by = operator();
    let change = |change: KeyChange| relay.issuer.update(id, change, &by);

    let denied = AuthError::ScopeDenied { scope: Scope::Relay };
    assert_eq!(relay.relay(&request).unwrap_err(), denied);

    let expires_at = relay.clock.wall().plus(Duration::from_secs(1));
    let expiring = KeyChange {
        expires_at: Some(Some(expires_at)),
        ..KeyChange::default()
    };
    change(expiring).await.unwrap();
    relay.clock.forward(Duration::from_secs(1));
    assert_eq!(relay.relay(&request).unwrap_err(), AuthError::Expired);

    let signed_only = KeyChange {
        schemes: Some(Schemes::of([Scheme::Signed])),
        ..KeyChange::default()
    };
    change(signed_only).await.unwrap();
    relay.issuer.revoke(id, &operator()).await.unwrap();
    assert_eq!(
        relay.relay(&request).unwrap_err(),
        AuthError::SchemeNotAllowed { scheme: Scheme::Bearer }
    );
    let signed = Request::signed(&issued, relay.clock.wall());
    assert_eq!(relay.relay(&signed).unwrap_err(), AuthError::Revoked);
}

#[tokio::test]
async fn a_revocation_holds_for_a_request_whose_body_is_still_coming() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let request = Request::bearer(&issued.secret);
    let presented = relay.authenticator.inspect(&request.parts(), Plane::Data).unwrap();
    relay.issuer.revoke(issued.key.id, &operator()).await.unwrap();
    let verified = relay
        .authenticator
        .verify(&presented, &request.parts(), &[0; 32], Scope::Relay);
    assert_eq!(verified.unwrap_err(), AuthError::Revoked);
}

#[tokio::test]
async fn a_caller_has_its_keys_models_and_limits_as_they_are_now() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let request = Request::bearer(&issued.secret);
    assert!(relay.relay(&request).unwrap().may_use("anything"));

    let change = KeyChange {
        models: Some(Some(vec!["jimeng_t2i_v40".to_owned()])),
        limits: Some(Limits {
            concurrency: std::num::NonZeroU32::new(3),
            queue: Some(0),
            ..Limits::default()
        }),
        ..KeyChange::default()
    };
    relay.issuer.update(issued.key.id, change, &operator()).await.unwrap();
    let caller = relay.relay(&request).unwrap();
    assert!(caller.may_use("jimeng_t2i_v40") && !caller.may_use("anything"));
    assert_eq!(caller.limits.queue, Some(0));
}

#[tokio::test]
async fn the_admin_token_administers_and_relays_nothing() {
    let relay = Relay::new();
    let request = Request::new().with("x-api-key", ADMIN_TOKEN);
    let caller = relay.enter(&request, Plane::Admin, Scope::Admin).unwrap();
    assert_eq!(caller.identity, Identity::AdminToken);
    assert_eq!(
        relay.relay(&request).unwrap_err(),
        AuthError::ScopeDenied { scope: Scope::Relay }
    );
    let almost = Request::new().with("x-api-key", &ADMIN_TOKEN.replace('3', "4"));
    assert_eq!(
        relay.enter(&almost, Plane::Admin, Scope::Admin).unwrap_err(),
        AuthError::UnknownKey
    );
}

#[tokio::test]
async fn a_signed_admin_request_is_accepted_once_and_a_relayed_one_again() {
    let relay = Relay::new();
    let issued = relay.key(Scope::ALL.iter().copied()).await;
    let request = Request::signed(&issued, relay.clock.wall());
    assert!(relay.enter(&request, Plane::Admin, Scope::Admin).is_ok());
    assert_eq!(
        relay.enter(&request, Plane::Admin, Scope::Admin).unwrap_err(),
        AuthError::Replayed
    );
    assert!(relay.relay(&request).is_ok());
    assert!(relay.relay(&request).is_ok());
}

#[tokio::test]
async fn a_signed_admin_request_is_not_accepted_again_after_a_restart() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Admin]).await;
    let request = Request::signed(&issued, relay.clock.wall());
    assert!(relay.enter(&request, Plane::Admin, Scope::Admin).is_ok());

    relay.clock.forward(Duration::from_secs(2));
    let relay = relay.restarted();

    assert_eq!(
        relay.enter(&request, Plane::Admin, Scope::Admin).unwrap_err(),
        AuthError::Replayed
    );
    let anew = Request::signed(&issued, relay.clock.wall());
    assert!(relay.enter(&anew, Plane::Admin, Scope::Admin).is_ok());
}

#[tokio::test]
async fn a_refused_admin_request_does_not_use_its_signature_up() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let request = Request::signed(&issued, relay.clock.wall());
    for _ in 0..2 {
        assert_eq!(
            relay.enter(&request, Plane::Admin, Scope::Admin).unwrap_err(),
            AuthError::ScopeDenied { scope: Scope::Admin }
        );
    }
}

#[tokio::test]
async fn nothing_that_can_be_printed_holds_a_secret() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let bearer = Request::bearer(&issued.secret);
    let signed = Request::signed(&issued, relay.clock.wall());
    let admin = Request::new().with("x-api-key", ADMIN_TOKEN);
    let mut printed = vec![
        format!("{issued:?}"),
        format!("{:?}", relay.directory.entry(issued.key.id)),
        format!("{:?}", relay.directory.list()),
        format!("{:?}", relay.actions()),
    ];
    for request in [&bearer, &signed, &admin] {
        printed.push(format!(
            "{:?}",
            relay.authenticator.inspect(&request.parts(), Plane::Data)
        ));
        printed.push(format!("{:?}", relay.relay(request)));
    }
    let with_signature = signed.headers["authorization"].to_str().unwrap();
    let signature = with_signature.rsplit('=').next().unwrap();
    for secret in [issued.secret.expose(), ADMIN_TOKEN, signature] {
        assert!(!printed.iter().any(|text| text.contains(secret)), "{printed:?}");
        assert!(!relay.file.contains(secret));
    }
    // The search finds what is there.
    assert!(relay.file.contains(&issued.key.access_key));
    assert!(printed.iter().any(|text| text.contains(&issued.key.access_key)));
}
