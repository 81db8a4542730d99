//! The whole path of a call, at a glance.
//!
//! [`Relay::run`]: where the model leads and who may use it → claim the idempotency key → admit, at an account that the
//! pool chooses → one commit with the intent → send, perhaps elsewhere → settle → answer; a stream settles when it ends.
//! Queries take the shorter way: find the task's account → admit → ask → note what it told.

mod account;
mod answer;
pub mod error;
mod flight;
pub mod inquiry;
pub mod meaning;
mod query;
mod quote;
mod reaper;
mod seat;
pub mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use self::account::AccountView;
pub use self::answer::{Answer, Content, Origin};
pub use crate::dispatch::pool::breaker::BreakerState;
pub use crate::dispatch::pool::unusable::UnusableKind;

use self::error::RelayError;
use self::flight::Flight;
use self::seat::PermitSeat;
use crate::admission::quota::Charge;
use crate::admission::{Admission, Loads, Permit};
use crate::config::UnknownTasks;
use crate::crypto::entropy::Entropy;
use crate::dispatch::retry::Moment;
use crate::dispatch::{Dispatcher, Journey};
use crate::model::call::{Call, HangUp};
use crate::model::catalogue::{Catalogue, Route};
use crate::model::clock::{Clock, Timestamp};
use crate::model::lane::Lane;
use crate::model::operation::{Class, Operation, Protocol};
use crate::model::record::Refusal;
use crate::record::error::RecordError;
use crate::record::{Claim, Claimed, Recorder, Resolve, ResolveError, Verdict};
use crate::store::error::StoreError;
use crate::store::tasks;
use crate::telemetry::metrics;
use crate::upstream::openai::{context, estimate};

/// Relays calls. It owns nothing but the parts of the path.
pub struct Relay {
    recorder: Arc<Recorder>,
    admission: Arc<Admission>,
    dispatcher: Dispatcher,
    tracker: TaskTracker,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    policy: Policy,
}

/// What the operator decided about calls.
#[derive(Clone, Debug)]
pub struct Policy {
    /// From the head of a request to its answer.
    pub deadline: Duration,
    /// What becomes of queries for tasks we never saw.
    pub unknown_tasks: UnknownTasks,
    /// When the store was made: `UNKNOWN_TASKS=migrate` counts from here.
    pub store_made_at: Timestamp,
}

