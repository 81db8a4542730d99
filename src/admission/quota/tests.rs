//! Quotas over paused time.

use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::model::caller::Identity;
use crate::model::id::KeyId;

/// A caller with so many requests a minute, requests a day, and tokens a minute.
fn caller(owner: u64, minute: u32, day: u32, tokens: u64) -> Caller {
    Caller {
        owner: OwnerId::from_bits(owner),
        limits: Limits {
            requests_per_minute: NonZeroU32::new(minute),
            requests_per_day: NonZeroU32::new(day),
            tokens_per_minute: NonZeroU64::new(tokens),
            ..Limits::default()
        },
        ..Caller::administrator(Identity::Key(KeyId::from_bits(owner)))
    }
}

/// Uses a request and so many tokens up.
fn spend(quotas: &Quotas, caller: &Caller, tokens: u64) -> Result<(), Rejected> {
    quotas.charge(caller, tokens).map(|charge| charge.settle(tokens))
}

/// Why a request is refused, and for how many seconds.
fn refusal(quotas: &Quotas, caller: &Caller, tokens: u64) -> (Quota, u64) {
    match quotas.charge(caller, tokens) {
        Err(Rejected::OverQuota { quota, retry_after, .. }) => (quota, retry_after.as_secs()),
        other => panic!("{other:?}"),
    }
}

