//! How much may run and wait at once.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::reader::Reader;
use super::value;

/// How much may run and wait at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Volcengine submits, for each upstream account.
    pub per_account: AccountLimits,
    /// What one client key may do, where the key itself says nothing else.
    pub per_key: KeyLimits,
}

/// Volcengine submits, for each upstream account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLimits {
    /// Submits in flight.
    pub max_concurrent: NonZeroUsize,
    /// Submits that wait for a slot; 0 refuses at once.
    pub max_queue: usize,
    /// The longest wait for a slot.
    pub queue_timeout: Duration,
    /// The least time between the starts of two submits; zero is no spacing.
    pub submit_min_interval: Duration,
    /// Tasks that run upstream at once; `None` is no limit.
    pub max_running_tasks: Option<NonZeroUsize>,
}

/// What one client key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLimits {
    /// Volcengine submits in flight.
    pub max_concurrent: NonZeroUsize,
    /// Volcengine submits that wait; 0 refuses at once, as jimeng-relay did.
    pub max_queue: usize,
    /// Calls in flight.
    pub max_concurrent_calls: NonZeroUsize,
    /// Calls that wait; 0 refuses at once.
    pub max_queue_calls: usize,
}

impl Admission {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            per_account: AccountLimits {
                max_concurrent: reader.value_or("UPSTREAM_MAX_CONCURRENT", NonZeroUsize::MIN, value::positive),
                max_queue: reader.value_or("UPSTREAM_MAX_QUEUE", 100, value::count),
                queue_timeout: reader.value_or("UPSTREAM_QUEUE_TIMEOUT", Duration::from_secs(20), value::timeout),
                submit_min_interval: reader.value_or("UPSTREAM_SUBMIT_MIN_INTERVAL", Duration::ZERO, value::duration),
                max_running_tasks: reader.value_or("UPSTREAM_MAX_RUNNING_TASKS", None, value::limit),
            },
            per_key: KeyLimits {
                max_concurrent: reader.value_or("PER_KEY_MAX_CONCURRENT", NonZeroUsize::MIN, value::positive),
                max_queue: reader.value_or("PER_KEY_MAX_QUEUE", 0, value::count),
                max_concurrent_calls: reader.value_or("PER_KEY_MAX_CONCURRENT_CALLS", CALLS, value::positive),
                max_queue_calls: reader.value_or("PER_KEY_MAX_QUEUE_CALLS", 256, value::count),
            },
        }
    }
}

const CALLS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
