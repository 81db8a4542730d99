//! Whose fault a refusal is, and what a client gets when no account is left.

use super::*;
use crate::dispatch::pool::unusable::UnusableKind;

#[test]
fn when_every_account_is_dead_the_answer_is_the_same_on_the_first_call_and_the_thousandth() {
    let mut scene = Scene::of(2);
    scene.call("m", |asked| if asked == account(1) { UNAUTHORIZED } else { OK });
    scene.call("m", |_| UNAUTHORIZED);
    assert_eq!([1, 2].map(|number| scene.state(account(number))), ["disabled"; 2]);

    let answer = Unusable {
        retry_after: HOUR,
        kind: UnusableKind::NoAccount,
    };
    for _ in 0..1000 {
        let called = scene.call("m", |_| OK);
        assert!(called.asked.is_empty());
        assert_eq!(called.answer, Err(answer));
    }
}

#[test]
fn an_account_that_is_forbidden_a_model_is_not_asked_for_it_again_but_serves_the_others() {
    let mut scene = Scene::of(2);
    let script = |asked: AccountId| if asked == account(1) { FORBIDDEN } else { OK };
    let first = scene.call("secret", script);
    assert_eq!(first.asked, [account(1), account(2)]);
    assert!(first.changed.is_empty(), "nothing to write down");
    for _ in 0..100 {
        assert_eq!(scene.call("secret", script).asked, [account(2)]);
    }
    assert_eq!((scene.usable("secret"), scene.usable("other")), (1, 2));
    scene.pass(Duration::from_mins(1));
    assert_eq!(scene.usable("secret"), 2, "it comes back by itself");
}

#[test]
fn a_success_ends_the_doubling_of_a_ban() {
    let mut scene = Scene::of(2);
    for ending in [FORBIDDEN, FORBIDDEN, OK, FORBIDDEN] {
        assert_eq!(scene.usable("m"), 2);
        let mut trial = scene.trial("m", Keyed::No, 3);
        let turn = scene.turn_at(account(1), &mut trial);
        let ended = scene.pool.ended(&mut trial, turn, ending, scene.at);
        let concluded = scene.pool.conclude(&mut trial, scene.at);
        assert!(ended.changed.is_empty() && concluded.is_empty());
        scene.pass(Duration::from_mins(2));
    }
    let mut trial = scene.trial("m", Keyed::No, 3);
    let turn = scene.turn_at(account(1), &mut trial);
    drop(scene.pool.ended(&mut trial, turn, FORBIDDEN, scene.at));
    drop(scene.pool.conclude(&mut trial, scene.at));
    scene.pass(Duration::from_mins(2));
    assert_eq!(scene.usable("m"), 2, "two minutes, not eight");
}

#[test]
fn when_every_account_is_limited_the_client_learns_when_the_first_is_usable_again() {
    let mut scene = Scene::of(2);
    let script = |asked: AccountId| if asked == account(1) { limited(90) } else { limited(20) };
    let called = scene.call("m", script);
    assert_eq!(called.asked.len(), 2);
    for passed in 0..20 {
        let refused = scene.call("m", |_| OK).answer.unwrap_err();
        assert_eq!(refused.kind, UnusableKind::Limited);
        assert_eq!(refused.retry_after, Duration::from_secs(20 - passed));
        scene.pass(Duration::from_secs(1));
    }
    assert_eq!(scene.call("m", |_| OK).asked, [account(2)]);
}

#[test]
fn accounts_that_are_out_do_not_hide_that_the_others_are_limited() {
    let mut scene = Scene::of(3);
    scene.pool.disable(account(3), scene.at);
    scene.call(
        "m",
        |asked| if asked == account(1) { UNAUTHORIZED } else { limited(20) },
    );
    let refused = scene.call("m", |_| OK).answer.unwrap_err();
    assert_eq!(refused.kind, UnusableKind::Limited);
    assert_eq!(refused.retry_after, Duration::from_secs(20));
}

