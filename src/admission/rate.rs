//! The limit of a client's address: so many requests in a window, whoever they claim to be.
//!
//! The reckoning is governor's (GCRA with the whole maximum as burst): a window's worth may come at once, and then flows
//! back evenly. The table of addresses is ours, because it has to be bounded.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::meter::Meter;
use crate::config::AddressRate;
use crate::model::clock::Clock;

/// How many requests an address may make.
pub struct AddressLimit {
    rate: AddressRate,
    interval: Duration,
    limiter: RateLimiter<Network, Table, Elapsed, StateInformationMiddleware>,
}

/// An address has made all the requests it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this address has made as many requests as it may")]
pub struct AddressBusy {
    /// When the next one would be let in.
    pub retry_after: Duration,
    /// How it stands.
    pub meter: Meter,
}

impl AddressLimit {
    /// Remembers as many addresses as [`AddressLimit::MOST`].
    #[must_use]
    pub fn new(rate: AddressRate, clock: Arc<dyn Clock>) -> Self {
        Self::with_room(rate, clock, Self::MOST)
    }

    fn with_room(rate: AddressRate, clock: Arc<dyn Clock>, most: usize) -> Self {
        let interval = (rate.window / rate.maximum.get()).max(Duration::from_nanos(1));
        // It has no quota for an interval of zero, which this one is not.
        let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(rate.maximum));
        let table = Table {
            most,
            interval: interval.into(),
            known: Mutex::default(),
        };
        Self {
            rate,
            interval,
            limiter: RateLimiter::new(quota.allow_burst(rate.maximum), table, Elapsed::new(clock)),
        }
    }

    /// The limit itself.
    #[must_use]
    pub const fn rate(&self) -> AddressRate {
        self.rate
    }

    /// Counts a request of an address, and says what is left to it.
    ///
    /// # Errors
    /// [`AddressBusy`], and then the request is not counted: who keeps asking is let in as early as who waits.
    pub fn count(&self, address: IpAddr) -> Result<Meter, AddressBusy> {
        let maximum = self.rate.maximum.get();
        match self.limiter.check_key(&Network::of(address)) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity().min(maximum);
                Ok(self.meter(remaining, self.interval * (maximum - remaining)))
            }
            Err(busy) => {
                let retry_after = busy.wait_time_from(governor::clock::Clock::now(self.limiter.clock()));
                let rest = self.interval * (maximum - 1);
                Err(AddressBusy {
                    retry_after,
                    meter: self.meter(0, retry_after + rest),
                })
            }
        }
    }

    fn meter(&self, remaining: u32, reset: Duration) -> Meter {
        Meter {
            limit: self.rate.maximum.get().into(),
            remaining: remaining.into(),
            reset,
        }
    }

    /// The most addresses that are remembered: about ten megabytes.
    pub const MOST: usize = 100_000;
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has to himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Network {
    V4(u32),
    V6(u64),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// The addresses that have used some of their limit, each with the moment at which it has all of it back.
///
/// Who has all of it back is as good as unknown. Where room is needed the one goes who would be first to have it: a flood
/// of strangers with a request each pushes out one another, and never an address that is near its limit or over it.
struct Table {
    most: usize,
    interval: Nanos,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    back: HashMap<Network, Nanos>,
    order: BTreeSet<(Nanos, Network)>,
}

impl StateStore for Table {
    type Key = Network;

    fn measure_and_replace<T, F, E>(&self, key: &Network, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let old = known.back.get(key).copied();
        let (answer, back) = decide(old)?;
        match old {
            Some(old) => {
                known.order.remove(&(old, *key));
            }
            // One interval before the end of its first request is now.
            None => known.make_room(self.most, back.saturating_sub(self.interval)),
        }
        known.back.insert(*key, back);
        known.order.insert((back, *key));
        Ok(answer)
    }
}

impl Known {
    /// Makes room for one more, and forgets a second one where time has done so: the table shrinks after a flood.
    fn make_room(&mut self, most: usize, now: Nanos) {
        for _ in 0..2 {
            let full = self.back.len() >= most;
            let Some((back, network)) = self.order.first().copied() else {
                return;
            };
            if !full && back > now {
                return;
            }
            self.order.pop_first();
            self.back.remove(&network);
        }
    }
}

/// Our clock as governor reads it: nanoseconds since the limit was made.
struct Elapsed {
    clock: Arc<dyn Clock>,
    since: Instant,
}

impl Elapsed {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            since: clock.monotonic(),
            clock,
        }
    }
}

