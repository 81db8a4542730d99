//! The choice among many accounts: it must not be felt, however many there are and however busy.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tollgate::dispatch::pool::trial::{Bounds, Keyed, Trial};
use tollgate::dispatch::pool::{Listed, Moment, Pool};
use tollgate::model::clock::{Clock, SystemClock};
use tollgate::model::id::AccountId;

use super::table::{Bound, Table, median};

/// A pool, and how many calls are at its accounts, kept as the gates keep it.
struct Scene {
    pool: Pool,
    loads: HashMap<AccountId, Arc<AtomicUsize>>,
    at: Moment,
}

impl Scene {
    /// Every account has calls in flight, so none can be taken unseen.
    fn of(accounts: u64) -> Self {
        let at = Moment::of(&SystemClock);
        // Real ids are digests.
        let ids = (1..=accounts).map(|number| AccountId::from_bits(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let ids: Vec<_> = ids.collect();
        let mut pool = Pool::new(at);
        let listed = |account: &AccountId| Listed {
            account: *account,
            weight: NonZeroU32::MIN,
            standing: None,
        };
        pool.define(ids.iter().map(listed), at);
        let loads = ids.into_iter().map(|id| (id, Arc::new(AtomicUsize::new(3)))).collect();
        Self { pool, loads, at }
    }

    /// Nanoseconds of a choice.
    fn cost(&mut self) -> f64 {
        let bounds = Bounds {
            max_attempts: 3,
            latest: self.at.now + Duration::from_mins(1),
            keyed: Keyed::No,
        };
        let model: Arc<str> = "model".into();
        let begun = SystemClock.monotonic();
        for _ in 0..CHOICES {
            let mut trial = Trial::new(Arc::clone(&model), bounds);
            let in_flight = |account| {
                let load = self.loads.get(&account);
                load.map_or(usize::MAX, |load| load.load(Ordering::Relaxed))
            };
            drop(self.pool.choose(&mut trial, in_flight, self.at));
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(CHOICES)
    }
}

pub(crate) fn measure(table: &mut Table) {
    let (mut few, mut many) = (Scene::of(12), Scene::of(1000));
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        small.push(few.cost());
        large.push(many.cost() / 1000.0);
    }
    table.section("the choice of an account, each with calls in flight");
    table.note(&format!("{:.0} ns among 12 accounts", median(&small)));
    table.line("choice among 1,000 accounts", median(&large), "µs", Bound::AtMost(10.0));
}

const CHOICES: u32 = 1000;
const ROUNDS: usize = 9;
