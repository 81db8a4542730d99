//! One goes on, the others wait for what it learns.

use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn first(claims: &Arc<Claims>, key: u8) -> Guard {
    match claims.enter(digest(key), digest(0)) {
        Entered::First(guard) => guard,
        _ => panic!("the key is taken"),
    }
}

fn behind(claims: &Arc<Claims>, key: u8) -> Waiter {
    match claims.enter(digest(key), digest(0)) {
        Entered::Behind(waiter) => waiter,
        _ => panic!("not behind"),
    }
}

#[tokio::test]
async fn a_waiter_hears_what_the_first_learned() {
    let claims = Arc::new(Claims::default());
    let guard = first(&claims, 1);
    let waiter = behind(&claims, 1);
    guard.learn(Shared::Unknown { intent: 7 });
    drop(guard);
    assert!(matches!(waiter.hear().await, Shared::Unknown { intent: 7 }));
}

#[tokio::test]
async fn a_dropped_first_leaves_the_key_to_exactly_one() {
    let claims = Arc::new(Claims::default());
    let guard = first(&claims, 1);
    let waiters = [behind(&claims, 1), behind(&claims, 1)];
    drop(guard);
    for waiter in waiters {
        assert!(matches!(waiter.hear().await, Shared::Unsent));
    }
    let _next = first(&claims, 1);
    let _behind = behind(&claims, 1);
}

#[test]
fn the_seventeenth_duplicate_is_turned_away_and_a_place_comes_back() {
    let claims = Arc::new(Claims::default());
    let _guard = first(&claims, 1);
    let mut waiters: Vec<_> = (0..16).map(|_| behind(&claims, 1)).collect();
    assert!(matches!(claims.enter(digest(1), digest(0)), Entered::Crowded));
    assert_eq!(claims.waiting(), 16);
    waiters.pop();
    assert_eq!(claims.waiting(), 15);
    let _again = behind(&claims, 1);
}

#[test]
fn another_body_under_the_same_key_is_a_conflict() {
    let claims = Arc::new(Claims::default());
    let _guard = first(&claims, 1);
    assert!(matches!(claims.enter(digest(1), digest(9)), Entered::Conflict));
}

/// What somebody does with one of three keys.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Enters with a key, under one of two bodies.
    Enter { key: u8, body: u8 },
    /// The holder of a key tells what it learned.
    Tell { key: u8, lesson: Lesson },
    /// The holder of a key goes without a word.
    GiveUp { key: u8 },
    /// One of those who wait for a key hangs up.
    HangUp { key: u8, which: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lesson {
    Unknown,
    Unsent,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..3_u8;
    let lesson = prop_oneof![Just(Lesson::Unknown), Just(Lesson::Unsent)];
    prop_oneof![
        6 => (key.clone(), 0..2_u8).prop_map(|(key, body)| Step::Enter { key, body }),
        1 => (key.clone(), lesson).prop_map(|(key, lesson)| Step::Tell { key, lesson }),
        1 => key.clone().prop_map(|key| Step::GiveUp { key }),
        2 => (key, 0..32_usize).prop_map(|(key, which)| Step::HangUp { key, which }),
    ]
}

/// One use of a key, as it should be.
struct Model {
    guard: Guard,
    body: u8,
    waiters: Vec<Waiter>,
}

/// Everybody who waited hears the same, at once.
fn hear_all(waiters: Vec<Waiter>, lesson: Lesson) -> Result<(), TestCaseError> {
    for waiter in waiters {
        let heard = waiter.hear().now_or_never();
        let fits = match lesson {
            Lesson::Unknown => matches!(heard, Some(Shared::Unknown { intent: 7 })),
            Lesson::Unsent => matches!(heard, Some(Shared::Unsent)),
        };
        prop_assert!(fits, "{heard:?}");
    }
    Ok(())
}

proptest! {
    /// Whatever happens, a key has one holder; others wait, conflict or are turned away; and all is given back.
    #[test]
    fn a_key_has_one_holder_and_everything_is_given_back(steps in vec(step(), 0..200)) {
        let claims = Arc::new(Claims::default());
        let mut models: HashMap<u8, Model> = HashMap::new();
        for step in steps {
            match step {
                Step::Enter { key, body } => match (claims.enter(digest(key), digest(100 + body)), models.get_mut(&key)) {
                    (Entered::First(guard), None) => {
                        models.insert(key, Model { guard, body, waiters: Vec::new() });
                    }
                    (Entered::Conflict, Some(model)) => prop_assert_ne!(model.body, body),
                    (Entered::Behind(waiter), Some(model)) => {
                        prop_assert_eq!(model.body, body);
                        prop_assert!(model.waiters.len() < MOST_WAITING);
                        model.waiters.push(waiter);
                    }
                    (Entered::Crowded, Some(model)) => prop_assert_eq!(model.waiters.len(), MOST_WAITING),
                    (_, model) => prop_assert!(false, "a key with a holder: {}", model.is_some()),
                },
                Step::Tell { key, lesson } => if let Some(Model { guard, waiters, .. }) = models.remove(&key) {
                    guard.learn(match lesson {
                        Lesson::Unknown => Shared::Unknown { intent: 7 },
                        Lesson::Unsent => Shared::Unsent,
                    });
                    drop(guard);
                    hear_all(waiters, lesson)?;
                },
                Step::GiveUp { key } => if let Some(Model { guard, waiters, .. }) = models.remove(&key) {
                    drop(guard);
                    hear_all(waiters, Lesson::Unsent)?;
                },
                Step::HangUp { key, which } => if let Some(model) = models.get_mut(&key)
                    && which < model.waiters.len()
                {
                    model.waiters.swap_remove(which);
                },
            }
            prop_assert_eq!(claims.lock().len(), models.len());
        }
        for (key, model) in &models {
            prop_assert_eq!(claims.lock()[&digest(*key)].waiting, model.waiters.len());
        }
        models.clear();
        prop_assert!(claims.lock().is_empty());
    }
}
