//! The choice among many accounts: it must not be felt, however many there are and however busy.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tollgate::dispatch::pool::trial::{Bounds, Keyed, Trial};
use tollgate::dispatch::pool::turn::Turn;
use tollgate::dispatch::pool::{Listed, Moment, Pool};
use tollgate::model::clock::{Clock, SystemClock};
use tollgate::model::id::AccountId;

use super::table::{Bound, Table, median};

/// A pool in use.
struct Scene {
    pool: Pool,
    busy: Vec<Turn>,
    at: Moment,
}

impl Scene {
    /// Every account has calls in flight, so none can be taken unseen.
    fn of(accounts: u32) -> Self {
        let at = Moment::of(&SystemClock);
        let mut pool = Pool::new(at);
        let listed = |number: u32| Listed {
            // Real ids are digests.
            account: AccountId::from_bits(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            weight: NonZeroU32::MIN,
            standing: None,
        };
        pool.define((1..=accounts).map(listed), at);
        let busy = Vec::new();
        let mut scene = Self { pool, busy, at };
        for _ in 0..3 * accounts {
            let turn = scene.choose(&"model".into());
            scene.busy.extend(turn);
        }
        scene
    }

    fn choose(&mut self, model: &Arc<str>) -> Option<Turn> {
        let bounds = Bounds {
            max_attempts: 3,
            latest: self.at.now + Duration::from_mins(1),
            keyed: Keyed::No,
        };
        let mut trial = Trial::new(Arc::clone(model), bounds);
        self.pool.choose(&mut trial, self.at).ok()
    }

    /// Nanoseconds of a choice.
    fn cost(&mut self) -> f64 {
        let model = "model".into();
        let begun = SystemClock.monotonic();
        for _ in 0..CHOICES {
            drop(self.choose(&model));
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
