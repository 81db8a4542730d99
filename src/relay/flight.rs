//! A paid call from its permit to its settlement.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
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
use crate::dispatch::pool::unusable::Unusable;
use crate::dispatch::{Arrived, Attempt, Begun, Journey};
use crate::model::call::{Call, HangUp};
use crate::model::lane::Lane;
use crate::model::money::Quote;
use crate::model::operation::Protocol;
use crate::model::outcome::{Outcome, Reason};
use crate::model::reply::Reply;
use crate::model::usage::{self, Usage};
use crate::record::{Claimed, Ending, Pending, Recorded, RunningSlot, Sent, Wait};
use crate::telemetry::metrics;
use crate::upstream::error::{Fault, Phase};
use crate::upstream::mark::SentMark;
use crate::upstream::{Form, Symptom, Verdict, openai};

/// A paid call on its way.
pub(super) struct Flight {
    pub(super) relay: Arc<Relay>,
    pub(super) call: Call,
    pub(super) lane: Lane,
    pub(super) deadline: Instant,
    /// What it costs of its key's quotas.
    pub(super) charge: Charge,
    /// What it may cost.
    pub(super) quote: Quote,
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
        let opening = relay.recorder.open(call, account, slot, claimed, self.quote, seat);
        let mut pending = tokio::select! {
            biased;
            () = self.gone.cancelled() => return Err(RelayError::Deadline { intent: None }),
            opened = opening => opened
                .map_err(RelayError::from)
                .inspect_err(|error| relay.count_refusal(call, error))?,
        };
        self.opened.get_or_init(|| pending.intent());
        self.charge.sent();
        let mut upstream_time = Duration::ZERO;
        let mut so_far = Outcome::NotSent;
        loop {
            let mark = SentMark::default();
            pending.attempting(mark.clone());
            let Some(attempt) = self.fly(&pending, &journey, mark).await else {
                return Err(self.withdraw(pending, journey, so_far).await);
            };
            upstream_time += attempt.took;
            so_far = together(so_far, attempt.outcome());
            let moment = || relay.moment(call.operation.class(), self.deadline);
            let next = relay
                .dispatcher
                .after(call, &mut journey, &attempt, pending.attempts(), moment);
            let (wait, reason) = match next {
                Next::Stop => {
                    let added = relay.clock.monotonic().saturating_duration_since(call.arrived);
                    metrics::overhead(call.operation, added.saturating_sub(upstream_time));
                    return self.land(pending, journey, attempt, so_far).await;
                }
                Next::Again(wait, reason) => (Some(wait), reason),
                Next::Elsewhere(reason) => (None, reason),
            };
            match so_far {
                Outcome::Unknown => pending.doubt(),
                _ => pending.back_at_the_start(),
            }
            if let Back::No = self.go_on(&mut pending, &mut journey, wait).await {
                return self.land(pending, journey, attempt, so_far).await;
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
    /// the account that the pool chooses. Without a wait it keeps its place among the calls of its owner. Another account
    /// is written down before anything is sent to it.
    async fn go_on(&self, pending: &mut Pending<PermitSeat>, journey: &mut Journey, wait: Option<Duration>) -> Back {
        let Some(seat) = pending.seat_mut() else {
            return Back::No;
        };
        match wait {
            Some(_) => seat.permit.step_aside(),
            None => seat.permit.leave_account(),
        }
        let before = seat.permit.account;
        let again = async {
            sleep(wait.unwrap_or_default()).await;
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

    /// Settles a call whose last attempt was not sent, by those before it.
    async fn withdraw(&self, pending: Pending<PermitSeat>, mut journey: Journey, so_far: Outcome) -> RelayError {
        self.relay.dispatcher.conclude(&mut journey);
        let outcome = together(so_far, Outcome::NotSent);
        let intent = Some(pending.intent()).filter(|_| !outcome.frees_the_key());
        pending
            .settle(Ending::unanswered(outcome, Reason::HungUp), Wait::Not)
            .await;
        RelayError::Deadline { intent }
    }

    /// Settles by the last attempt and what the ones before left open, and gives the caller what can be given.
    async fn land(
        self,
        pending: Pending<PermitSeat>,
        mut journey: Journey,
        attempt: Attempt,
        outcome: Outcome,
    ) -> Result<Answer, RelayError> {
        let intent = Some(pending.intent()).filter(|_| !outcome.frees_the_key());
        let wait = match self.call.on_hang_up() {
            HangUp::Finishes => Wait::ForCommit,
            HangUp::Cancels => Wait::Not,
        };
        let retry_after = attempt.retry_after(self.relay.clock.wall());
        let (reply, verdict) = match attempt.result {
            Ok(Arrived::Whole(reply, verdict)) => (Arc::new(reply), verdict),
            Ok(Arrived::Stream(begun)) => return Ok(self.stream(pending, journey, begun)),
            Err(error) => {
                self.relay.dispatcher.conclude(&mut journey);
                let (reason, cause) = unanswered(error.phase, error.fault);
                pending.settle(Ending::unanswered(outcome, reason), wait).await;
                return Err(RelayError::Upstream { cause, intent });
            }
        };
        let unusable = self.relay.dispatcher.conclude(&mut journey);
        let reason = if unreadable(&verdict) {
            Reason::Unreadable
        } else {
            Reason::Replied
        };
        let form = verdict.form;
        let unusable = unusable.filter(|unusable| self.speaks_of_the_pool(verdict.symptom, retry_after, *unusable));
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
        let reply = match (unusable, verdict.symptom) {
            (None, _) => reply,
            (Some(unusable), Symptom::Limited) => Arc::new(waiting(&reply, unusable)),
            (Some(unusable), _) => return Err(RelayError::Unusable(unusable)),
        };
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

    /// Whether a reply is about an account rather than the call, so that, where no account is left, the caller is told what
    /// the next one will be told. A 429 passes in any case, with that wait where it names none or a longer one.
    /// Volcengine's words always pass.
    fn speaks_of_the_pool(&self, symptom: Symptom, retry_after: Option<Duration>, unusable: Unusable) -> bool {
        let refused = match symptom {
            Symptom::Unauthorized | Symptom::Forbidden | Symptom::Exhausted => true,
            Symptom::Limited => retry_after.is_none_or(|asked| asked > unusable.retry_after + SECOND),
            Symptom::Healthy | Symptom::Neutral | Symptom::Failing => false,
        };
        refused && self.call.operation.protocol() == Protocol::OpenAi
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

/// A 429 with the wait until an account serves.
fn waiting(reply: &Reply, unusable: Unusable) -> Reply {
    let mut reply = reply.clone();
    let seconds = (unusable.retry_after + SECOND.saturating_sub(Duration::from_nanos(1))).as_secs();
    reply.headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    reply
}

/// What came of a call so far, after its next attempt: once something may have been paid, only a success says more.
const fn together(so_far: Outcome, next: Outcome) -> Outcome {
    match (so_far, next) {
        (Outcome::Unknown, Outcome::Refused | Outcome::NotSent | Outcome::Rejected) => Outcome::Unknown,
        _ => next,
    }
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

/// What is told is rounded up to it.
const SECOND: Duration = Duration::from_secs(1);
