//! How far one call goes.

use super::*;
use crate::telemetry::metrics::RetryReason;

#[test]
fn attempts_that_count_are_bounded_and_switches_cost_none() {
    let mut scene = Scene::of(9);
    let script = |asked: AccountId| if asked.bits() <= 4 { UNAUTHORIZED } else { FAILING };
    assert_eq!(scene.call("m", script).asked.len(), 4 + 3);
    let mut scene = Scene::of(9);
    let trial = scene.trial("m", Keyed::No, 1);
    assert_eq!(scene.run(trial, |_| broke(Phase::Connect)).asked.len(), 1);
}

#[test]
fn a_call_goes_on_only_after_what_was_certainly_not_done() {
    for (ending, keyed, attempts) in [
        (broke(Phase::Connect), Keyed::Yes, 3),
        (replied(Symptom::Limited), Keyed::Yes, 3),
        (FAILING, Keyed::No, 3),
        (FAILING, Keyed::Yes, 1),
        (broke(Phase::Head), Keyed::No, 1),
        (broke(Phase::Body), Keyed::No, 1),
        (NEUTRAL, Keyed::No, 1),
        (OK, Keyed::No, 1),
    ] {
        let mut scene = Scene::of(5);
        let trial = scene.trial("m", keyed, 3);
        assert_eq!(
            scene.run(trial, |_| ending).asked.len(),
            attempts,
            "{ending:?} {keyed:?}"
        );
    }
}

#[test]
fn nothing_is_sent_again_after_a_byte_of_a_reply_was_forwarded() {
    for ending in [
        FAILING,
        broke(Phase::Connect),
        broke(Phase::Body),
        UNAUTHORIZED,
        limited(1),
    ] {
        let mut scene = Scene::of(3);
        let mut trial = scene.trial("m", Keyed::No, 3);
        let turn = scene.choose(&mut trial).unwrap();
        assert!(scene.pool.began(&mut trial, &turn, scene.at).is_empty());
        assert_eq!(scene.pool.ended(&mut trial, turn, ending, scene.at).next, Next::Stop);
    }
}

#[test]
fn the_only_account_is_asked_again_after_a_short_wait_that_it_asked_for() {
    let mut scene = Scene::of(1);
    let mut answers = [limited(3), limited(2), OK].into_iter();
    let begun = scene.at.now;
    let called = scene.call("m", |_| answers.next().unwrap());
    assert_eq!(called.answer, Ok(OK));
    assert_eq!(scene.at.now - begun, Duration::from_secs(5));
    assert_eq!(scene.call("m", |_| limited(60)).asked.len(), 1);
}

#[test]
fn no_attempt_begins_past_the_deadline() {
    let mut scene = Scene::of(1);
    let latest = scene.at.now + Duration::from_secs(3);
    let bounds = Bounds {
        max_attempts: 3,
        latest,
        keyed: Keyed::No,
    };
    assert_eq!(scene.run(Trial::new("m", bounds), |_| limited(3)).asked.len(), 1);
    let mut scene = Scene::of(2);
    let bounds = Bounds {
        max_attempts: 3,
        latest: scene.at.now,
        keyed: Keyed::No,
    };
    assert_eq!(scene.run(Trial::new("m", bounds), |_| UNAUTHORIZED).asked.len(), 1);
}

#[test]
fn retries_of_an_upstream_in_trouble_are_a_tenth_of_its_calls() {
    let mut scene = Scene::of(1000);
    let mut attempts = 0;
    for _ in 0..1000 {
        let mut turn = 0;
        attempts += scene
            .call("m", |_| {
                turn += 1;
                if turn == 1 { FAILING } else { OK }
            })
            .asked
            .len();
    }
    assert_eq!(attempts, 1000 + 10 + 100);
}

#[test]
fn a_switch_names_its_reason() {
    for (ending, reason) in [
        (UNAUTHORIZED, RetryReason::Refused),
        (replied(Symptom::Limited), RetryReason::Limited),
        (FAILING, RetryReason::Failed),
        (broke(Phase::Connect), RetryReason::Connect),
    ] {
        let mut scene = Scene::of(2);
        let mut trial = scene.trial("m", Keyed::No, 3);
        let turn = scene.choose(&mut trial).unwrap();
        let ended = scene.pool.ended(&mut trial, turn, ending, scene.at);
        assert_eq!(ended.next, Next::Elsewhere(reason));
    }
}
