//! The engine's writes on a store in memory, under a clock that is moved by hand.

mod check;
mod model;
mod restart;

use std::sync::Arc;
use std::time::Duration;

use super::bell::Bell;
use super::change::{Asked, Begin};
use super::claim::{Claim, Leased};
use super::ending::{Ending, Outcome};
use super::fixture::{self, NOW};
use super::lease::{Leases, Renew, Return, TakeBack};
use super::poll::{AskAgain, TakeQuestions};
use super::settle::{Holder, Settle};
use super::sweep::{Sweep, Sweeping};
use super::timers::{NothingDue, TakeDue, Taken};
use super::webhook::egress::{Guard, SystemResolver};
use super::webhook::{Outbox, Surroundings};
use super::{JobError, Viewer};
use crate::crypto::entropy::OsEntropy;
use crate::model::clock::fixture::Wall;
use crate::model::clock::{Clock, GuardedClock};
use crate::model::id::JobId;
use crate::model::job::item::Lease;
use crate::model::job::{Item, ItemRef, Job, QueueName};
use crate::record::Recorder;
use crate::store::Store;
use crate::store::error::WriteError;
use crate::store::jobs::{self, item};

/// What the engine's writes need, and the leases of the present process.
struct World {
    store: Store,
    clock: Arc<Wall>,
    recorder: Arc<Recorder>,
    bell: Bell,
    boot: u64,
    leases: Leases,
}

impl World {
    fn new() -> Self {
        let clock = Wall::at(NOW);
        let store = fixture::store_at(clock.clone());
        let entropy = Arc::new(OsEntropy);
        let recorder = Arc::new(Recorder::new(
            store.clone(),
            clock.clone(),
            Arc::new(GuardedClock::new(clock.clone())),
            entropy.clone(),
            TTL,
            "volcengine",
        ));
        let outbox = Outbox::new(Surroundings {
            store: store.clone(),
            clock: clock.clone(),
            entropy,
            root: None,
            guard: Guard::new(Arc::new(SystemResolver), Vec::new()),
        });
        let bell = Bell {
            vault: fixture::vault(&store),
            outbox: Arc::new(outbox),
        };
        Self {
            leases: Leases::new(1),
            boot: 1,
            store,
            clock,
            recorder,
            bell,
        }
    }

    fn pass(&self, length: Duration) {
        self.clock.forward(length);
    }

    /// Leases up to `limit` items of a queue.
    async fn claim(&self, queue: &QueueName, limit: usize) -> Vec<Leased> {
        let claim = Claim {
            queue: queue.clone(),
            limit,
            leases: self.leases.clone(),
            key_lives: TTL,
            bell: self.bell.clone(),
        };
        match self.store.write(claim).await {
            Ok(claimed) => claimed.leased,
            Err(WriteError::Refused(_)) => Vec::new(),
            Err(WriteError::Store(error)) => panic!("{error}"),
        }
    }

    async fn settle(&self, at: ItemRef, holder: Holder, ending: Ending) {
        let settle = Settle {
            at,
            holder,
            ending,
            key: None,
            bell: self.bell.clone(),
        };
        self.store.change(settle).await.unwrap();
    }

    /// Takes what is due.
    async fn take_due(&self) -> Option<Taken> {
        let taking = TakeDue {
            now: self.clock.wall(),
            bell: self.bell.clone(),
        };
        match self.store.write(taking).await {
            Ok(taken) => Some(taken),
            Err(WriteError::Refused(NothingDue { next })) => {
                assert!(next.is_none_or(|next| next > self.clock.wall()));
                None
            }
            Err(WriteError::Store(error)) => panic!("{error}"),
        }
    }

    /// Takes the questions that are due. Returns how many there were.
    async fn take_questions(&self) -> usize {
        let taking = TakeQuestions {
            now: self.clock.wall(),
            limit: 64,
        };
        match self.store.write(taking).await {
            Ok(questions) => questions.len(),
            Err(WriteError::Refused(_)) => 0,
            Err(WriteError::Store(error)) => panic!("{error}"),
        }
    }

    async fn renew(&self, held: Vec<(ItemRef, Lease)>) {
        self.store.change(Renew { held }).await.unwrap();
    }

    async fn give_back(&self, held: Vec<(ItemRef, Lease)>) {
        let bell = self.bell.clone();
        self.store.change(Return { held, bell }).await.unwrap();
    }

    /// The process is killed, and the next one takes back what it had in hand.
    async fn restart(&mut self) {
        self.boot += 1;
        self.leases = Leases::new(self.boot);
        self.store.change(AskAgain).await.unwrap();
        loop {
            let taking = TakeBack {
                boot: self.boot,
                bell: self.bell.clone(),
            };
            if self.store.change(taking).await.unwrap().items == 0 {
                return;
            }
        }
    }

    /// Asks something of a job. Its items have yet to follow.
    async fn begin(&self, id: JobId, asked: Asked) -> Result<(), JobError> {
        let begin = Begin {
            viewer: Viewer::Operator,
            id,
            asked,
            bell: self.bell.clone(),
        };
        self.store.write(begin).await.map(drop).map_err(JobError::from)
    }

    async fn sweep(&self, id: JobId, sweeping: Sweeping) {
        let mut from = Some(0);
        while let Some(start) = from {
            let sweep = Sweep {
                id,
                from: start,
                sweeping,
                recorder: Arc::clone(&self.recorder),
                bell: self.bell.clone(),
            };
            from = self.store.change(sweep).await.unwrap().next;
        }
    }

    fn job(&self, id: JobId) -> Job {
        fixture::read(&self.store, id)
    }

    fn item(&self, at: ItemRef) -> Item {
        self.store.read(|rows| item::get(rows, at)).unwrap().unwrap()
    }

    /// Every job that is there, with its items.
    fn everything(&self) -> Vec<JobRows> {
        let read = |rows: &mut crate::store::Reader| {
            let found = jobs::latest(rows, JobId::from_bits(u128::MAX), usize::MAX)?;
            let with_items = found.into_iter().map(|(id, job)| {
                let items = item::of_job(rows, id, 0, usize::MAX)?;
                Ok((id, job, items))
            });
            with_items.collect()
        };
        self.store.read(read).unwrap()
    }
}

/// A job, and its items by position.
type JobRows = (JobId, Job, Vec<(u32, Item)>);

/// What an item was answered, as far as these tests care.
fn answered() -> Outcome {
    Outcome {
        sealed: Some(vec![1]),
        status: 200,
        expires_at: None,
    }
}

/// How long an idempotency key can be counted on here.
const TTL: Duration = Duration::from_hours(24);
