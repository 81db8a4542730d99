//! A recorded intent on its way to a settlement.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::{Instant, timeout};

use super::bill::Bill;
use super::claim::Shared;
use super::error::RecordError;
use super::intent::Redirect;
use super::settlement::Settle;
use super::{Claimed, PATIENCE, Recorder};
use crate::model::id::AccountId;
use crate::model::money::Quote;
use crate::model::operation::Class;
use crate::model::outcome::{Outcome, Reason};
use crate::model::record::{Consumption, Intent, Settlement};
use crate::model::reply::Reply;
use crate::model::usage::{self, Usage};
use crate::store::Receipt;
use crate::telemetry::metrics;

/// What a call's slots do when it is settled. They are given back by a drop; this is what goes beyond.
pub trait Seat: Send + 'static {
    /// The intent is recorded.
    fn opened(&mut self, intent: u64);

    /// The call is settled; `task_id` is what it created.
    fn settled(self, intent: u64, outcome: Outcome, task_id: Option<&str>);
}

/// Whether bytes of a call have left.
pub trait Sent: Send + Sync + 'static {
    /// Whether a byte may have left.
    fn is_sent(&self) -> bool;
}

/// A recorded intent without a settlement.
pub struct Pending<S: Seat> {
    recorder: Arc<Recorder>,
    written: Written,
    /// The one that it goes to now.
    account: AccountId,
    opened_at: Instant,
    claimed: Option<Claimed>,
    seat: Option<S>,
    sent: Option<Box<dyn Sent>>,
    doubt: Doubt,
    attempts: u32,
}

/// An intent that is on the disk.
pub(super) struct Written {
    pub(super) seq: u64,
    pub(super) intent: Box<Intent>,
    pub(super) quote: Quote,
}

/// Whether an attempt that may have been done was followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    Left,
}

/// What came of a call, as its relay tells it.
#[derive(Debug)]
pub struct Ending<'a> {
    /// Its fate.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The whole reply, if one came.
    pub reply: Option<&'a Arc<Reply>>,
    /// The status of a stream, and how many bytes of it came, if one did.
    pub stream: Option<(StatusCode, u64)>,
    /// The provider's own code.
    pub code: Option<i64>,
    /// The task it created.
    pub task_id: Option<String>,
    /// The provider's name for the request.
    pub upstream_request: Option<String>,
    /// What it consumed, where that is known or was estimated.
    pub consumed: Option<(Usage, usage::Source)>,
}

impl Ending<'_> {
    /// No reply came, and nothing more is known.
    #[must_use]
    pub const fn unanswered(outcome: Outcome, reason: Reason) -> Self {
        Self {
            outcome,
            reason,
            reply: None,
            stream: None,
            code: None,
            task_id: None,
            upstream_request: None,
            consumed: None,
        }
    }
}

/// Whether a settlement is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is, or will be with the next commit.
    Yes,
    /// Its commit failed: the process is about to end.
    Failed,
}

impl<S: Seat> Pending<S> {
    /// One whose intent is on the disk, and of which nothing was sent yet.
    pub(super) fn new(
        recorder: Arc<Recorder>,
        written: Written,
        opened_at: Instant,
        claimed: Option<Claimed>,
        seat: S,
    ) -> Self {
        Self {
            recorder,
            account: written.intent.account,
            written,
            opened_at,
            claimed,
            seat: Some(seat),
            sent: None,
            doubt: Doubt::None,
            attempts: 0,
        }
    }

    /// The sequence number of its intent.
    #[must_use]
    pub const fn intent(&self) -> u64 {
        self.written.seq
    }

    /// The account it was recorded for.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// An attempt begins: from now on, `sent` says what a drop settles.
    pub fn attempting(&mut self, sent: impl Sent) {
        self.attempts += 1;
        self.sent = Some(Box::new(sent));
    }

    /// The attempt ended without a byte sent, or was refused outright: a drop now settles as not sent.
    pub fn back_at_the_start(&mut self) {
        self.sent = None;
    }

    /// The attempt may have been done, and yet another follows: a drop settles as unknown from now on.
    pub const fn doubt(&mut self) {
        self.doubt = Doubt::Left;
    }

    /// The slots it holds.
    pub fn seat_mut(&mut self) -> Option<&mut S> {
        self.seat.as_mut()
    }

    /// Commits that the call goes on at another account. Nothing may be sent there before it returns.
    ///
    /// # Errors
    /// [`RecordError`]; nothing may then be sent at all.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the record may name either account; nothing was sent to the new one.
    pub async fn redirect(&mut self, account: AccountId) -> Result<(), RecordError> {
        let redirect = Redirect {
            intent: self.written.seq,
            account,
        };
        match timeout(PATIENCE, self.recorder.store.change(redirect)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(RecordError::Unavailable(error)),
            Err(_) => return Err(RecordError::TooSlow),
        }
        self.account = account;
        Ok(())
    }