impl governor::clock::Clock for Elapsed {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.clock.monotonic().saturating_duration_since(self.since).into()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::num::NonZeroU32;

    use tokio::time::advance;

    use super::*;
    use crate::model::clock::SystemClock;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Ten requests in a hundred seconds, with room for so many addresses.
    fn ten(most: usize) -> AddressLimit {
        let rate = AddressRate {
            window: seconds(100),
            maximum: NonZeroU32::new(10).unwrap(),
        };
        AddressLimit::with_room(rate, Arc::new(SystemClock), most)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn stranger(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number))
    }

    fn exhaust(limit: &AddressLimit, address: IpAddr) {
        while limit.count(address).is_ok() {}
    }

    fn remembered(limit: AddressLimit) -> usize {
        let known = limit.limiter.into_state_store().known.into_inner().unwrap();
        assert_eq!(known.back.len(), known.order.len());
        known.back.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_windows_worth_may_come_at_once_and_then_flows_back_evenly() {
        let limit = ten(9);
        let alice = address("203.0.113.9");
        let first = limit.count(alice).unwrap();
        assert_eq!((first.limit, first.remaining, first.reset), (10, 9, seconds(10)));
        let last = (0..9).map(|_| limit.count(alice).unwrap()).last().unwrap();
        assert_eq!((last.remaining, last.reset), (0, seconds(100)));

        advance(seconds(4)).await;
        let busy = limit.count(alice).unwrap_err();
        assert_eq!((busy.retry_after, busy.meter.remaining), (seconds(6), 0));
        assert_eq!(busy.meter.reset, seconds(96));

        advance(busy.retry_after).await;
        assert_eq!(limit.count(alice).unwrap().remaining, 0);
        assert!(limit.count(alice).is_err());
        advance(seconds(100)).await;
        assert_eq!(limit.count(alice).unwrap().remaining, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_asking_is_let_in_as_early_as_who_waits() {
        let limit = ten(9);
        let alice = address("203.0.113.9");
        exhaust(&limit, alice);
        for _ in 0..9 {
            advance(seconds(1)).await;
            assert!(limit.count(alice).is_err());
        }
        advance(seconds(1)).await;
        assert!(limit.count(alice).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv4_address_counts_by_itself_and_an_ipv6_address_with_its_64() {
        let limit = ten(9);
        exhaust(&limit, address("203.0.113.9"));
        assert!(limit.count(address("203.0.113.8")).is_ok());
        assert!(limit.count(address("::ffff:203.0.113.9")).is_err());

        exhaust(&limit, address("2001:db8:1:2::1"));
        assert!(limit.count(address("2001:db8:1:2:ffff::7")).is_err());
        assert!(limit.count(address("2001:db8:1:3::1")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_addresses_lifts_no_limit_that_is_in_force() {
        let limit = ten(100);
        let (blocked, busy) = (address("203.0.113.9"), address("2001:db8::1"));
        exhaust(&limit, blocked);
        for _ in 0..5 {
            limit.count(busy).unwrap();
        }
        for number in 0..1_000 {
            limit.count(stranger(number)).unwrap();
        }
        assert!(limit.count(blocked).is_err());
        assert_eq!(limit.count(busy).unwrap().remaining, 4);
        assert_eq!(remembered(limit), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn of_equals_the_least_recently_seen_goes() {
        let limit = ten(2);
        limit.count(stranger(1)).unwrap();
        advance(seconds(1)).await;
        limit.count(stranger(2)).unwrap();
        advance(seconds(1)).await;
        limit.count(stranger(3)).unwrap();
        assert_eq!(limit.count(stranger(2)).unwrap().remaining, 8);
        assert_eq!(remembered(limit), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_shrinks_after_a_flood() {
        let limit = ten(100);
        for number in 0..100 {
            limit.count(stranger(number)).unwrap();
        }
        advance(seconds(1000)).await;
        for number in 200..299 {
            limit.count(stranger(number)).unwrap();
        }
        assert!(remembered(limit) <= 100);
    }

    #[tokio::test(start_paused = true)]
    async fn not_more_than_a_hundred_thousand_addresses_are_remembered() {
        let rate = AddressRate {
            window: seconds(900),
            maximum: NonZeroU32::new(100).unwrap(),
        };
        let limit = AddressLimit::new(rate, Arc::new(SystemClock));
        for number in 0..150_000_u64 {
            let address = Ipv6Addr::from_bits((0x2001_0db8_0000_0000 + u128::from(number)) << 64);
            limit.count(IpAddr::V6(address)).unwrap();
        }
        assert_eq!(remembered(limit), AddressLimit::MOST);
    }
}
