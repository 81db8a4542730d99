//! The entries of the log book.
//!
//! They are stored as postcard in variant and field order: variants are only added at the end, and a changed entry is a
//! new variant.

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::id::{AccountId, KeyId, OwnerId, RequestId};
use super::money::{Hold, Money, Units};
use super::operation::Operation;
use super::outcome::{Outcome, Reason};
use super::task::TaskState;
use super::usage::{self, Usage};

/// One entry: when, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Wall time at which the writer took it.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What an entry tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A paid call is about to be sent.
    Intent(Box<Intent>),
    /// What became of it.
    Settlement(Settlement),
    /// A task was seen in a new state.
    Task(TaskChange),
    /// Somebody administered something.
    Admin(AdminAction),
    /// Refusals of one minute, counted together.
    Refusals(Refusals),
    /// The oldest entries were removed.
    Pruned(Pruned),
    /// A process opened the store.
    Started(Started),
    /// A person decided the fate of an unknown outcome.
    Resolved(Resolution),
    /// A call goes on at another account; nothing is sent there before this is written.
    Rerouted(Reroute),
    /// What a call consumed, in the commit of its settlement.
    Consumed(Consumption),
    /// What a call cost, in the commit of its settlement.
    Charged(Charge),
    /// The store was restored from a backup: what was written between the two is not in the book.
    Restored(Box<Restoration>),
}

impl Event {
    /// Its name in JSON and filters.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Intent(_) => "intent",
            Self::Settlement(_) => "settlement",
            Self::Task(_) => "task",
            Self::Admin(_) => "admin",
            Self::Refusals(_) => "refusals",
            Self::Pruned(_) => "pruned",
            Self::Started(_) => "started",
            Self::Resolved(_) => "resolved",
            Self::Rerouted(_) => "rerouted",
            Self::Consumed(_) => "consumed",
            Self::Charged(_) => "charged",
            Self::Restored(_) => "restored",
        }
    }
}

impl Event {
    /// The outcome of a call that it tells, if it tells one.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Settlement(settlement) => Some(settlement.outcome),
            Self::Resolved(resolution) => Some(resolution.outcome),
            _ => None,
        }
    }
}

/// The record before a paid call. Bodies are not stored: a keyed digest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The request that carries it.
    pub request: RequestId,
    /// The request id that the client gave itself, cut to 128 bytes.
    pub client_request: Option<String>,
    /// The key that asked, if a key did.
    pub key: Option<KeyId>,
    /// Whose it is.
    pub owner: OwnerId,
    /// What is asked.
    pub operation: Operation,
    /// The account it is meant for.
    pub account: AccountId,
    /// The model or `req_key` it names.
    pub model: Option<String>,
    /// Keyed digest of the body.
    pub body_digest: [u8; 32],
    /// Size of the body in bytes.
    pub body_bytes: u64,
    /// Keyed digest of owner and idempotency key.
    pub idempotency: Option<[u8; 32]>,
    /// Headers worth keeping, none of them secret.
    pub headers: Vec<(String, String)>,
    /// The peer's address.
    pub peer: Option<String>,
    /// What is held of the owner's budget.
    pub reservation: Reservation,
}

/// What an intent holds of its owner's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reservation {
    /// Nothing is held, and nothing is counted: as versions wrote it that knew no prices.
    Empty,
    /// This is held until the settlement.
    Held(Hold),
}

/// The record after a paid call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The sequence number of its intent.
    pub intent: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The account that got the last attempt, where it is not the intent's.
    pub account: AccountId,
    /// The HTTP status of the reply, if there was one.
    pub status: Option<u16>,
    /// The provider's own code in it.
    pub code: Option<i64>,
    /// The task it created.
    pub task_id: Option<String>,
    /// The provider's name for the request (`X-Tt-Logid`).
    pub upstream_request: Option<String>,
    /// Attempts that were made.
    pub attempts: u32,
    /// Size of the reply in bytes.
    pub reply_bytes: u64,
    /// From intent to settlement, in microseconds.
    pub duration_micros: u64,
}

