//! One leased item in a worker's hands: the call it stands for is made, and what came of it is written down.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::claim::Leased;
use super::ending::{Ending, MOST_RESULT, Outcome};
use super::settle::Holder;
use super::spec::asking;
use super::verdict::{self, Leeway};
use super::{JobError, Jobs};
use crate::auth::AuthError;
use crate::crypto::entropy;
use crate::model::call::{Call, IdempotencyKey};
use crate::model::id::RequestId;
use crate::model::job::event::Happening;
use crate::model::job::item::ItemError;
use crate::model::job::{ItemRef, JobKind};
use crate::model::key::Scope;
use crate::model::lane::Lane;
use crate::model::reply::Reply;
use crate::record::error::RecordError;
use crate::relay::error::RelayError;
use crate::relay::meaning::Meaning;
use crate::relay::{Answer, Content};
use crate::store::error::StoreError;
use crate::store::{Change, Tables, Urgency};

impl Jobs {
    /// Works at an item until something came of it.
    pub(super) async fn work(self: &Arc<Self>, leased: Leased) {
        let held = self.leases.hold(leased.at, leased.lease);
        let call = match self.call(&leased) {
            Ok(call) => call,
            Err(ending) => {
                return self.settle(leased.at, Holder::Worker(leased.lease), ending, None).await;
            }
        };
        let key = call.idempotency.clone();
        let begun = self.clock.monotonic();
        let after = |seconds: u32| begun + Duration::from_secs(seconds.into());
        let running = Box::pin(self.relay.run(call, lane(leased.kind)));
        let ending = tokio::select! {
            answer = running => self.judge(&leased, answer),
            () = held.withdrawn() => Ending::Cancelled,
            () = self.tell_when_slow(leased.at, after(leased.limits.soft), after(leased.limits.hard)) => Ending::Cut(ItemError {
                code: "TIME_LIMIT".to_owned(),
                message: format!("an attempt took longer than {} seconds", leased.limits.hard),
            }),
        };
        // Now, and not before the call: it may have used the key under a digest key that came meanwhile.
        let key = key.map(|key| self.recorder.key_digests(leased.owner, &key));
        self.settle(leased.at, Holder::Worker(leased.lease), ending, key).await;
    }

    /// The call that an item stands for, in the name of whoever its owner is now.
    fn call(&self, leased: &Leased) -> Result<Call, Ending> {
        let now = self.clock.wall();
        let caller = self
            .directory
            .caller_of(leased.owner, scope(leased.kind), now)
            .map_err(|error| Ending::Barred(lapsed(&error), leased.key))?;
        let asked = self
            .vault
            .open_body(leased.at, &leased.body)
            .map_err(|error| Ending::Barred(unreadable(&error), leased.key))?;
        let item = &leased.item;
        // Without randomness ids of one millisecond would meet: nothing is keyed by them.
        let random = entropy::random(self.entropy.as_ref()).unwrap_or_default();
        let request = RequestId::at(now, random);
        let asking = asking(caller, asked.alias.as_deref(), item.model.as_deref());
        let key = || IdempotencyKey::of_item(leased.at, item.epoch);
        let arrived = self.clock.monotonic();
        Ok(Call {
            client_request: Some(format!("{}/{}", leased.at.job, leased.at.index)),
            model: item.model.clone(),
            task_id: asked.task_id,
            idempotency: item.operation.class().is_paid().then(key),
            ..Call::of_ours(request, asking, item.operation, Bytes::from(asked.body), arrived)
        })
    }

    /// What a call's answer comes to.
    fn judge(&self, leased: &Leased, answer: Result<Answer, RelayError>) -> Ending {
        let leeway = Leeway {
            item: &leased.item,
            key: leased.key,
            retry: leased.retry,
            jitter: self.jitter(),
        };
        match answer {
            Ok(Answer {
                content: Content::Whole(reply),
                intent,
                ..
            }) => {
                let meaning = Meaning::of(leased.item.operation, &reply, self.clock.wall());
                match self.keep(leased.at, &reply) {
                    Ok(kept) => verdict::of_reply(meaning, kept, intent, leeway),
                    Err(error) => Ending::Failed(unreadable(&error), None),
                }
            }
            // None was asked for: what refuses a body that asks for one stands before a job is accepted.
            Ok(Answer {
                content: Content::Stream(_),
                intent,
                ..
            }) => Ending::Unknown {
                error: ItemError {
                    code: "UPSTREAM_FAILED".to_owned(),
                    message: "the upstream answered with a stream".to_owned(),
                },
                intent,
                outcome: None,
            },
            // Somebody holds a connection open: a day is too long.
            Err(RelayError::Record(RecordError::OverBudget { over, .. })) if leased.kind == JobKind::Images => {
                Ending::Barred(
                    ItemError {
                        code: "QUOTA_EXCEEDED".to_owned(),
                        message: over.to_string(),
                    },
                    leased.key,
                )
            }
            Err(cause) => verdict::of_error(&cause, leeway),
        }
    }

    /// Seals a reply, to be kept with its item.
    pub(super) fn keep(&self, at: ItemRef, reply: &Reply) -> Result<Outcome, JobError> {
        let fits = reply.body.len() <= MOST_RESULT;
        Ok(Outcome {
            sealed: fits.then(|| self.vault.seal_result(at, reply)).transpose()?,
            status: reply.status.as_u16(),
            expires_at: None,
        })
    }

    /// Tells in an event that an attempt is slow, and ends when it must.
    async fn tell_when_slow(&self, at: ItemRef, soft: Instant, hard: Instant) {
        if soft < hard {
            sleep_until(soft).await;
            match self.store.change(TellSlow { at }).await {
                Ok(()) => self.hub.touch(at.job),
                Err(error) => tracing::error!(error = %error, "a slow item was not told of"),
            }
        }
        sleep_until(hard).await;
    }
}

struct TellSlow {
    at: ItemRef,
}

impl Change for TellSlow {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        if let Some(mut edit) = tables.edit_job(self.at.job)? {
            tables.tell_of_job(&mut edit, Happening::Slow { index: self.at.index })?;
            tables.close_job(edit)?;
        }
        Ok(())
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}

/// What the owner's key must be good for: images and videos are calls like any other to those who ask for them.
const fn scope(kind: JobKind) -> Scope {
    match kind {
        JobKind::Batch => Scope::Jobs,
        JobKind::Images | JobKind::Video => Scope::Relay,
    }
}

/// Whose turn it is: somebody holds a connection open for images.
const fn lane(kind: JobKind) -> Lane {
    match kind {
        JobKind::Images => Lane::Interactive,
        JobKind::Batch | JobKind::Video => Lane::Background,
    }
}

/// The owner may not have this done any more.
fn lapsed(error: &AuthError) -> ItemError {
    let code = match error {
        AuthError::Revoked | AuthError::UnknownKey => "KEY_REVOKED",
        AuthError::Expired => "KEY_EXPIRED",
        _ => "SCOPE_DENIED",
    };
    ItemError {
        code: code.to_owned(),
        message: error.to_string(),
    }
}

fn unreadable(error: &JobError) -> ItemError {
    ItemError {
        code: "INTERNAL_ERROR".to_owned(),
        message: error.to_string(),
    }
}
