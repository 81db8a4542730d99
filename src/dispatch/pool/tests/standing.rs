//! How replies and people change how an account stands, and how it comes back.

use super::*;
use crate::dispatch::pool::breaker::BreakerState;
use crate::dispatch::pool::unusable::UnusableKind;
use crate::model::account::StateReason;

#[test]
fn a_401_disables_and_a_402_exhausts_until_a_probe_an_hour_later_succeeds() {
    for (ending, state) in [(UNAUTHORIZED, "disabled"), (EXHAUSTED, "exhausted")] {
        let mut scene = Scene::of(1);
        let called = scene.call("m", |_| ending);
        assert_eq!(called.changed, [(account(1), scene.standing(account(1)))]);
        assert_eq!(scene.state(account(1)), state);

        scene.pass(HOUR.saturating_sub(TICK));
        assert!(scene.call("m", |_| OK).answer.is_err());
        scene.pass(TICK);
        let again = scene.call("m", |_| ending);
        assert_eq!(again.asked.len(), 1, "the probe");
        assert_eq!(scene.state(account(1)), state);
        assert!(scene.call("m", |_| OK).answer.is_err(), "another hour");

        scene.pass(HOUR);
        let healed = scene.call("m", |_| OK);
        assert_eq!(healed.changed, [(account(1), Standing::fresh(scene.at.wall))]);
        assert_eq!(scene.state(account(1)), "active");
    }
}

#[test]
fn one_call_at_a_time_probes_and_a_lost_probe_gives_its_place_back() {
    let mut scene = Scene::of(1);
    scene.call("m", |_| UNAUTHORIZED);
    scene.pass(HOUR);
    let mut first = scene.trial("m", Keyed::No, 3);
    let mut second = scene.trial("m", Keyed::No, 3);
    let probe = scene.choose(&mut first).unwrap();
    let refused = scene.choose(&mut second).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(1));
    drop(probe);
    assert!(scene.choose(&mut second).is_ok());
}

#[test]
fn a_429_cools_for_as_long_as_it_asks_an_hour_at_most() {
    for (asked, cools) in [(0, 1), (7, 7), (1_000_000_000, 3600)] {
        let mut scene = Scene::of(1);
        let trial = scene.trial("m", Keyed::No, 1);
        scene.run(trial, |_| limited(asked));
        let cools = Duration::from_secs(cools);
        let until = scene.at.wall.plus(cools);
        assert_eq!(scene.standing(account(1)).state, AccountState::Cooling { until });
        scene.pass(cools.saturating_sub(TICK));
        assert_eq!(scene.usable("m"), 0);
        scene.pass(TICK);
        assert_eq!((scene.usable("m"), scene.state(account(1))), (1, "active"));
    }
}

#[test]
fn without_being_asked_a_429_cools_for_a_second_doubling_to_a_minute_until_a_success() {
    let mut scene = Scene::of(1);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        scene.call("m", |_| replied(Symptom::Limited));
        let refused = scene.call("m", |_| OK).answer.unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(seconds));
        scene.pass(refused.retry_after);
    }
    scene.call("m", |_| OK);
    scene.call("m", |_| replied(Symptom::Limited));
    let refused = scene.call("m", |_| OK).answer.unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(1));
}

#[test]
fn what_a_call_learns_that_began_before_the_account_was_taken_out_is_no_news() {
    let mut scene = Scene::of(1);
    let mut trials: Vec<_> = (0..4).map(|_| scene.trial("m", Keyed::No, 1)).collect();
    let turns: Vec<_> = trials.iter_mut().map(|trial| scene.choose(trial).unwrap()).collect();
    let endings = [replied(Symptom::Limited), replied(Symptom::Limited), OK, UNAUTHORIZED];
    let mut changes = Vec::new();
    for ((trial, turn), ending) in trials.iter_mut().zip(turns).zip(endings) {
        changes.extend(scene.pool.ended(trial, turn, ending, scene.at).changed);
    }
    assert_eq!(
        changes.len(),
        1,
        "the first 429, which is not doubled, healed or overruled"
    );
    assert_eq!(scene.state(account(1)), "cooling");
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.usable("m"), 1);
}

#[test]
fn what_a_person_decided_no_reply_changes() {
    let mut scene = Scene::of(1);
    let mut trial = scene.trial("m", Keyed::No, 1);
    let turn = scene.choose(&mut trial).unwrap();
    let disabled = scene.pool.disable(account(1), scene.at).unwrap();
    assert_eq!(disabled.state, AccountState::Disabled { probe_at: None });
    assert_eq!(disabled.reason, StateReason::Operator);

    assert!(scene.pool.ended(&mut trial, turn, OK, scene.at).changed.is_empty());
    scene.pass(1000 * HOUR);
    let refused = scene.call("m", |_| OK).answer.unwrap_err();
    assert_eq!(refused.retry_after, HOUR);
    assert_eq!(scene.pool.reset(account(1), scene.at), None);
    assert_eq!(scene.standing(account(1)), disabled);

    let mut late = scene.trial("m", Keyed::No, 1);
    scene.pool.enable(account(1), scene.at);
    let turn = scene.choose(&mut late).unwrap();
    scene.pool.enable(account(1), scene.at);
    assert!(
        scene
            .pool
            .ended(&mut late, turn, UNAUTHORIZED, scene.at)
            .changed
            .is_empty()
    );
    assert_eq!(scene.state(account(1)), "active");
}