impl Settlement {
    /// One of a call that brought no reply, and of which nothing more is known.
    #[must_use]
    pub const fn unanswered(intent: u64, account: AccountId, outcome: Outcome, reason: Reason) -> Self {
        Self {
            intent,
            outcome,
            reason,
            account,
            status: None,
            code: None,
            task_id: None,
            upstream_request: None,
            attempts: 0,
            reply_bytes: 0,
            duration_micros: 0,
        }
    }
}

/// A task was seen in a new state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskChange {
    /// The sequence number of its submit's intent.
    pub intent: u64,
    /// Its name at the provider.
    pub task_id: String,
    /// The state it was seen in.
    pub state: TaskState,
    /// The provider's code in the reply that told.
    pub code: Option<i64>,
}

/// Somebody administered something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminAction {
    /// Who: a key's id, `admin_token` or `control_socket`.
    pub actor: String,
    /// What, e.g. `key.create`.
    pub action: String,
    /// To what: an identifier.
    pub target: String,
    /// The request that carried it.
    pub request: Option<RequestId>,
}

/// Why a request was refused before it became a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Refusal {
    /// The credential was missing, malformed or unknown.
    AuthFailed,
    /// The signature did not match.
    InvalidSignature,
    /// The key is revoked.
    KeyRevoked,
    /// The key has expired.
    KeyExpired,
    /// The key lacks the scope.
    ScopeDenied,
    /// A rate or concurrency limit.
    RateLimited,
    /// A queue was full.
    QueueFull,
    /// A place in a queue did not come in time.
    QueueTimeout,
    /// A budget was spent.
    QuotaExceeded,
}

impl Refusal {
    /// Every reason, for closed label sets.
    pub const ALL: [Self; 9] = [
        Self::AuthFailed,
        Self::InvalidSignature,
        Self::KeyRevoked,
        Self::KeyExpired,
        Self::ScopeDenied,
        Self::RateLimited,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::QuotaExceeded,
    ];

    /// Its name in JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AuthFailed => "auth_failed",
            Self::InvalidSignature => "invalid_signature",
            Self::KeyRevoked => "key_revoked",
            Self::KeyExpired => "key_expired",
            Self::ScopeDenied => "scope_denied",
            Self::RateLimited => "rate_limited",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::QuotaExceeded => "quota_exceeded",
        }
    }
}

/// Refusals of one reason in one minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// Why.
    pub reason: Refusal,
    /// How many.
    pub count: u64,
    /// When the minute began.
    pub since: Timestamp,
}

/// The oldest entries were removed, in the transaction that recorded this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The last sequence number that is gone.
    pub through: u64,
    /// The digest that entry had, so that the chain still has an end to hang on.
    pub digest: [u8; 32],
    /// How many went.
    pub count: u64,
}

/// A process opened the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its number: one more than the last.
    pub boot: u64,
    /// The program's version.
    pub version: String,
    /// Intents of older boots that had no settlement.
    pub unknown: u64,
}

/// A call goes on at another account than its intent names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reroute {
    /// The sequence number of its intent.
    pub intent: u64,
    /// The account from now on.
    pub account: AccountId,
}

/// What a call consumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumption {
    /// The sequence number of its intent.
    pub intent: u64,
    /// Its tokens.
    pub usage: Usage,
    /// Where they are known from.
    pub source: usage::Source,
}

/// What a call cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The sequence number of its intent.
    pub intent: u64,
    /// How much.
    pub money: Money,
    /// For what.
    pub units: Units,
    /// Where that is known from.
    pub source: usage::Source,
}

/// A person decided the fate of an unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The sequence number of the intent.
    pub intent: u64,
    /// Who decided.
    pub actor: String,
    /// The outcome from now on.
    pub outcome: Outcome,
    /// The task it turned out to have created.
    pub task_id: Option<String>,
}

/// The store was restored from a backup. It is the first entry after the backup's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    /// How often the store was restored, this time included.
    pub epoch: u64,
    /// When it was restored.
    pub restored_at: Timestamp,
    /// When the backup was made.
    pub backup_at: Timestamp,
    /// The last sequence number of the backup.
    pub through: u64,
    /// The digest of that entry.
    pub digest: [u8; 32],
    /// The last entry of the file that was replaced, and its digest; the numbers up to it were given out before.
    pub replaced: Option<(u64, [u8; 32])>,
}
