//! A key hands on no more than it has.

use std::num::{NonZeroU32, NonZeroU64};

use proptest::prelude::*;

use super::*;
use crate::auth::{KeyChange, KeyError, Rotation};
use crate::model::key::ApiKey;
use crate::model::money::Budget;

/// The actor that the holder of a key is, by way of authentication.
fn holder(relay: &Relay, issued: &Issued) -> Actor {
    let caller = relay.enter(&Request::bearer(&issued.secret), Plane::Admin, Scope::Admin);
    Actor::of(&caller.unwrap(), None)
}

fn exceeds(result: &Result<impl Sized, KeyError>, expected: &str) -> bool {
    matches!(result, Err(KeyError::Exceeds { field }) if *field == expected)
}

/// An admin key with a little of everything.
fn modest() -> KeySpec {
    KeySpec {
        schemes: Schemes::of([Scheme::Bearer]),
        models: Some(vec!["a".to_owned(), "b".to_owned()]),
        limits: Limits {
            concurrency: NonZeroU32::new(2),
            queue: Some(5),
            ..Limits::default()
        },
        ..spec([Scope::Admin, Scope::Relay])
    }
}

#[tokio::test]
async fn a_key_creates_keys_within_itself_and_no_others() {
    let relay = Relay::new();
    let admin = relay.issuer.create(modest(), &operator()).await.unwrap();
    let by = holder(&relay, &admin);
    assert_eq!(by.name, admin.key.id.to_string());

    let within = KeySpec {
        models: Some(vec!["b".to_owned()]),
        ..modest()
    };
    assert!(relay.issuer.create(within, &by).await.is_ok());
    let cases = [
        (
            "scopes",
            KeySpec {
                scopes: Scopes::all(),
                ..modest()
            },
        ),
        (
            "schemes",
            KeySpec {
                schemes: Schemes::all(),
                ..modest()
            },
        ),
        (
            "models",
            KeySpec {
                models: None,
                ..modest()
            },
        ),
        (
            "models",
            KeySpec {
                models: Some(vec!["c".to_owned()]),
                ..modest()
            },
        ),
        (
            "limits",
            KeySpec {
                limits: Limits::default(),
                ..modest()
            },
        ),
    ];
    for (field, spec) in cases {
        assert!(exceeds(&relay.issuer.create(spec, &by).await, field), "{field}");
    }
}

#[tokio::test]
async fn a_key_neither_takes_over_nor_changes_one_that_may_do_more() {
    let relay = Relay::new();
    let admin = relay.issuer.create(modest(), &operator()).await.unwrap();
    let by = holder(&relay, &admin);
    let greater = relay.key(Scope::ALL.iter().copied()).await.key.id;

    let rotation = relay.issuer.rotate(greater, Rotation::default(), &by).await;
    assert!(exceeds(&rotation, "scopes"));
    let lowered = KeyChange {
        scopes: Some(Scopes::of([Scope::Relay])),
        ..KeyChange::default()
    };
    assert!(exceeds(&relay.issuer.update(greater, lowered, &by).await, "scopes"));
    let raised = KeyChange {
        limits: Some(Limits::default()),
        ..KeyChange::default()
    };
    assert!(exceeds(&relay.issuer.update(admin.key.id, raised, &by).await, "limits"));
    assert!(relay.issuer.revoke(greater, &by).await.is_ok());
}

#[tokio::test]
async fn an_actor_whose_key_was_revoked_meanwhile_hands_on_nothing() {
    let relay = Relay::new();
    let admin = relay.issuer.create(modest(), &operator()).await.unwrap();
    let by = holder(&relay, &admin);
    relay.issuer.revoke(admin.key.id, &operator()).await.unwrap();
    let created = relay.issuer.create(modest(), &by).await;
    assert!(matches!(created, Err(KeyError::ActorNotActive)));
}

#[test]
fn the_operators_callers_have_full_authority() {
    use crate::model::caller::Identity;
    for identity in [Identity::AdminToken, Identity::ControlSocket] {
        let actor = Actor::of(&Caller::administrator(identity), None);
        assert_eq!((actor.name, actor.authority), (identity.to_string(), Authority::Full));
    }
}

