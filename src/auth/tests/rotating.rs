//! Replacing a key while its holder works on.

use std::time::Duration;

use super::*;
use crate::auth::{KeyError, Rotation};
use crate::model::key::KeyStatus;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn both_keys_work_during_the_grace_and_only_the_new_one_after_it() {
    let relay = Relay::new();
    let old = relay.key([Scope::Relay]).await;
    let new = relay
        .issuer
        .rotate(old.key.id, Rotation::default(), &operator())
        .await
        .unwrap();
    assert_eq!((new.key.rotation_of, new.key.owner), (Some(old.key.id), old.key.owner));

    let end = relay.clock.wall().plus(5 * MINUTE);
    relay.clock.set(end.minus(Duration::from_micros(1)));
    for issued in [&old, &new] {
        assert!(relay.relay(&Request::signed(issued, relay.clock.wall())).is_ok());
    }
    relay.clock.set(end);
    assert_eq!(
        relay.relay(&Request::bearer(&old.secret)).unwrap_err(),
        AuthError::Expired
    );
    assert!(relay.relay(&Request::bearer(&new.secret)).is_ok());
}

#[tokio::test]
async fn without_grace_the_old_key_is_revoked_at_once() {
    let relay = Relay::new();
    let old = relay.key([Scope::Relay]).await;
    let rotation = Rotation {
        grace: Duration::ZERO,
        ..Rotation::default()
    };
    relay.issuer.rotate(old.key.id, rotation, &operator()).await.unwrap();
    assert_eq!(
        relay.relay(&Request::bearer(&old.secret)).unwrap_err(),
        AuthError::Revoked
    );
}

#[tokio::test]
async fn a_rotation_never_extends_the_old_key_and_hands_on_all_it_had() {
    let relay = Relay::new();
    let end = relay.clock.wall().plus(2 * MINUTE);
    let spec = KeySpec {
        expires_at: Some(end),
        schemes: Schemes::of([Scheme::Bearer]),
        models: Some(vec!["m".to_owned()]),
        limits: Limits {
            queue: Some(2),
            tokens_per_minute: std::num::NonZeroU64::new(7),
            ..Limits::default()
        },
        ..spec([Scope::Relay, Scope::Jobs])
    };
    let old = relay.issuer.create(spec, &operator()).await.unwrap().key;
    let new = relay
        .issuer
        .rotate(old.id, Rotation::default(), &operator())
        .await
        .unwrap()
        .key;

    assert_eq!(relay.directory.get(old.id).unwrap().expires_at, Some(end));
    assert_eq!(
        (
            new.expires_at,
            new.scopes,
            new.schemes,
            &new.models,
            new.limits,
            &new.description
        ),
        (
            Some(end),
            old.scopes,
            old.schemes,
            &old.models,
            old.limits,
            &old.description
        )
    );

    relay.clock.set(end);
    let expired = relay.issuer.rotate(new.id, Rotation::default(), &operator()).await;
    assert!(matches!(
        expired,
        Err(KeyError::Invalid {
            field: "expires_at",
            ..
        })
    ));
    let rotation = Rotation {
        expires_at: Some(end.plus(MINUTE)),
        ..Rotation::default()
    };
    let third = relay.issuer.rotate(new.id, rotation, &operator()).await.unwrap().key;
    assert_eq!(third.owner, old.id.as_owner());
    assert_eq!(relay.directory.get(new.id).unwrap().status(end), KeyStatus::Expired);
}