#[test]
fn a_reset_forgets_what_replies_said() {
    for ending in [UNAUTHORIZED, EXHAUSTED, FORBIDDEN, replied(Symptom::Limited)] {
        let mut scene = Scene::of(1);
        scene.call("m", |_| ending);
        assert_eq!(scene.usable("m"), 0, "{ending:?}");
        let standing = scene.pool.reset(account(1), scene.at).unwrap();
        assert_eq!(standing.state, AccountState::Active);
        assert_eq!(scene.usable("m"), 1, "{ending:?}");
    }
}

#[test]
fn how_an_account_stands_survives_a_restart() {
    for (ending, away) in [
        (UNAUTHORIZED, HOUR),
        (EXHAUSTED, HOUR),
        (limited(90), Duration::from_secs(90)),
    ] {
        let mut scene = Scene::of(1);
        let trial = scene.trial("m", Keyed::No, 1);
        let (_, standing) = scene.run(trial, |_| ending).changed[0];
        let passed = Duration::from_secs(30);
        let left = away.saturating_sub(passed);
        scene.pass(passed);

        let mut restarted = Scene {
            pool: Pool::new(scene.at),
            at: scene.at,
        };
        restarted.pool.define([listed(1, 1, Some(standing))], scene.at);
        assert_eq!(restarted.standing(account(1)), standing);
        let refused = restarted.call("m", |_| OK).answer.unwrap_err();
        assert_eq!(refused.retry_after, left);
        restarted.pass(left);
        assert_eq!(restarted.usable("m"), 1);
    }
}

#[test]
fn a_wall_clock_that_was_set_back_keeps_no_account_out_for_longer_than_a_reply_could() {
    let at = Scene::of(0).at;
    let future = at.wall.plus(10_000 * HOUR);
    for state in [
        AccountState::Cooling { until: future },
        AccountState::Exhausted { probe_at: future },
        AccountState::Disabled { probe_at: Some(future) },
    ] {
        let mut scene = Scene {
            pool: Pool::new(at),
            at,
        };
        let standing = Standing {
            state,
            reason: StateReason::Limited,
            since: future,
        };
        scene.pool.define([listed(1, 1, Some(standing))], at);
        scene.pass(HOUR);
        assert_eq!(scene.usable("m"), 1, "{state:?}");
    }
}

#[test]
fn five_failures_in_a_row_open_the_breaker_and_one_probe_at_a_time_closes_it() {
    let breaker = |scene: &Scene| scene.pool.view(scene.at.now).next().unwrap().breaker;
    for failure in [FAILING, broke(Phase::Connect), broke(Phase::Head)] {
        let mut scene = Scene::of(1);
        for _ in 0..5 {
            assert_eq!(breaker(&scene), BreakerState::Closed);
            assert!(scene.call("m", |_| failure).changed.is_empty());
        }
        assert_eq!(breaker(&scene), BreakerState::Open);
        for _ in 0..1000 {
            let refused = scene.call("m", |_| OK).answer.unwrap_err();
            assert_eq!(refused.kind, UnusableKind::NoAccount);
            assert_eq!(refused.retry_after, Duration::from_mins(1));
        }
        scene.pass(Duration::from_mins(1));
        assert_eq!(breaker(&scene), BreakerState::HalfOpen);
        let mut first = scene.trial("m", Keyed::No, 1);
        let mut second = scene.trial("m", Keyed::No, 1);
        let lost = scene.choose(&mut first).unwrap();
        assert!(scene.choose(&mut second).is_err());
        drop(lost);
        let probe = scene.choose(&mut second).unwrap();
        assert_eq!(scene.pool.ended(&mut second, probe, NEUTRAL, scene.at).next, Next::Stop);
        assert_eq!(breaker(&scene), BreakerState::Closed);
    }
}

#[test]
fn streams_that_break_open_the_breaker_though_they_began_well() {
    let mut scene = Scene::of(1);
    for _ in 0..5 {
        let mut trial = scene.trial("m", Keyed::No, 3);
        let turn = scene.choose(&mut trial).unwrap();
        assert!(scene.pool.began(&mut trial, &turn, scene.at).is_empty());
        let ended = scene.pool.ended(&mut trial, turn, broke(Phase::Body), scene.at);
        assert_eq!(ended.next, Next::Stop);
    }
    assert_eq!(scene.usable("m"), 0);
}
