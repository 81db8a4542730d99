//! A paid call from its permit to its settlement.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::RETRY_AFTER;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::error::{Failure, RelayError};
use super::seat::PermitSeat;
use super::{Answer, Origin, Relay};
use crate::admission::{Loads, Permit};
use crate::dispatch::Attempt;
use crate::dispatch::retry::{self, Next};
use crate::model::call::{Call, HangUp};
use crate::model::lane::Lane;
use crate::model::outcome::{Outcome, Reason};
use crate::model::reply::Reply;
use crate::record::{Claimed, Ending, Pending, RunningSlot, Sent, Wait};
use crate::telemetry::metrics;
use crate::upstream::error::{Fault, Phase};
use crate::upstream::mark::SentMark;
use crate::upstream::{Form, Verdict};

/// A paid call on its way.
pub(super) struct Flight {
    pub(super) relay: Arc<Relay>,
    pub(super) call: Call,
    pub(super) lane: Lane,
    pub(super) deadline: Instant,
    /// Told the number of the intent once it is recorded.
    pub(super) opened: Arc<OnceLock<u64>>,
    /// Fires when the caller has hung up, or its deadline has passed. It is obeyed only before the first byte.
    pub(super) gone: CancellationToken,
}

impl Sent for SentMark {
    fn is_sent(&self) -> bool {
        Self::is_sent(self)
    }
}

impl Flight {
    /// Records the intent, sends, settles.
    pub(super) async fn run(self, claimed: Option<Claimed>, permit: Permit) -> Result<Answer, RelayError> {
        let Self { relay, call, .. } = &self;
        let _counted = metrics::in_flight(call.operation);
        let account = permit.account;
        let slot = if permit.running.is_some() {
            RunningSlot::Taken
        } else {
            RunningSlot::None
        };
        let seat = relay.seat(call, permit);
        let opening = relay.recorder.open(call, account, slot, claimed, seat);
        let mut pending = tokio::select! {
            biased;
            () = self.gone.cancelled() => return Err(RelayError::Deadline { intent: None }),
            opened = opening => opened?,
        };
        self.opened.get_or_init(|| pending.intent());
        let mut upstream_time = Duration::ZERO;
        loop {
            let mark = SentMark::default();
            pending.attempting(mark.clone());
            let Some(attempt) = self.fly(&pending, mark).await else {
                return Err(self.withdraw(pending).await);
            };
            upstream_time += attempt.took;
            let class = call.operation.class();
            let moment = || relay.moment(class, self.deadline);
            let Next::After(wait, reason) = retry::next(&attempt, class, pending.attempts(), moment) else {
                let added = relay.clock.monotonic().saturating_duration_since(call.arrived);
                metrics::overhead(call.operation, added.saturating_sub(upstream_time));
                return self.land(pending, attempt).await;
            };
            pending.back_at_the_start();
            if let Back::No = self.back_off(&mut pending, wait).await {
                return self.land(pending, attempt).await;
            }
            metrics::retry(reason);
        }
    }

    /// One attempt, which the caller's hang-up ends only while nothing was sent: there is none then.
    async fn fly(&self, pending: &Pending<PermitSeat>, mark: SentMark) -> Option<Attempt> {
        let attempts = pending.attempts();
        let attempt = self
            .relay
            .dispatcher
            .attempt(&self.call, pending.account(), attempts, mark.clone());
        tokio::pin!(attempt);
        tokio::select! {
            biased;
            attempt = &mut attempt => return Some(attempt),
            () = self.gone.cancelled() => {}
            () = sleep_until(self.deadline), if self.call.on_hang_up() == HangUp::Cancels => {}
        }
        match (mark.withdraw(), self.call.on_hang_up()) {
            (Ok(()), _) => None,
            (Err(_already_sent), HangUp::Finishes) => Some(attempt.await),
            (Err(_already_sent), HangUp::Cancels) => Some(Attempt::timed_out()),
        }
    }

