//! Which account a call goes to.

use std::collections::BTreeMap;

use super::*;

fn turn(scene: &mut Scene) -> Turn {
    let mut trial = scene.trial("m", Keyed::No, 3);
    scene.choose(&mut trial).unwrap()
}

/// The account that a call goes to which ends at once.
fn chosen(scene: &mut Scene) -> AccountId {
    turn(scene).account()
}

fn counted(chosen: impl IntoIterator<Item = AccountId>) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    for account in chosen {
        *counts.entry(account).or_insert(0) += 1;
    }
    counts.into_values().collect()
}

#[test]
fn an_idle_pool_spreads_its_calls_evenly() {
    let mut scene = Scene::of(4);
    let first: Vec<_> = (0..4).map(|_| chosen(&mut scene)).collect();
    assert_eq!(first, [1, 2, 3, 4].map(account));
    assert_eq!(counted((0..400).map(|_| chosen(&mut scene))), [100; 4]);
}

#[test]
fn an_idle_pool_spreads_its_calls_by_weight() {
    let mut scene = Scene::weighing(&[1, 2, 5]);
    assert_eq!(counted((0..800).map(|_| chosen(&mut scene))), [100, 200, 500]);
}

#[test]
fn a_busy_pool_holds_calls_in_proportion_to_weight() {
    let mut scene = Scene::weighing(&[1, 2, 5]);
    let turns: Vec<_> = (0..80).map(|_| turn(&mut scene)).collect();
    assert_eq!(counted(turns.iter().map(Turn::account)), [10, 20, 50]);
}

#[test]
fn the_account_with_the_fewest_calls_is_chosen() {
    let mut scene = Scene::of(3);
    let [first, second, third] = [1, 2, 3].map(|_| turn(&mut scene));
    drop(second);
    for _ in 0..10 {
        assert_eq!(chosen(&mut scene), account(2));
    }
    drop((first, third));
    assert_eq!(counted((0..9).map(|_| chosen(&mut scene))).len(), 3);
}

#[test]
fn an_account_that_was_away_does_not_catch_up() {
    let mut scene = Scene::of(2);
    scene.pool.disable(account(2), scene.at);
    for _ in 0..1000 {
        chosen(&mut scene);
    }
    scene.pool.enable(account(2), scene.at);
    assert_eq!(counted((0..10).map(|_| chosen(&mut scene))), [5, 5]);
}

#[test]
fn a_call_is_not_sent_to_the_same_account_twice() {
    let mut scene = Scene::of(3);
    let mut trial = scene.trial("m", Keyed::No, 3);
    let chosen: Vec<_> = (0..3).map(|_| scene.choose(&mut trial).unwrap().account()).collect();
    assert_eq!(counted(chosen), [1; 3]);
    assert!(scene.choose(&mut trial).is_err());
}

#[test]
fn a_turn_that_was_given_back_is_given_again() {
    let mut scene = Scene::of(1);
    let mut trial = scene.trial("m", Keyed::No, 3);
    let turn = scene.choose(&mut trial).unwrap();
    trial.give_back(turn);
    assert!(scene.choose(&mut trial).is_ok());
}

#[test]
fn a_turn_is_worth_nothing_once_its_account_was_taken_out() {
    let mut scene = Scene::of(2);
    let mut trial = scene.trial("m", Keyed::No, 3);
    let turn = scene.choose(&mut trial).unwrap();
    assert!(scene.pool.still(&trial, &turn, scene.at.now));
    let taken_out = turn.account();
    scene.pool.disable(taken_out, scene.at);
    assert!(!scene.pool.still(&trial, &turn, scene.at.now));
    trial.give_back(turn);
    assert_ne!(scene.choose(&mut trial).unwrap().account(), taken_out);
}

#[test]
fn a_pool_that_is_defined_anew_keeps_what_it_knows_of_those_that_stay() {
    let mut scene = Scene::of(3);
    scene.pool.disable(account(1), scene.at);
    scene.pool.disable(account(2), scene.at);
    scene.pool.define([listed(2, 1, None), listed(9, 1, None)], scene.at);
    assert_eq!(scene.state(account(2)), "disabled");
    assert_eq!(scene.usable("m"), 1);
    assert_eq!(scene.pool.view(scene.at.now).count(), 2);
}
