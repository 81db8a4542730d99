//! Issuing, changing, rotating and revoking.

use std::time::Duration;

use super::*;
use crate::auth::{KeyChange, KeyError, Rotation};
use crate::crypto::entropy::EntropyError;
use crate::model::id::KeyId;
use crate::model::key::{KeyStatus, Standing};
use crate::store::error::StoreError;
use crate::store::{Change, Tables, keys};

const MINUTE: Duration = Duration::from_mins(1);

fn is_base32(text: &str, prefix: &str, length: usize) -> bool {
    let rest = text.strip_prefix(prefix).unwrap();
    rest.len() == length
        && rest
            .bytes()
            .all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
}

#[tokio::test]
async fn a_new_key_has_jimeng_relays_formats_and_is_its_own_owner() {
    let relay = Relay::new();
    let Issued { key, secret } = relay.key([Scope::Relay]).await;
    assert!(is_base32(&key.access_key, "ak_", 16), "{}", key.access_key);
    assert!(is_base32(secret.expose(), "sk_", 32));
    assert_eq!(key.owner, key.id.as_owner());
    assert_eq!(key.created_at, relay.clock.wall());
    assert_eq!(relay.directory.get(key.id), Some(key));
}

#[tokio::test]
async fn names_that_are_taken_are_drawn_again() {
    let relay = Relay::new();
    let issue = |script: Vec<u8>| {
        let issuer = Issuer::new(
            relay.store.clone(),
            Arc::clone(&relay.directory),
            Arc::new(Scripted(Mutex::new(script))),
            Arc::clone(&relay.clock) as Arc<dyn Clock>,
            TaskTracker::new(),
        );
        async move { issuer.create(spec([Scope::Relay]), &operator()).await }
    };
    let first = [vec![1; 8], vec![1; 10]].concat();
    let taken_id = [vec![1; 8], vec![2; 10]].concat();
    let taken_access_key = [vec![2; 8], vec![1; 10]].concat();
    let free = [vec![3; 8], vec![3; 10]].concat();

    issue(first.clone()).await.unwrap();
    let second = issue([first, taken_id, taken_access_key, free].concat()).await.unwrap();
    assert_eq!(second.key.id, KeyId::from_bits(0x0303_0303_0303_0303));

    issue(Vec::new()).await.unwrap();
    assert!(matches!(issue(Vec::new()).await, Err(KeyError::Entropy(EntropyError))));
}

#[tokio::test]
async fn keys_and_their_states_survive_a_restart() {
    let relay = Relay::new();
    let kept = relay.key([Scope::Relay]).await;
    let revoked = relay.key([Scope::Relay]).await;
    relay.issuer.revoke(revoked.key.id, &operator()).await.unwrap();
    let before = relay.directory.list();

    let relay = relay.restarted();

    assert_eq!(relay.directory.list(), before);
    assert!(relay.relay(&Request::bearer(&kept.secret)).is_ok());
    assert_eq!(
        relay.relay(&Request::bearer(&revoked.secret)).unwrap_err(),
        AuthError::Revoked
    );
}