impl Relay {
    /// Assembles the path. Running tasks that the store remembers take their slots again.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn new(
        recorder: Arc<Recorder>,
        admission: Arc<Admission>,
        dispatcher: Dispatcher,
        tracker: TaskTracker,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        policy: Policy,
    ) -> Result<Self, StoreError> {
        for (account, intent, task) in recorder.store().read(tasks::running_tasks)? {
            if let Some(running) = admission.running(account) {
                running.recover(intent, task);
            }
        }
        Ok(Self {
            recorder,
            admission,
            dispatcher,
            tracker,
            clock,
            entropy,
            policy,
        })
    }

    /// Relays one call.
    ///
    /// # Errors
    /// [`RelayError`].
    ///
    /// # Cancel safety
    /// Dropping the future is the caller hanging up: what was not sent is given back, a submit or keyed call that was
    /// sent finishes in the background, anything else is cancelled upstream.
    pub async fn run(self: &Arc<Self>, call: Call, lane: Lane) -> Result<Answer, RelayError> {
        let route = self.vet(&call)?;
        let deadline = call.arrived + self.patience(&call, &route);
        if call.operation.class() == Class::Query {
            return self.query(&call, lane, deadline).await;
        }
        let call = Call {
            model: call
                .model
                .or_else(|| Some(route.model.clone()).filter(|model| !model.is_empty())),
            ..call
        };
        let claimed = match self.recorder.claim(&call, deadline).await? {
            Claim::Repeat { reply, intent } => return Answer::replay(reply, intent),
            Claim::First(claimed) => claimed,
        };
        let charge = self.charge(&call)?;
        let quote = quote::quote(&call, &route, &self.dispatcher.catalogue());
        let allowance = charge.allowance();
        let mut journey = self.dispatcher.journey(&call, &route, deadline);
        let permit = self.admit(&call, lane, &mut journey, deadline).await?;
        let flight = Flight {
            relay: Arc::clone(self),
            lane,
            deadline,
            gone: CancellationToken::new(),
            opened: Arc::default(),
            charge,
            quote,
            call,
        };
        let landed = self.fly(flight, claimed, permit, journey).await;
        landed.map(|answer| Answer { allowance, ..answer })
    }

    /// Where a call leads, if it may be made at all: its model is known, on the key's list, and large enough for it.
    ///
    /// # Errors
    /// [`RelayError::NoRoute`], [`RelayError::ModelDenied`], [`RelayError::Unpriced`] or [`RelayError::ContextExceeded`].
    pub fn vet(&self, call: &Call) -> Result<Route, RelayError> {
        let route = self.dispatcher.route(call)?;
        if call.model.is_some() || call.operation.protocol() == Protocol::OpenAi {
            permit_model(call, &route)?;
        }
        quote::check_price(call, &route)?;
        check_context(call, &route)?;
        Ok(route)
    }

    /// Lets a call fly: one that must finish whatever its caller does flies on its own.
    async fn fly(
        &self,
        flight: Flight,
        claimed: Option<Claimed>,
        permit: Permit,
        journey: Journey,
    ) -> Result<Answer, RelayError> {
        let (deadline, opened) = (flight.deadline, Arc::clone(&flight.opened));
        let hang_up = flight.gone.clone().drop_guard();
        match flight.call.on_hang_up() {
            HangUp::Cancels => flight.run(claimed, permit, journey).await,
            HangUp::Finishes => {
                let flying = flight.run(claimed, permit, journey).in_current_span();
                let answer = timeout_at(deadline, self.tracker.spawn(flying)).await;
                drop(hang_up);
                match answer {
                    Ok(finished) => finished.unwrap_or(Err(RelayError::Interrupted)),
                    Err(_) => Err(RelayError::Deadline {
                        intent: opened.get().copied(),
                    }),
                }
            }
        }
    }

    /// Counts a call against the quotas of its key.
    fn charge(&self, call: &Call) -> Result<Charge, RelayError> {
        // Only a key with a limit of tokens pays for the estimate.
        let counts = call.operation.is_counted_in_tokens() && call.caller.limits.tokens_per_minute.is_some();
        let estimate = if counts { estimate::call(&call.body) } else { 0 };
        let charged = self.admission.charge(&call.caller, estimate);
        charged
            .map_err(RelayError::Rejected)
            .inspect_err(|error| self.count_refusal(call, error))
    }

    /// Decides the fate of an unknown outcome, as a person says; a running slot it held goes with it.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn resolve(&self, resolve: Resolve) -> Result<(), ResolveError> {
        let (intent, verdict) = (resolve.intent, resolve.verdict.clone());
        let account = self.recorder.resolve(resolve).await?;
        if let Some(running) = self.admission.running(account) {
            match verdict {
                Verdict::NotSent => running.finish(intent),
                Verdict::Task(task_id) => running.update(intent, |held| {
                    held.task_id = Some(task_id);
                    held.lapses_at = None;
                }),
            }
        }
        Ok(())
    }

    /// The catalogue that calls go by.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.dispatcher.catalogue()
    }

    /// Every account, and how it stands.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountView> {
        let views = self.dispatcher.view().into_iter();
        views
            .flat_map(|(upstream, views)| {
                views.into_iter().map(move |view| AccountView {
                    upstream: upstream.clone(),
                    account: view.account,
                    standing: view.standing,
                    breaker: view.breaker,
                })
            })
            .collect()
    }

    /// The model of a call, if it is in the registry: the only ones that metrics name.
    fn registered_model(&self, call: &Call) -> Option<String> {
        let catalogue = self.dispatcher.catalogue();
        call.model.clone().filter(|model| catalogue.models.contains_key(model))
    }

    /// What sends.
    #[must_use]
    pub const fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    async fn admit(
        &self,
        call: &Call,
        lane: Lane,
        journey: &mut Journey,
        deadline: Instant,
    ) -> Result<Permit, RelayError> {
        loop {
            let choose = |loads: &Loads<'_>| {
                self.dispatcher
                    .choose(journey, |account| loads.of(account))
                    .map_err(RelayError::from)
            };
            let admitting = self
                .admission
                .admit(&call.caller, call.operation, lane, choose, deadline);
            let permit = admitting.await.inspect_err(|error| self.count_refusal(call, error))?;
            if self.dispatcher.stands(journey) {
                return Ok(permit);
            }
            // Its account was taken out of use while it waited there.
            journey.give_back();
        }
    }

    /// From the head of a request to its answer, or to the head of it where that is a stream.
    fn patience(&self, call: &Call, route: &Route) -> Duration {
        match call.operation.protocol() {
            Protocol::Volcengine => self.policy.deadline,
            Protocol::OpenAi => self.dispatcher.patience(route),
        }
    }

    /// Counts a call that was not let in.
    fn count_refusal(&self, call: &Call, error: &RelayError) {
        let refusal = match error {
            RelayError::Rejected(rejected) => rejected.refusal(),
            RelayError::Record(RecordError::OverBudget { .. }) => Some(Refusal::QuotaExceeded),
            _ => None,
        };
        if let Some(refusal) = refusal {
            metrics::rejection(call.operation, refusal);
            self.recorder.refuse(refusal);
        }
    }

    /// The moment, for whoever decides about another attempt.
    fn moment(&self, class: Class, deadline: Instant) -> Moment {
        let latest = match class {
            Class::Submit => deadline.checked_sub(crate::config::Volcengine::LEAST_TIME_TO_SUBMIT),
            Class::Call | Class::Query => Some(deadline),
        };
        let now = self.clock.monotonic();
        let mut random = [0; 4];
        // Without randomness the wait is the shortest: harmless, and the call still goes on.
        drop(self.entropy.fill(&mut random));
        let jitter = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        Moment {
            latest: latest.unwrap_or(now),
            now,
            wall: self.clock.wall(),
            jitter,
        }
    }

    fn seat(&self, call: &Call, permit: Permit) -> PermitSeat {
        PermitSeat::new(Arc::clone(&self.admission), Arc::clone(&self.clock), call, permit)
    }
}

/// Refuses a model that is not on the key's list.
fn permit_model(call: &Call, route: &Route) -> Result<(), RelayError> {
    if call.caller.may_use(&route.model) {
        Ok(())
    } else {
        Err(RelayError::ModelDenied)
    }
}

/// Refuses a question that fills more than nine tenths of the model's context, as the MegaLLM proxy did.
fn check_context(call: &Call, route: &Route) -> Result<(), RelayError> {
    let chats = matches!(
        call.operation,
        Operation::ChatCompletions | Operation::Completions | Operation::Responses
    );
    let Some(limit) = route.context_length.filter(|_| chats) else {
        return Ok(());
    };
    Ok(context::check(&route.model, estimate::input(&call.body), limit)?)
}
