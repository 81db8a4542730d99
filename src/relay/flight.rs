//! A paid call from its permit to its settlement.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::RETRY_AFTER;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::error::{Failure, RelayError};
use super::seat::PermitSeat;
use super::stream::{Holds, Streamed};
use super::{Answer, Content, Origin, Relay};
use crate::admission::quota::Charge;
use crate::admission::{Loads, Permit};
use crate::dispatch::pool::rotation::Next;
use crate::dispatch::{Arrived, Attempt, Begun, Journey};
use crate::model::call::{Call, HangUp};
use crate::model::lane::Lane;
use crate::model::outcome::{Outcome, Reason};
use crate::model::reply::Reply;
use crate::model::usage::{self, Usage};
use crate::record::{Claimed, Ending, Pending, Recorded, RunningSlot, Sent, Wait};
use crate::telemetry::metrics;
use crate::upstream::error::{Fault, Phase};
use crate::upstream::mark::SentMark;
use crate::upstream::{Form, Verdict, openai};

/// A paid call on its way.
pub(super) struct Flight {
    pub(super) relay: Arc<Relay>,
    pub(super) call: Call,
    pub(super) lane: Lane,
    pub(super) deadline: Instant,
    /// What it costs of its key's quotas.
    pub(super) charge: Charge,
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
    pub(super) async fn run(
        mut self,
        claimed: Option<Claimed>,
        permit: Permit,
        mut journey: Journey,
    ) -> Result<Answer, RelayError> {
        let relay = Arc::clone(&self.relay);
        let call = &self.call;
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
        self.charge.sent();
        let mut upstream_time = Duration::ZERO;
        loop {
            let mark = SentMark::default();
            pending.attempting(mark.clone());
            let Some(attempt) = self.fly(&pending, &journey, mark).await else {
                return Err(self.withdraw(pending).await);
            };
            upstream_time += attempt.took;
            let moment = || relay.moment(call.operation.class(), self.deadline);
            let next = relay
                .dispatcher
                .after(call, &mut journey, &attempt, pending.attempts(), moment);
            let (wait, reason) = match next {
                Next::Stop => {
                    let added = relay.clock.monotonic().saturating_duration_since(call.arrived);
                    metrics::overhead(call.operation, added.saturating_sub(upstream_time));
                    return self.land(pending, journey, attempt).await;
                }
                Next::Again(wait, reason) => (wait, reason),
                Next::Elsewhere(reason) => (Duration::ZERO, reason),
            };
            pending.back_at_the_start();
            if let Back::No = self.go_on(&mut pending, &mut journey, wait).await {
                return self.land(pending, journey, attempt).await;
            }
            metrics::retry(reason);
        }
    }

    /// One attempt, which the caller's hang-up ends only while nothing was sent: there is none then.
    async fn fly(&self, pending: &Pending<PermitSeat>, journey: &Journey, mark: SentMark) -> Option<Attempt> {
        let attempts = pending.attempts();
        let attempt = self
            .relay
            .dispatcher
            .attempt(&self.call, journey, pending.account(), attempts, mark.clone());
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

    /// Waits for the next attempt without holding a slot that another could use, and is let in again: where it was, or at
    /// the account that the pool chooses. Another account is written down before anything is sent to it.
    async fn go_on(&self, pending: &mut Pending<PermitSeat>, journey: &mut Journey, wait: Duration) -> Back {
        let Some(seat) = pending.seat_mut() else {
            return Back::No;
        };
        seat.permit.step_aside();
        let before = seat.permit.account;
        let again = async {
            sleep(wait).await;
            let Self { relay, call, .. } = self;
            let choose = |loads: &Loads<'_>| {
                relay
                    .dispatcher
                    .choose_again(journey, before, |account| loads.of(account))
                    .map_err(RelayError::from)
            };
            let (lane, deadline) = (self.lane, self.deadline);
            relay
                .admission
                .readmit(&mut seat.permit, &call.caller, call.operation, lane, choose, deadline)
                .await
        };
        let admitted = tokio::select! {
            biased;
            () = self.gone.cancelled() => return Back::No,
            admitted = again => admitted,
        };
        let now_at = seat.permit.account;
        match admitted {
            Ok(()) if now_at == before => Back::Yes,
            Ok(()) if pending.redirect(now_at).await.is_ok() => Back::Yes,
            _ => Back::No,
        }
    }

    async fn withdraw(&self, pending: Pending<PermitSeat>) -> RelayError {
        pending
            .settle(Ending::unanswered(Outcome::NotSent, Reason::HungUp), Wait::Not)
            .await;
        RelayError::Deadline { intent: None }
    }

    /// Settles by the last attempt, and gives the caller what can be given.
    async fn land(
        self,
        pending: Pending<PermitSeat>,
        journey: Journey,
        attempt: Attempt,
    ) -> Result<Answer, RelayError> {
        let outcome = attempt.outcome();
        let intent = Some(pending.intent()).filter(|_| !outcome.frees_the_key());
        let wait = match self.call.on_hang_up() {
            HangUp::Finishes => Wait::ForCommit,
            HangUp::Cancels => Wait::Not,
        };
        let (reply, verdict) = match attempt.result {
            Ok(Arrived::Whole(reply, verdict)) => (Arc::new(reply), verdict),
            Ok(Arrived::Stream(begun)) => return Ok(self.stream(pending, journey, begun)),
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
        let consumed = self.consumed(&reply, outcome);
        match (outcome, consumed) {
            (_, Some((usage, _))) => self.charge.settle(usage.total()),
            // What nobody knows stays borrowed, and what was not counted in tokens was not borrowed.
            (Outcome::Unknown | Outcome::Succeeded, None) => {}
            (Outcome::Refused | Outcome::NotSent | Outcome::Rejected, None) => self.charge.settle(0),
        }
        let ending = Ending {
            outcome,
            reason,
            reply: Some(&reply),
            stream: None,
            code: verdict.code,
            task_id: verdict.task_id,
            upstream_request: verdict.upstream_request,
            consumed,
        };
        let recorded = pending.settle(ending, wait).await;
        match passable(&reply, form) {
            Ok(()) => Ok(Answer {
                content: Content::Whole(reply),
                origin: Origin::Upstream,
                recorded,
                intent,
                allowance: None,
            }),
            Err(cause) => Err(RelayError::Upstream { cause, intent }),
        }
    }

    /// What a whole reply says it cost, else an estimate; nothing for what is not counted in tokens.
    fn consumed(&self, reply: &Reply, outcome: Outcome) -> Option<(Usage, usage::Source)> {
        let counts = self.call.operation.is_counted_in_tokens() && outcome == Outcome::Succeeded;
        let consumed = counts.then(|| openai::usage::of(&self.call.body, &reply.body))?;
        metrics::tokens(self.relay.registered_model(&self.call).as_deref(), consumed.0);
        Some(consumed)
    }

    /// Hands the stream over: from here on it settles the call.
    fn stream(self, pending: Pending<PermitSeat>, journey: Journey, begun: Begun) -> Answer {
        let intent = Some(pending.intent());
        let Self {
            relay, call, charge, ..
        } = self;
        let holds = Holds {
            relay,
            pending,
            journey,
            charge,
        };
        Answer {
            content: Content::Stream(Box::new(Streamed::new(holds, &call, begun))),
            origin: Origin::Upstream,
            recorded: Recorded::Yes,
            intent,
            allowance: None,
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