    /// Waits for the next attempt without holding a slot that another could use.
    async fn back_off(&self, pending: &mut Pending<PermitSeat>, wait: Duration) -> Back {
        let Some(seat) = pending.seat_mut() else {
            return Back::No;
        };
        seat.permit.step_aside();
        let again = async {
            sleep(wait).await;
            let Self { relay, call, .. } = self;
            let same = seat.permit.account;
            let choose = |_: &Loads<'_>| Ok::<_, RelayError>(same);
            relay
                .admission
                .readmit(
                    &mut seat.permit,
                    &call.caller,
                    call.operation,
                    self.lane,
                    choose,
                    self.deadline,
                )
                .await
        };
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Back::No,
            admitted = again => if admitted.is_ok() { Back::Yes } else { Back::No },
        }
    }

    async fn withdraw(&self, pending: Pending<PermitSeat>) -> RelayError {
        pending
            .settle(Ending::unanswered(Outcome::NotSent, Reason::HungUp), Wait::Not)
            .await;
        RelayError::Deadline { intent: None }
    }

    /// Settles by the last attempt, and gives the caller what can be given.
    async fn land(&self, pending: Pending<PermitSeat>, attempt: Attempt) -> Result<Answer, RelayError> {
        let outcome = attempt.outcome();
        let intent = Some(pending.intent()).filter(|_| !outcome.frees_the_key());
        let wait = match self.call.on_hang_up() {
            HangUp::Finishes => Wait::ForCommit,
            HangUp::Cancels => Wait::Not,
        };
        let (reply, verdict) = match attempt.result {
            Ok((reply, verdict)) => (Arc::new(reply), verdict),
            Err(error) => {
                let (reason, cause) = unanswered(error.phase, error.fault);
                pending.settle(Ending::unanswered(outcome, reason), wait).await;
                return Err(RelayError::Upstream { cause, intent });
            }
        };
        let reason = if unreadable(&verdict) {
            Reason::Unreadable
        } else {
            Reason::Replied
        };
        let form = verdict.form;
        let ending = Ending {
            outcome,
            reason,
            reply: Some(&reply),
            code: verdict.code,
            task_id: verdict.task_id,
            upstream_request: verdict.upstream_request,
        };
        let recorded = pending.settle(ending, wait).await;
        match passable(&reply, form) {
            Ok(()) => Ok(Answer {
                reply,
                origin: Origin::Upstream,
                recorded,
                intent,
            }),
            Err(cause) => Err(RelayError::Upstream { cause, intent }),
        }
    }
}

/// Whether a call that backed off is in again.
enum Back {
    Yes,
    No,
}

/// Why there is no reply, for the record and for the caller.
fn unanswered(phase: Phase, fault: Fault) -> (Reason, Failure) {
    match (phase, fault) {
        (_, Fault::Withdrawn) => (Reason::HungUp, Failure::Connect),
        (Phase::Connect, _) => (Reason::Connect, Failure::Connect),
        (_, Fault::Timeout) => (Reason::Timeout, Failure::Timeout),
        (_, Fault::Broken) => (Reason::Reset, Failure::Broken),
        (_, Fault::TooLarge) => (Reason::Unreadable, Failure::TooLarge),
    }
}

/// A reply that says success, or something, in a way that we cannot count on.
fn unreadable(verdict: &Verdict) -> bool {
    verdict.outcome == Outcome::Unknown
        && (verdict.form == Form::Other || verdict.code.is_none_or(|code| code == 10_000))
}

/// Whether a reply passes as it is: a JSON object does, with its own status; any other error keeps only its status.
pub(super) fn passable(reply: &Reply, form: Form) -> Result<(), Failure> {
    let status = reply.status;
    match form {
        Form::Object if !status.is_redirection() => Ok(()),
        Form::Other if status.is_client_error() || status.is_server_error() => Err(Failure::Status {
            status,
            retry_after: reply.headers.get(RETRY_AFTER).cloned(),
        }),
        _ => Err(Failure::Unusable),
    }
}
