//! What a client key may use in a minute and in a day: requests, and tokens.
//!
//! Tokens are borrowed on an estimate before a call and settled on what it used. Everything is counted for the owner, so
//! that a rotation starts nothing anew, and in memory: a restart forgets the minute and the day.

mod window;

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::window::{Taken, Window};
use super::error::Rejected;
use super::meter::Meter;
use crate::model::caller::Caller;
use crate::model::id::OwnerId;
use crate::model::key::Limits;

/// What of a key is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quota {
    /// Its requests of the last minute.
    RequestsPerMinute,
    /// Its requests of the last 24 hours.
    RequestsPerDay,
    /// Its tokens of the last minute.
    TokensPerMinute,
}

impl Quota {
    /// What it counts, in a sentence.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests per minute",
            Self::RequestsPerDay => "requests per day",
            Self::TokensPerMinute => "tokens per minute",
        }
    }
}

/// How a key stands against the quotas that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Requests: of the minute or of the day, whichever leaves less.
    pub requests: Option<Meter>,
    /// Tokens of the minute.
    pub tokens: Option<Meter>,
}

/// What every owner with quotas has used.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    owners: Mutex<HashMap<OwnerId, Arc<Mutex<Usage>>>>,
}

/// A request that was counted, and the tokens that were borrowed for it.
///
/// Dropped before [`Charge::sent`], it gives everything back: nothing was used. Dropped afterwards, the estimate stands,
/// as nobody knows what was used.
#[derive(Debug, Default)]
#[must_use = "dropping it gives the request back"]
pub struct Charge(Option<Held>);

#[derive(Debug)]
struct Held {
    usage: Arc<Mutex<Usage>>,
    minute: Option<Taken>,
    day: Option<Taken>,
    tokens: Option<Taken>,
    allowance: Allowance,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing left the house.
    Unsent,
    /// It may be used.
    Sent,
}

/// What one owner has used.
#[derive(Debug)]
struct Usage {
    minute: Window,
    day: Window,
    tokens: Window,
}

impl Quotas {
    /// Counts a request and borrows `estimate` tokens, all or nothing. A key without quotas costs nothing here.
    pub(super) fn charge(&self, caller: &Caller, estimate: u64) -> Result<Charge, Rejected> {
        let limits = &caller.limits;
        if limits.requests_per_minute.is_none()
            && limits.requests_per_day.is_none()
            && limits.tokens_per_minute.is_none()
        {
            return Ok(Charge(None));
        }
        let now = Instant::now();
        let usage = {
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            let usage = owners
                .entry(caller.owner)
                .or_insert_with(|| Arc::new(Mutex::new(Usage::new(now))));
            Arc::clone(usage)
        };
        let held = lock(&usage).charge(limits, estimate, now)?;
        let (minute, day, tokens, allowance) = held;
        Ok(Charge(Some(Held {
            usage,
            minute,
            day,
            tokens,
            allowance,
            fate: Fate::Unsent,
        })))
    }
}

impl Charge {
    /// How the key stood when the request was counted, the request and its estimate included. `None` for a key without
    /// quotas.
    #[must_use]
    pub fn allowance(&self) -> Option<Allowance> {
        self.0.as_ref().map(|held| held.allowance)
    }

    /// The call is about to be sent: from now on it counts, whatever becomes of it.
    pub fn sent(&mut self) {
        if let Some(held) = &mut self.0 {
            held.fate = Fate::Sent;
        }
    }

    /// The call used this many tokens: what was borrowed beyond is given back, and what is missing is owed. The request
    /// counts.
    pub fn settle(mut self, tokens: u64) {
        if let Some(held) = self.0.take() {
            let mut usage = lock(&held.usage);
            usage.advance(Instant::now());
            if let Some(taken) = held.tokens {
                usage.tokens.settle(taken, tokens);
            }
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let Some(held) = self.0.take() else { return };
        if held.fate == Fate::Sent {
            return;
        }
        let mut usage = lock(&held.usage);
        usage.advance(Instant::now());
        let Usage { minute, day, tokens } = &mut *usage;
        for (window, taken) in [(minute, held.minute), (day, held.day), (tokens, held.tokens)] {
            if let Some(taken) = taken {
                window.settle(taken, 0);
            }
        }
    }
}

/// What was taken of the minute, the day and the tokens, and how they stand then.
type Counted = (Option<Taken>, Option<Taken>, Option<Taken>, Allowance);

impl Usage {
    fn new(now: Instant) -> Self {
        Self {
            minute: Window::minute(now),
            day: Window::day(now),
            tokens: Window::minute(now),
        }
    }

    fn advance(&mut self, now: Instant) {
        for window in [&mut self.minute, &mut self.day, &mut self.tokens] {
            window.advance(now);
        }
    }

    fn charge(&mut self, limits: &Limits, estimate: u64, now: Instant) -> Result<Counted, Rejected> {
        self.advance(now);
        let [minute, day] = [limits.requests_per_minute, limits.requests_per_day].map(|limit| limit.map(count));
        let tokens = limits.tokens_per_minute.map(NonZeroU64::get);
        let checks = [
            (Quota::RequestsPerDay, &self.day, 1, day),
            (Quota::RequestsPerMinute, &self.minute, 1, minute),
            (Quota::TokensPerMinute, &self.tokens, estimate, tokens),
        ];
        for (quota, window, amount, limit) in checks {
            let Some(limit) = limit else { continue };
            if let Err(wait) = window.check(amount, limit, now) {
                return Err(Rejected::OverQuota {
                    quota,
                    retry_after: wait.max(LEAST_WAIT),
                    allowance: self.allowance(limits, now),
                });
            }
        }
        let minute = minute.map(|limit| self.minute.take(1, limit));
        let day = day.map(|limit| self.day.take(1, limit));
        let tokens = tokens.map(|limit| self.tokens.take(estimate, limit));
        Ok((minute, day, tokens, self.allowance(limits, now)))
    }

    fn allowance(&self, limits: &Limits, now: Instant) -> Allowance {
        let minute = limits
            .requests_per_minute
            .map(|limit| self.minute.meter(count(limit), now));
        let day = limits.requests_per_day.map(|limit| self.day.meter(count(limit), now));
        Allowance {
            requests: minute.into_iter().chain(day).min_by_key(|meter| meter.remaining),
            tokens: limits
                .tokens_per_minute
                .map(|limit| self.tokens.meter(limit.get(), now)),
        }
    }
}

fn lock(usage: &Mutex<Usage>) -> std::sync::MutexGuard<'_, Usage> {
    usage.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(limit: NonZeroU32) -> u64 {
    limit.get().into()
}

/// The least that a `Retry-After` says.
const LEAST_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