#[tokio::test]
async fn the_list_is_newest_first_and_the_counts_follow_the_clock() {
    let relay = Relay::new();
    let mut ids = Vec::new();
    for expires_at in [None, Some(relay.clock.wall().plus(3 * MINUTE)), None] {
        let spec = KeySpec {
            expires_at,
            ..spec([Scope::Relay])
        };
        ids.insert(0, relay.issuer.create(spec, &operator()).await.unwrap().key.id);
        relay.clock.forward(MINUTE);
    }
    relay.issuer.revoke(ids[0], &operator()).await.unwrap();
    let listed: Vec<_> = relay.directory.list().iter().map(|key| key.id).collect();
    assert_eq!(listed, ids);
    assert_eq!(
        relay.directory.counts(relay.clock.wall()),
        [(KeyStatus::Active, 1), (KeyStatus::Revoked, 1), (KeyStatus::Expired, 1)]
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_field() {
    let relay = Relay::new();
    let good = || spec([Scope::Relay]);
    let cases = [
        (
            "expires_at",
            KeySpec {
                expires_at: Some(relay.clock.wall()),
                ..good()
            },
        ),
        ("scopes", spec([])),
        (
            "schemes",
            KeySpec {
                schemes: Schemes::default(),
                ..good()
            },
        ),
        (
            "description",
            KeySpec {
                description: "x".repeat(257),
                ..good()
            },
        ),
        (
            "models",
            KeySpec {
                models: Some(vec![String::new()]),
                ..good()
            },
        ),
        (
            "models",
            KeySpec {
                models: Some(vec!["m".to_owned(); 257]),
                ..good()
            },
        ),
    ];
    for (expected, spec) in cases {
        let error = relay.issuer.create(spec, &operator()).await.unwrap_err();
        assert!(
            matches!(error, KeyError::Invalid { field, .. } if field == expected),
            "{error}"
        );
    }
    assert!(relay.directory.list().is_empty() && relay.actions().is_empty());
}

#[tokio::test]
async fn an_update_changes_what_is_given_and_keeps_the_rest() {
    let relay = Relay::new();
    let Issued { key, secret } = relay.key([Scope::Relay]).await;
    relay.clock.forward(MINUTE);
    let change = KeyChange {
        description: Some("new".to_owned()),
        expires_at: Some(Some(relay.clock.wall().plus(MINUTE))),
        ..KeyChange::default()
    };
    let updated = relay.issuer.update(key.id, change, &operator()).await.unwrap();
    assert_eq!((updated.description.as_str(), updated.scopes), ("new", key.scopes));
    assert_eq!(updated.updated_at, relay.clock.wall());

    relay.clock.forward(MINUTE);
    let revived = KeyChange {
        expires_at: Some(None),
        ..KeyChange::default()
    };
    relay.issuer.update(key.id, revived, &operator()).await.unwrap();
    let relay = relay.restarted();
    assert!(relay.relay(&Request::bearer(&secret)).is_ok());
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_not_recorded() {
    let relay = Relay::new();
    let Issued { key, .. } = relay.key([Scope::Relay]).await;
    relay.clock.forward(MINUTE);
    let same = relay
        .issuer
        .update(key.id, KeyChange::default(), &operator())
        .await
        .unwrap();
    assert_eq!(same, key);
    assert_eq!(relay.actions().len(), 1);
}

#[tokio::test]
async fn a_revoked_key_stays_as_it_is() {
    let relay = Relay::new();
    let id = relay.key([Scope::Relay]).await.key.id;
    let revoked = relay.issuer.revoke(id, &operator()).await.unwrap();
    assert_eq!(revoked.standing, Standing::Revoked(relay.clock.wall()));
    relay.clock.forward(MINUTE);

    assert_eq!(relay.issuer.revoke(id, &operator()).await.unwrap(), revoked);
    let update = relay.issuer.update(id, KeyChange::default(), &operator()).await;
    assert!(matches!(update, Err(KeyError::Revoked { .. })));
    let rotation = relay.issuer.rotate(id, Rotation::default(), &operator()).await;
    assert!(matches!(rotation, Err(KeyError::Revoked { .. })));
    assert_eq!(relay.actions().len(), 2);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_found() {
    let relay = Relay::new();
    let id = KeyId::from_bits(1);
    let results = [
        relay.issuer.revoke(id, &operator()).await.map(drop),
        relay
            .issuer
            .update(id, KeyChange::default(), &operator())
            .await
            .map(drop),
        relay
            .issuer
            .rotate(id, Rotation::default(), &operator())
            .await
            .map(drop),
    ];
    for result in results {
        assert!(matches!(result, Err(KeyError::NotFound { .. })));
    }
}

#[tokio::test]
async fn each_change_is_in_the_log_book_with_its_actor() {
    let relay = Relay::new();
    let id = relay.key([Scope::Relay]).await.key.id;
    let change = KeyChange {
        description: Some("new".to_owned()),
        ..KeyChange::default()
    };
    relay.issuer.update(id, change, &operator()).await.unwrap();
    let next = relay.issuer.rotate(id, Rotation::default(), &operator()).await.unwrap();
    relay.issuer.revoke(id, &operator()).await.unwrap();
    let (id, next) = (id.to_string(), next.key.id.to_string());
    let actions = relay.actions();
    assert_eq!(
        short(&actions),
        [
            ("key.create", id.as_str()),
            ("key.update", &id),
            ("key.rotate", &id),
            ("key.create", &next),
            ("key.revoke", &id),
        ]
    );
    assert!(actions.iter().all(|action| action.actor == "control_socket"));
}

#[tokio::test]
async fn a_change_whose_caller_gave_up_is_done_and_seen_all_the_same() {
    let relay = Relay::new();
    let issued = relay.key([Scope::Relay]).await;
    let by = operator();
    let mut revocation = Box::pin(relay.issuer.revoke(issued.key.id, &by));
    assert!(futures_util::poll!(&mut revocation).is_pending());
    drop(revocation);

    // The next change waits for its turn, so the one before is published by then.
    relay.key([Scope::Relay]).await;
    assert_eq!(
        relay.relay(&Request::bearer(&issued.secret)).unwrap_err(),
        AuthError::Revoked
    );
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_seen() {
    let relay = Relay::new();
    let by = operator();
    let creations = (0..20).map(|_| relay.issuer.create(spec([Scope::Relay]), &by));
    let issued = futures_util::future::join_all(creations).await;
    assert_eq!(relay.directory.list().len(), 20);
    for issued in issued {
        assert!(relay.relay(&Request::bearer(&issued.unwrap().secret)).is_ok());
    }
}

/// Changes a row as somebody with an editor for the file would.
struct Tamper(keys::KeyRow);

impl Change for Tamper {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.put_client_key(&self.0)
    }
}

#[tokio::test]
async fn a_row_whose_scopes_standing_expiry_or_digest_were_changed_is_found_out() {
    let relay = Relay::new();
    let victim = relay.key([Scope::Relay]).await.key.id;
    let other = relay.key([Scope::Relay]).await.key.id;
    relay.issuer.revoke(victim, &operator()).await.unwrap();
    let row = |id| relay.store.read(|reader| keys::get(reader, id)).unwrap().unwrap();
    let good = row(victim);
    let digest_of_other = row(other).bearer;
    let changes: [fn(&mut keys::KeyRow); 3] = [
        |row| row.key.scopes = Scopes::all(),
        |row| row.key.standing = Standing::Active,
        |row| row.key.expires_at = Some(Timestamp::EPOCH),
    ];
    let mut tampered: Vec<_> = changes
        .iter()
        .map(|change| {
            let mut row = good.clone();
            change(&mut row);
            row
        })
        .collect();
    tampered.push(keys::KeyRow {
        bearer: digest_of_other,
        ..good.clone()
    });
    for row in tampered {
        relay.store.change(Tamper(row)).await.unwrap();
        let error = Directory::load(&relay.store).err().unwrap();
        assert!(error.to_string().contains(&victim.to_string()), "{error}");
    }
    relay.store.change(Tamper(good)).await.unwrap();
    assert!(Directory::load(&relay.store).is_ok());
}