#[test]
fn four_dead_accounts_and_a_good_one_serve_the_first_call() {
    let mut scene = Scene::of(5);
    let script = |asked: AccountId| if asked == account(5) { OK } else { UNAUTHORIZED };
    let called = scene.call("m", script);
    assert_eq!(called.asked.len(), 5);
    assert_eq!(called.answer, Ok(OK));
    assert_eq!(called.changed.len(), 4);
    for _ in 0..100 {
        assert_eq!(scene.call("m", script).asked, [account(5)]);
    }
}

#[test]
fn if_every_account_says_the_same_to_one_call_it_is_the_calls_fault() {
    for refusal in [UNAUTHORIZED, FORBIDDEN, EXHAUSTED] {
        let mut scene = Scene::of(4);
        for _ in 0..100 {
            let called = scene.call("m", |_| refusal);
            assert_eq!(called.asked.len(), 4);
            assert_eq!(called.answer, Ok(refusal), "it passes through");
            assert!(called.changed.is_empty());
        }
        assert_eq!(scene.usable("m"), 4);
    }
}

#[test]
fn if_accounts_disagree_each_is_held_to_its_word() {
    let mut scene = Scene::of(3);
    let script = |asked: AccountId| match asked.bits() {
        1 => UNAUTHORIZED,
        2 => FORBIDDEN,
        _ => EXHAUSTED,
    };
    let called = scene.call("m", script);
    assert_eq!(called.asked.len(), 3);
    assert_eq!(
        [1, 2, 3].map(|number| scene.state(account(number))),
        ["disabled", "active", "exhausted"]
    );
    assert_eq!((scene.usable("m"), scene.usable("other")), (0, 1));
}

#[test]
fn a_connect_failure_says_nothing_of_whose_fault_a_refusal_is() {
    let mut scene = Scene::of(3);
    let script = |asked: AccountId| {
        if asked == account(2) {
            broke(Phase::Connect)
        } else {
            UNAUTHORIZED
        }
    };
    assert!(scene.call("m", script).changed.is_empty());
    assert_eq!(scene.usable("m"), 3);
}

#[test]
fn the_only_account_is_held_to_its_word() {
    let mut scene = Scene::of(2);
    scene.pool.disable(account(2), scene.at);
    let called = scene.call("m", |_| UNAUTHORIZED);
    assert_eq!(called.answer, Ok(UNAUTHORIZED));
    assert_eq!(scene.state(account(1)), "disabled");
}

#[test]
fn a_call_that_could_not_ask_everyone_cannot_blame_itself() {
    let mut scene = Scene::of(150);
    let called = scene.call("m", |_| UNAUTHORIZED);
    assert_eq!(called.asked.len(), 100);
    assert_eq!(called.changed.len(), 100);
    let next = scene.call("m", |_| UNAUTHORIZED);
    assert_eq!(next.asked.len(), 50);
    assert!(next.changed.is_empty());
}

#[test]
fn a_client_that_hangs_up_leaves_no_account_accused() {
    let mut scene = Scene::of(3);
    let mut trial = scene.trial("m", Keyed::No, 3);
    for _ in 0..2 {
        let turn = scene.choose(&mut trial).unwrap();
        let ended = scene.pool.ended(&mut trial, turn, UNAUTHORIZED, scene.at);
        assert!(ended.changed.is_empty());
    }
    drop(trial);
    assert_eq!(scene.usable("m"), 3);
}

#[test]
fn a_stream_that_begins_clears_up_whose_fault_it_was_at_once() {
    let mut scene = Scene::of(2);
    let mut trial = scene.trial("m", Keyed::No, 3);
    let first = scene.choose(&mut trial).unwrap();
    assert!(
        scene
            .pool
            .ended(&mut trial, first, UNAUTHORIZED, scene.at)
            .changed
            .is_empty()
    );
    let second = scene.choose(&mut trial).unwrap();
    let changed = scene.pool.began(&mut trial, &second, scene.at);
    assert_eq!(changed.len(), 1);
    assert_eq!(scene.state(account(1)), "disabled");
}