fn remaining(quotas: &Quotas, caller: &Caller) -> (Option<u64>, Option<u64>) {
    let allowance = match quotas.charge(caller, 0) {
        Ok(charge) => charge.allowance().unwrap(),
        Err(Rejected::OverQuota { allowance, .. }) => allowance,
        Err(other) => panic!("{other:?}"),
    };
    let left = |meter: Option<Meter>| meter.map(|meter| meter.remaining);
    (left(allowance.requests), left(allowance.tokens))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_key_without_quotas_is_not_counted() {
    let quotas = Quotas::default();
    let free = caller(1, 0, 0, 0);
    for _ in 0..1_000 {
        assert_eq!(quotas.charge(&free, u64::MAX).unwrap().allowance(), None);
    }
    assert!(quotas.owners.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_minute_are_free_again_after_it() {
    let quotas = Quotas::default();
    let alice = caller(1, 2, 0, 0);
    spend(&quotas, &alice, 0).unwrap();
    advance(seconds(20)).await;
    spend(&quotas, &alice, 0).unwrap();
    assert_eq!(refusal(&quotas, &alice, 0), (Quota::RequestsPerMinute, 41));
    assert!(spend(&quotas, &caller(2, 2, 0, 0), 0).is_ok(), "each owner has its own");
    advance(seconds(41)).await;
    spend(&quotas, &alice, 0).unwrap();
    assert_eq!(refusal(&quotas, &alice, 0), (Quota::RequestsPerMinute, 20));
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_day_are_free_again_a_day_later_whatever_the_calendar_says() {
    let quotas = Quotas::default();
    let alice = caller(1, 0, 2, 0);
    advance(seconds(7 * 3600)).await;
    spend(&quotas, &alice, 0).unwrap();
    advance(seconds(20 * 3600)).await;
    spend(&quotas, &alice, 0).unwrap();
    assert_eq!(refusal(&quotas, &alice, 0), (Quota::RequestsPerDay, 4 * 3600 + 15 * 60));
    advance(seconds(4 * 3600 + 15 * 60)).await;
    spend(&quotas, &alice, 0).unwrap();
    assert!(quotas.charge(&alice, 0).is_err());
}

#[tokio::test(start_paused = true)]
async fn tokens_are_borrowed_on_the_estimate_and_settled_on_what_was_used() {
    let quotas = Quotas::default();
    let alice = caller(1, 0, 0, 1_000);
    let first = quotas.charge(&alice, 900).unwrap();
    assert_eq!(first.allowance().unwrap().tokens.unwrap().remaining, 100);
    assert_eq!(refusal(&quotas, &alice, 200), (Quota::TokensPerMinute, 61));

    first.settle(300);
    assert_eq!(remaining(&quotas, &alice), (None, Some(700)));
    let second = quotas.charge(&alice, 200).unwrap();
    second.settle(900);
    assert_eq!(remaining(&quotas, &alice), (None, Some(0)), "the debt is not forgiven");
    assert_eq!(refusal(&quotas, &alice, 1), (Quota::TokensPerMinute, 61));
    advance(seconds(61)).await;
    assert_eq!(remaining(&quotas, &alice), (None, Some(1_000)));
}

#[tokio::test(start_paused = true)]
async fn a_call_larger_than_the_limit_goes_alone() {
    let quotas = Quotas::default();
    let alice = caller(1, 0, 0, 100);
    let large = quotas.charge(&alice, 5_000).unwrap();
    assert!(quotas.charge(&alice, 1).is_err());
    large.settle(5_000);
    advance(seconds(60)).await;
    assert!(quotas.charge(&alice, 1).is_err());
    advance(seconds(1)).await;
    assert!(quotas.charge(&alice, 5_000).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_sent_gives_everything_back() {
    let quotas = Quotas::default();
    let alice = caller(1, 1, 1, 100);
    for _ in 0..3 {
        drop(quotas.charge(&alice, 100).unwrap());
    }
    assert_eq!(
        remaining(&quotas, &alice),
        (Some(0), Some(100)),
        "but for the one that asks"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_sent_and_lost_keeps_its_estimate() {
    let quotas = Quotas::default();
    let alice = caller(1, 5, 0, 100);
    let mut charge = quotas.charge(&alice, 60).unwrap();
    charge.sent();
    drop(charge);
    assert_eq!(remaining(&quotas, &alice), (Some(3), Some(40)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_uses_nothing_of_what_it_had() {
    let quotas = Quotas::default();
    let alice = caller(1, 5, 5, 100);
    spend(&quotas, &alice, 100).unwrap();
    for _ in 0..9 {
        assert_eq!(refusal(&quotas, &alice, 1).0, Quota::TokensPerMinute);
    }
    assert_eq!(remaining(&quotas, &alice).0, Some(3));
}

#[tokio::test(start_paused = true)]
async fn of_minute_and_day_the_one_that_leaves_less_is_shown() {
    let quotas = Quotas::default();
    let alice = caller(1, 3, 4, 0);
    for _ in 0..2 {
        spend(&quotas, &alice, 0).unwrap();
    }
    let shown = |charge: Charge| charge.allowance().unwrap().requests.unwrap().limit;
    assert_eq!(shown(quotas.charge(&alice, 0).unwrap()), 3);
    advance(seconds(61)).await;
    assert_eq!(shown(quotas.charge(&alice, 0).unwrap()), 4);
}

#[tokio::test(start_paused = true)]
async fn a_changed_limit_is_in_force_at_once() {
    let quotas = Quotas::default();
    spend(&quotas, &caller(1, 3, 0, 0), 0).unwrap();
    assert!(quotas.charge(&caller(1, 1, 0, 0), 0).is_err());
    assert!(quotas.charge(&caller(1, 2, 0, 0), 0).is_ok());
}

/// One thing that happens to one of the calls that are open.
#[derive(Clone, Debug)]
enum Step {
    Charge(u64),
    Settle(prop::sample::Index, u64),
    Send(prop::sample::Index),
    Drop(prop::sample::Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (0_u64..400).prop_map(Step::Charge),
        (index(), 0_u64..600).prop_map(|(at, used)| Step::Settle(at, used)),
        index().prop_map(Step::Send),
        index().prop_map(Step::Drop),
    ]
}

proptest! {
    #[test]
    fn what_was_borrowed_is_what_was_settled_and_what_was_given_back(
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let quotas = Quotas::default();
        let alice = caller(1, 0, 0, 1_000);
        let mut open: Vec<(u64, bool, Charge)> = Vec::new();
        let (mut borrowed, mut owed, mut used, mut given_back) = (0, 0, 0, 0);
        for step in steps {
            match step {
                Step::Charge(estimate) => if let Ok(charge) = quotas.charge(&alice, estimate) {
                    borrowed += estimate;
                    open.push((estimate, false, charge));
                },
                _ if open.is_empty() => {}
                Step::Settle(at, tokens) => {
                    let (estimate, _, charge) = open.swap_remove(at.index(open.len()));
                    charge.settle(tokens);
                    used += tokens;
                    given_back += estimate.saturating_sub(tokens);
                    owed += tokens.saturating_sub(estimate);
                }
                Step::Send(at) => {
                    let at = at.index(open.len());
                    open[at].1 = true;
                    open[at].2.sent();
                }
                Step::Drop(at) => {
                    let (estimate, sent, charge) = open.swap_remove(at.index(open.len()));
                    drop(charge);
                    *(if sent { &mut used } else { &mut given_back }) += estimate;
                }
            }
            let held: u64 = open.iter().map(|(estimate, ..)| estimate).sum();
            prop_assert_eq!(borrowed + owed, held + used + given_back);
            let total = quotas.owners.lock().unwrap().get(&alice.owner).map(|usage| lock(usage).tokens.total());
            prop_assert_eq!(total.unwrap_or(0), held + used);
        }
    }
}
