//! Accepting a job: what it asks is vetted, sealed, and committed at once.

use std::sync::Arc;
use std::time::Duration;

use super::bell::{Bell, Told};
use super::webhook::NotAccepted;
use super::{ItemSpec, JobError, JobSpec, Jobs, Viewer};
use crate::crypto::digest::DigestKey;
use crate::crypto::entropy;
use crate::crypto::keyring::{Ring, Versions};
use crate::model::call::{Call, IdempotencyKey};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::id::{JobId, RequestId};
use crate::model::job::item::ItemBody;
use crate::model::job::queue::QueueMode;
use crate::model::job::{Item, ItemRef, Job};
use crate::relay::error::RelayError;
use crate::store::error::{StoreError, WriteError};
use crate::store::jobs::key::JobKey;
use crate::store::jobs::{NewItem, key, queue};
use crate::store::{Rows, Tables, Write};

/// What became of a submission.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The job's id.
    pub id: JobId,
    /// The job.
    pub job: Job,
    /// Whether it was accepted now.
    pub origin: Origin,
}

/// Whether a job is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was accepted now.
    New,
    /// An earlier submission with the same idempotency key had made it.
    Repeat,
}

impl Jobs {
    /// Accepts a job. When it returns, the job is on the disk.
    ///
    /// # Errors
    /// [`JobError`]; nothing was then accepted.
    ///
    /// # Cancel safety
    /// Dropped, the job may be accepted all the same: with an idempotency key a repeat learns of it.
    pub async fn submit(
        &self,
        caller: &Caller,
        spec: JobSpec,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<Submitted, JobError> {
        if self.closing.is_cancelled() {
            return Err(JobError::Closing);
        }
        if !self.recorder.has_room() {
            return Err(JobError::Full);
        }
        if !self.has_queue(&spec.queue) {
            return Err(JobError::invalid("queue", format!("there is no queue {}", spec.queue)));
        }
        if let Some(url) = &spec.private.webhook {
            let refused = |refused: NotAccepted| JobError::invalid("webhook.url", refused.to_string());
            self.bell.outbox.accepts(url).await.map_err(refused)?;
        }
        let now = self.clock.wall();
        for (index, item) in spec.items.iter().enumerate() {
            self.vet(caller, item, now).map_err(|cause| JobError::Item {
                index,
                cause: Box::new(cause),
            })?;
        }
        let id = JobId::at(
            now,
            entropy::random(self.entropy.as_ref()).map_err(|_| JobError::Entropy)?,
        );
        let items = spec
            .items
            .iter()
            .zip(0..)
            .map(|(item, index)| self.seal_item(ItemRef { job: id, index }, item, spec.not_before, now))
            .collect::<Result<Vec<_>, _>>()?;
        let items = Arc::new(items);
        let number = u32::try_from(spec.items.len()).unwrap_or(u32::MAX);
        let job = Job {
            key: caller.key(),
            kind: spec.kind,
            priority: spec.priority,
            not_before: spec.not_before,
            deadline: spec.deadline,
            retry: spec.retry,
            limits: spec.limits,
            private: self.vault.seal_private(id, &spec.private)?,
            ..Job::new(caller.owner, spec.queue.clone(), number, now)
        };
        let enqueued = loop {
            let usage = idempotency.map(|presented| self.usage(caller, &spec, presented, id, now));
            let enqueue = Enqueue {
                id,
                items: Arc::clone(&items),
                now,
                bell: self.bell.clone(),
                job: Job {
                    idempotency: usage.as_ref().map(|usage| usage.newest.0),
                    ..job.clone()
                },
                usage,
            };
            match self.store.write(enqueue).await {
                Ok(enqueued) => break enqueued,
                // The digest key was replaced between here and the writer, which happens once in months.
                Err(WriteError::Refused(Refused::Renamed)) => {}
                Err(WriteError::Refused(Refused::Job(error))) => return Err(error),
                Err(WriteError::Store(error)) => return Err(error.into()),
            }
        };
        match enqueued {
            Enqueued::Now(told) => {
                self.tell(&told);
                let job = told.into_iter().next().map(|(_, closed)| closed.job);
                let job = job.ok_or(JobError::NotFound)?;
                self.wake(&job.queue);
                if job.not_before.is_some() || job.deadline.is_some() {
                    self.alarm.ring();
                }
                Ok(Submitted {
                    id,
                    job,
                    origin: Origin::New,
                })
            }
            Enqueued::Before(id) => Ok(Submitted {
                id,
                job: self.get(Viewer::Owner(caller.owner), id).await?,
                origin: Origin::Repeat,
            }),
        }
    }

    /// Whether an item could be called now, by whoever submits it.
    fn vet(&self, caller: &Caller, item: &ItemSpec, now: Timestamp) -> Result<(), RelayError> {
        let request = RequestId::at(now, [0; 16]);
        let asking = item.caller(caller.clone());
        let call = Call {
            model: item.model.clone(),
            task_id: item.task_id.clone(),
            ..Call::of_ours(
                request,
                asking,
                item.operation,
                item.body.clone(),
                self.clock.monotonic(),
            )
        };
        self.relay.vet(&call).map(drop)
    }

    fn seal_item(
        &self,
        at: ItemRef,
        spec: &ItemSpec,
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<NewItem, JobError> {
        let body = ItemBody {
            body: spec.body.to_vec(),
            task_id: spec.task_id.clone(),
            req_json: spec.req_json.clone(),
            alias: spec.alias.clone(),
        };
        let not_before = not_before.filter(|moment| *moment > now);
        let turn = now.plus(SPACING.saturating_mul(at.index));
        Ok(NewItem {
            item: Item::new(spec.operation, spec.model.clone(), turn, not_before),
            body: self.vault.seal_body(at, &body)?,
        })
    }

    /// How an idempotency key is used by a submission, under every digest key that is looked up: its digest, and that of
    /// what is submitted. Only the moment at which it begins is left out, since a delay counts from the request.
    fn usage(&self, caller: &Caller, spec: &JobSpec, presented: &IdempotencyKey, job: JobId, now: Timestamp) -> Usage {
        let ring = self.store.keyring().digest.clone();
        let versions = ring.versions();
        let owner = caller.owner.bits().to_be_bytes();
        let webhook = spec
            .private
            .webhook
            .as_ref()
            .map(|url| url.uri().to_string())
            .unwrap_or_default();
        // Numbers and moments: writing them cannot fail.
        let terms = (spec.priority, spec.deadline, spec.retry, spec.limits);
        let terms = postcard::to_stdvec(&terms).unwrap_or_default();
        let mut parts = vec![
            terms.as_slice(),
            spec.kind.label().as_bytes(),
            spec.queue.as_str().as_bytes(),
            spec.private.metadata.as_bytes(),
            webhook.as_bytes(),
        ];
        for item in &spec.items {
            parts.push(item.operation.label().as_bytes());
            parts.push(&item.body);
            parts.push(item.req_json.as_deref().unwrap_or_default().as_bytes());
        }
        let under = |key: &Arc<DigestKey>| {
            let digest = key.of("job idempotency key", &[&owner, presented.as_bytes()]);
            let usage = JobKey {
                fingerprint: *key.of("job", &parts).as_bytes(),
                job,
                expires_at: now.plus(self.recorder.ttl()),
            };
            (*digest.as_bytes(), usage)
        };
        Usage {
            newest: under(versions.newest()),
            older: versions.iter().skip(1).map(under).collect(),
            ring,
            versions,
        }
    }
}

/// Writes a new job, unless its idempotency key was used before.
struct Enqueue {
    id: JobId,
    items: Arc<Vec<NewItem>>,
    usage: Option<Usage>,
    now: Timestamp,
    bell: Bell,
    job: Job,
}

/// How an idempotency key is used by a submission.
struct Usage {
    newest: ([u8; 32], JobKey),
    older: Vec<([u8; 32], JobKey)>,
    ring: Ring<DigestKey>,
    /// The digest keys that it was made under.
    versions: Arc<Versions<DigestKey>>,
}

impl Usage {
    fn all(&self) -> impl Iterator<Item = &([u8; 32], JobKey)> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    /// Whether these are still the keys that a use is looked for under. The writer asks, one submission after the other: so
    /// of two with one key, the later finds what the earlier wrote.
    fn is_current(&self) -> bool {
        self.ring.is_at(&self.versions)
    }
}

/// Why a submission was not written.
enum Refused {
    Job(JobError),
    /// The digest key was replaced meanwhile: it is to be named anew.
    Renamed,
}

/// What a submission came to.
enum Enqueued {
    Now(Told),
    Before(JobId),
}

impl Write for Enqueue {
    type Plan = Option<JobId>;
    type Done = Enqueued;
    type Refusal = Refused;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<Option<JobId>, WriteError<Refused>> {
        if let Some(usage) = &self.usage {
            if !usage.is_current() {
                return Err(WriteError::Refused(Refused::Renamed));
            }
            for (digest, usage) in usage.all() {
                let Some(earlier) = key::get(rows, digest)?.filter(|earlier| earlier.expires_at > self.now) else {
                    continue;
                };
                return if earlier.fingerprint == usage.fingerprint {
                    Ok(Some(earlier.job))
                } else {
                    Err(WriteError::Refused(Refused::Job(JobError::Conflict)))
                };
            }
        }
        if queue::get(rows, &self.job.queue)?.mode == QueueMode::Draining {
            let draining = JobError::Draining(self.job.queue.to_string());
            return Err(WriteError::Refused(Refused::Job(draining)));
        }
        Ok(None)
    }

    fn apply(&mut self, earlier: Option<JobId>, tables: &mut Tables<'_>) -> Result<Enqueued, StoreError> {
        if let Some(id) = earlier {
            return Ok(Enqueued::Before(id));
        }
        if let Some(Usage {
            newest: (digest, usage),
            ..
        }) = &self.usage
        {
            tables.put_job_key(digest, usage)?;
        }
        let mut told = Told::new();
        let edit = tables.insert_job(self.id, self.job.clone(), &self.items)?;
        self.bell.close(tables, edit, &mut told)?;
        Ok(Enqueued::Now(told))
    }
}

/// The items of a batch take their places in line as if they came so far apart: a large one does not hold up whatever is
/// submitted after it.
const SPACING: Duration = Duration::from_millis(100);