    /// How many attempts were begun.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Commits what came of the call, tells those that wait for its key, and gives its slots back.
    ///
    /// `wait` says whether it returns before the commit.
    ///
    /// # Cancel safety
    /// The settlement is handed over at once; dropping the future only gives up waiting for it.
    pub async fn settle(mut self, ending: Ending<'_>, wait: Wait) -> Recorded {
        let receipt = self.hand_over(&ending, wait);
        match (receipt, wait) {
            (Some(receipt), Wait::ForCommit) => match receipt.await {
                Ok(()) => Recorded::Yes,
                Err(error) => {
                    let task_id = ending.task_id.as_deref().unwrap_or_default();
                    tracing::error!(error = %error, intent = self.written.seq, task_id, "a settlement was not recorded");
                    Recorded::Failed
                }
            },
            _ => Recorded::Yes,
        }
    }

    /// As [`Pending::settle`] with [`Wait::Not`], from where nothing can be awaited: the end of a stream.
    pub fn settle_aside(mut self, ending: &Ending<'_>) {
        drop(self.hand_over(ending, Wait::Not));
    }

    fn hand_over(&mut self, ending: &Ending<'_>, wait: Wait) -> Option<Receipt<Settle>> {
        let seat = self.seat.take()?;
        let Written { seq, ref intent, quote } = self.written;
        let class = intent.operation.class();
        let claim = self.claimed.take().map(|claimed| claimed.guard);
        if let Some(claim) = &claim {
            claim.learn(ending.shared(seq));
        }
        let keyed = claim.is_some() && ending.outcome.is_replayed();
        let most = match class {
            Class::Submit => MOST_SUBMIT_REPLY,
            Class::Call | Class::Query => MOST_CALL_REPLY,
        };
        let kept = ending.reply.filter(|reply| keyed && reply.body.len() <= most);
        let sealed = kept.and_then(|reply| self.recorder.seal(seq, reply));
        let whole = ending.reply.map(|reply| (reply.status, reply.body.len() as u64));
        let (status, bytes) = whole
            .or(ending.stream)
            .map_or((None, 0), |(status, bytes)| (Some(status), bytes));
        let settlement = Settlement {
            intent: seq,
            outcome: ending.outcome,
            reason: ending.reason,
            account: self.account,
            status: status.map(|status| status.as_u16()),
            code: ending.code,
            task_id: ending.task_id.clone(),
            upstream_request: ending.upstream_request.clone(),
            attempts: self.attempts,
            reply_bytes: bytes,
            duration_micros: u64::try_from((self.recorder.clock.monotonic() - self.opened_at).as_micros())
                .unwrap_or(u64::MAX),
        };
        let relaxed = wait == Wait::Not;
        let consumption = ending.consumed.map(|(usage, source)| Consumption {
            intent: seq,
            usage,
            source,
        });
        let totals = quote.charged(ending.outcome, ending.consumed);
        if let Some(price) = quote.price {
            let model = quote.label.name(intent.model.as_deref(), ending.outcome);
            metrics::cost(price.currency.as_str(), model, totals.cost);
        }
        let bill = Bill::new(intent, totals);
        let settle = Settle {
            upstream: self.recorder.upstream,
            settlement,
            consumption,
            bill,
            reply: sealed,
            claim,
            relaxed,
        };
        let receipt = self.recorder.store.follow_up(settle);
        seat.settled(seq, ending.outcome, ending.task_id.as_deref());
        Some(receipt)
    }
}

impl Ending<'_> {
    /// What those that wait for the same key are told.
    fn shared(&self, intent: u64) -> Shared {
        match (self.outcome, self.reply) {
            (Outcome::Succeeded | Outcome::Rejected | Outcome::Refused, Some(reply)) => Shared::Reply {
                reply: Arc::clone(reply),
                intent,
            },
            (Outcome::Succeeded, None) => Shared::NotKept { intent },
            (Outcome::NotSent | Outcome::Refused, _) => Shared::Unsent,
            _ => Shared::Unknown { intent },
        }
    }
}

/// Whether a settlement is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until it is on the disk: submits and keyed calls, whose repeat must be a replay.
    ForCommit,
    /// It rides with the next commit.
    Not,
}

impl<S: Seat> Drop for Pending<S> {
    fn drop(&mut self) {
        if self.seat.is_none() {
            return;
        }
        let sent = self.doubt == Doubt::Left || self.sent.as_ref().is_some_and(|sent| sent.is_sent());
        let outcome = if sent { Outcome::Unknown } else { Outcome::NotSent };
        let reason = if std::thread::panicking() {
            Reason::Interrupted
        } else {
            Reason::HungUp
        };
        let ending = Ending::unanswered(outcome, reason);
        drop(self.hand_over(&ending, Wait::Not));
    }
}

/// The largest kept reply to a submit.
const MOST_SUBMIT_REPLY: usize = 64 * 1024;

/// The largest kept reply to a call.
const MOST_CALL_REPLY: usize = 256 * 1024;