/// Whether `key` may do something that `root` may not.
fn is_wider(key: &ApiKey, root: &ApiKey) -> bool {
    let models = match (&key.models, &root.models) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(models), Some(own)) => models.iter().any(|model| !own.contains(model)),
    };
    models
        || !key.scopes.is_within(root.scopes)
        || !key.schemes.is_within(root.schemes)
        || !key.limits.is_within(&root.limits)
}

prop_compose! {
    fn any_budget()(currency in prop::sample::select(&["CNY", "USD"][..]), day in 0_u64..4, month in 1_u64..4) -> Budget {
        Budget {
            currency: currency.parse().unwrap(),
            day: NonZeroU64::new(day),
            month: NonZeroU64::new(month),
        }
    }
}

prop_compose! {
    fn any_spec()(
        scopes in prop::collection::vec(prop::sample::select(Scope::ALL), 0..3),
        bearer_only: bool,
        models in prop::option::of(prop::collection::vec(prop::sample::select(&["a", "b", "c"][..]), 0..3)),
        concurrency in prop::option::of(1_u32..4),
        queue in prop::option::of(0_u32..3),
        minute in prop::option::of(1_u32..4),
        day in prop::option::of(1_u32..4),
        tokens in prop::option::of(1_u64..4),
        budget in prop::option::of(any_budget()),
    ) -> KeySpec {
        KeySpec {
            scopes: Scopes::of(scopes.into_iter().chain([Scope::Admin])),
            schemes: if bearer_only { Schemes::of([Scheme::Bearer]) } else { Schemes::all() },
            models: models.map(|models| models.into_iter().map(str::to_owned).collect()),
            limits: Limits {
                concurrency: concurrency.and_then(NonZeroU32::new),
                queue,
                requests_per_minute: minute.and_then(NonZeroU32::new),
                requests_per_day: day.and_then(NonZeroU32::new),
                tokens_per_minute: tokens.and_then(NonZeroU64::new),
                budget,
            },
            ..spec([])
        }
    }
}

/// One step of somebody who tries to get more: with which of the keys, on which, how.
#[derive(Clone, Debug)]
enum Step {
    Create(KeySpec),
    Update(prop::sample::Index, KeySpec),
    Rotate(prop::sample::Index),
}

fn any_step() -> impl Strategy<Value = (prop::sample::Index, Step)> {
    let step = prop_oneof![
        any_spec().prop_map(Step::Create),
        (any::<prop::sample::Index>(), any_spec()).prop_map(|(on, spec)| Step::Update(on, spec)),
        any::<prop::sample::Index>().prop_map(Step::Rotate),
    ];
    (any::<prop::sample::Index>(), step)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_sequence_of_changes_widens_authority(
        root in any_spec(),
        greater in any_spec(),
        steps in prop::collection::vec(any_step(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let relay = Relay::new();
            let root = relay.issuer.create(root, &operator()).await.unwrap();
            let greater = relay.issuer.create(greater, &operator()).await.unwrap().key;
            // Keys whose secrets the attacker knows.
            let mut held = vec![root.clone()];
            for (with, step) in steps {
                let by = holder(&relay, &held[with.index(held.len())]);
                let targets = relay.directory.list();
                match step {
                    Step::Create(spec) => held.extend(relay.issuer.create(spec, &by).await),
                    Step::Update(on, spec) => {
                        let change = KeyChange {
                            scopes: Some(spec.scopes),
                            schemes: Some(spec.schemes),
                            models: Some(spec.models),
                            limits: Some(spec.limits),
                            ..KeyChange::default()
                        };
                        let target = targets[on.index(targets.len())].id;
                        drop(relay.issuer.update(target, change, &by).await);
                    }
                    Step::Rotate(on) => {
                        let target = targets[on.index(targets.len())].id;
                        held.extend(relay.issuer.rotate(target, Rotation::default(), &by).await);
                    }
                }
            }
            for issued in &held {
                let key = relay.directory.get(issued.key.id).unwrap();
                assert!(!is_wider(&key, &root.key), "{key:?} is wider than {:?}", root.key);
            }
            let untouched = relay.directory.get(greater.id).unwrap();
            assert!(!is_wider(&untouched, &greater) || !is_wider(&untouched, &root.key));
        });
    }
}
