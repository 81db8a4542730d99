//! Taking over jimeng-relay's keys.

use super::*;
use crate::auth::Imported;
use crate::model::id::KeyId;
use crate::model::key::Standing;
use crate::model::legacy::LegacyKey;

fn legacy(number: u64, rotation_of: Option<u64>) -> LegacyKey {
    LegacyKey {
        id: KeyId::from_bits(number),
        access_key: format!("ak_{number:016}"),
        secret: Secret::new(format!("sk_{number:032}")),
        description: format!("key {number}"),
        created_at: Timestamp::from_seconds(1),
        updated_at: Timestamp::from_seconds(2),
        expires_at: None,
        standing: Standing::Active,
        rotation_of: rotation_of.map(KeyId::from_bits),
    }
}

/// A request signed with an imported key.
fn signed(relay: &Relay, number: u64) -> Request {
    let issued = Issued {
        key: relay.directory.get(KeyId::from_bits(number)).unwrap(),
        secret: legacy(number, None).secret,
    };
    Request::signed(&issued, relay.clock.wall())
}

#[tokio::test]
async fn an_imported_key_keeps_its_names_times_and_state_and_may_relay_signed() {
    let relay = Relay::new();
    let revoked = LegacyKey {
        standing: Standing::Revoked(Timestamp::from_seconds(2)),
        ..legacy(2, None)
    };
    let expired = LegacyKey {
        expires_at: Some(Timestamp::from_seconds(3)),
        ..legacy(3, None)
    };
    let imported = relay
        .issuer
        .import(vec![legacy(1, None), revoked, expired], &operator())
        .await;
    assert_eq!(imported.unwrap(), Imported { added: 3, skipped: 0 });

    let relay = relay.restarted();
    let key = relay.directory.get(KeyId::from_bits(1)).unwrap();
    assert_eq!(
        (key.description.as_str(), key.created_at),
        ("key 1", Timestamp::from_seconds(1))
    );
    assert_eq!(key.scopes, Scopes::of([Scope::Relay]));
    assert!(relay.relay(&signed(&relay, 1)).is_ok());
    assert_eq!(relay.relay(&signed(&relay, 2)).unwrap_err(), AuthError::Revoked);
    assert_eq!(relay.relay(&signed(&relay, 3)).unwrap_err(), AuthError::Expired);
    assert_eq!(
        relay.relay(&Request::bearer(&legacy(1, None).secret)).unwrap_err(),
        AuthError::SchemeNotAllowed { scheme: Scheme::Bearer }
    );
    let actions = relay.actions();
    assert_eq!(actions.len(), 3);
    assert!(actions.iter().all(|action| action.action == "key.import"));
}

#[tokio::test]
async fn the_root_of_a_rotation_chain_owns_it_in_any_order_even_if_its_row_is_gone() {
    let relay = Relay::new();
    let keys = vec![
        legacy(3, Some(2)),
        legacy(1, None),
        legacy(2, Some(1)),
        legacy(5, Some(4)),
    ];
    relay.issuer.import(keys, &operator()).await.unwrap();
    let later = vec![legacy(6, Some(3)), legacy(7, Some(4))];
    relay.issuer.import(later, &operator()).await.unwrap();
    let owner = |number| relay.directory.get(KeyId::from_bits(number)).unwrap().owner;
    for (number, root) in [(1, 1), (2, 1), (3, 1), (6, 1), (5, 4), (7, 4)] {
        assert_eq!(owner(number), KeyId::from_bits(root).as_owner(), "{number}");
    }
}

#[tokio::test]
async fn links_that_run_in_a_circle_leave_a_key_on_its_own() {
    let relay = Relay::new();
    relay
        .issuer
        .import(vec![legacy(1, Some(2)), legacy(2, Some(1))], &operator())
        .await
        .unwrap();
    let owner = |number| relay.directory.get(KeyId::from_bits(number)).unwrap().owner;
    assert_eq!(owner(1), KeyId::from_bits(1).as_owner());
    assert_eq!(owner(2), KeyId::from_bits(2).as_owner());
}

#[tokio::test]
async fn what_is_there_already_is_skipped_and_not_touched() {
    let relay = Relay::new();
    relay.issuer.import(vec![legacy(1, None)], &operator()).await.unwrap();
    let same_access_key = LegacyKey {
        id: KeyId::from_bits(9),
        ..legacy(1, None)
    };
    let renamed = LegacyKey {
        description: "other".to_owned(),
        ..legacy(1, None)
    };
    let keys = vec![renamed, same_access_key, legacy(2, None), legacy(2, None)];
    let again = relay.issuer.import(keys, &operator()).await.unwrap();
    assert_eq!(again, Imported { added: 1, skipped: 3 });
    assert_eq!(relay.directory.get(KeyId::from_bits(1)).unwrap().description, "key 1");
    assert_eq!(relay.directory.list().len(), 2);
}
