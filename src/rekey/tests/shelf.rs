//! A store with something sealed in every table, and what must be found in it.

use std::time::Duration;

use super::process::{NOW, Process};
use crate::auth::{Actor, Authority, KeySpec};
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::Place;
use crate::model::id::{AccountId, DeliveryId, JobId, KeyId, OwnerId};
use crate::model::job::log::{LogHead, LogLevel};
use crate::model::job::{Item, ItemRef, Job, QueueName};
use crate::model::key::{Limits, Schemes, Scope, Scopes};
use crate::model::operation::{Operation, Protocol};
use crate::model::upstream::StreamUsage;
use crate::model::webhook::{Delivery, DeliveryState};
use crate::store::accounts::{self, AccountRow};
use crate::store::error::StoreError;
use crate::store::jobs::log::{self, LogRow};
use crate::store::jobs::{self, NewItem, item};
use crate::store::sealed::SealedTable;
use crate::store::upstreams::UpstreamRow;
use crate::store::{Change, Store, Tables, idempotency, keys, webhooks};

/// One secret of the store: where it is, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Secreted {
    pub(super) table: SealedTable,
    number: u64,
    plain: Vec<u8>,
}

/// Seals something into a table, in a row of this number.
pub(super) async fn put(process: &Process, table: SealedTable, number: u64) -> Secreted {
    if table == SealedTable::ClientKeys {
        let issued = process.issuer.create(spec(number), &operator()).await.unwrap();
        return Secreted {
            table,
            number: issued.key.id.bits(),
            plain: issued.secret.expose().as_bytes().to_vec(),
        };
    }
    let plain = format!("{} of row {number}", table.name()).into_bytes();
    let put = Put {
        store: process.store.clone(),
        table,
        number,
        plain: plain.clone(),
    };
    process.store.change(put).await.unwrap();
    Secreted { table, number, plain }
}

/// So many secrets in every table.
pub(super) async fn fill(process: &Process, each: u64) -> Vec<Secreted> {
    let mut shelf = Vec::new();
    for table in SealedTable::ALL {
        for number in 1..=each {
            shelf.push(put(process, table, number).await);
        }
    }
    shelf
}

impl Secreted {
    /// What it says.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.plain.clone()).unwrap()
    }

    /// Whether the keys of the ring open it.
    pub(super) fn opens(&self, store: &Store, keyring: &Keyring) -> bool {
        let opened = |place: &Place<'_>, sealed: &[u8]| {
            let opened = keyring.seal.open(place, sealed);
            opened.is_ok_and(|opened| *opened == self.plain)
        };
        let plain = |table, record: &[u8], field, sealed: Vec<u8>| {
            opened(&Place::of_row(store.id(), table, record, field), &sealed)
        };
        let (id, at) = (self.job(), self.item());
        store
            .read(|rows| {
                Ok(match self.table {
                    SealedTable::ClientKeys => {
                        let row = keys::get(rows, KeyId::from_bits(self.number))?.unwrap();
                        keys::at_place(&row.key, store.id(), |place| opened(place, &row.sealed))
                    }
                    SealedTable::Accounts => {
                        let rows = accounts::all(rows)?;
                        let row = rows.into_iter().find(|row| row.id.bits() == self.number).unwrap();
                        accounts::at_place(row.id, &row.upstream, ADDRESS, store.id(), |place| {
                            opened(place, &row.sealed)
                        })
                    }
                    SealedTable::Replies => {
                        let sealed = idempotency::reply(rows, self.number)?.unwrap();
                        plain(
                            idempotency::REPLIES,
                            &self.number.to_be_bytes(),
                            idempotency::REPLY,
                            sealed,
                        )
                    }
                    SealedTable::Jobs => {
                        let job = jobs::get(rows, id)?.unwrap();
                        plain(jobs::TABLE, &id.bits().to_be_bytes(), jobs::SEALED, job.private)
                    }
                    SealedTable::Bodies => plain(
                        item::BODIES,
                        &item::place(at),
                        item::BODY,
                        item::body(rows, at)?.unwrap(),
                    ),
                    SealedTable::Results => plain(
                        item::RESULTS,
                        &item::place(at),
                        item::RESULT,
                        item::result(rows, at)?.unwrap(),
                    ),
                    SealedTable::Logs => {
                        let lines = log::search(rows, id, &log::Wanted::default(), 0, 1)?.lines;
                        let (number, row) = lines.into_iter().next().unwrap();
                        plain(log::TABLE, &log::place(id, number), log::SEALED, row.sealed)
                    }
                    SealedTable::Deliveries => {
                        let id = self.delivery();
                        let row = webhooks::get(rows, id)?.unwrap();
                        webhooks::at_place(id, &row, store.id(), |place| opened(place, &row.sealed))
                    }
                })
            })
            .unwrap()
    }

    /// The job that it is of. Those of different tables have different jobs.
    fn job(&self) -> JobId {
        job_id(self.table, self.number)
    }

    fn item(&self) -> ItemRef {
        ItemRef {
            job: self.job(),
            index: 0,
        }
    }

    fn delivery(&self) -> DeliveryId {
        DeliveryId::from_bits(self.number.into())
    }
}

fn job_id(table: SealedTable, number: u64) -> JobId {
    JobId::from_bits((u128::from(number) << 8) | u128::from(table as u8))
}

/// Whether every secret opens under the keys that the store has now.
#[track_caller]
pub(super) fn all_open<'a>(store: &Store, shelf: impl IntoIterator<Item = &'a Secreted>) {
    for secret in shelf {
        assert!(secret.opens(store, store.keyring()), "{secret:?} does not open");
    }
}

/// Whether none of them opens under these keys.
#[track_caller]
pub(super) fn none_opens(store: &Store, shelf: &[Secreted], keyring: &Keyring) {
    for secret in shelf {
        assert!(!secret.opens(store, keyring), "{secret:?} is still under an old key");
    }
}

/// Puts one row with something sealed.
struct Put {
    store: Store,
    table: SealedTable,
    number: u64,
    plain: Vec<u8>,
}

impl Put {
    fn sealed(&self, place: &Place<'_>) -> Vec<u8> {
        self.store.keyring().seal.seal(place, &self.plain, &OsEntropy).unwrap()
    }

    fn plain(&self, table: &str, record: &[u8], field: &str) -> Vec<u8> {
        self.sealed(&Place::of_row(self.store.id(), table, record, field))
    }

    fn job(&self, tables: &mut Tables<'_>, private: Vec<u8>, body: Vec<u8>) -> Result<(), StoreError> {
        let id = job_id(self.table, self.number);
        let item = Item::new(Operation::Process, None, NOW, None);
        let edit = tables.insert_job(id, job(private), &[NewItem { item, body }])?;
        tables.close_job(edit).map(drop)
    }
}

impl Change for Put {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let number = self.number;
        let id = job_id(self.table, number);
        let at = ItemRef { job: id, index: 0 };
        // What a job holds besides is sealed too, as no row may be there that is not.
        let private = self.plain(jobs::TABLE, &id.bits().to_be_bytes(), jobs::SEALED);
        let body = self.plain(item::BODIES, &item::place(at), item::BODY);
        match self.table {
            SealedTable::ClientKeys => unreachable!("they are issued"),
            SealedTable::Accounts => {
                tables.put_upstream(&upstream())?;
                let (id, upstream) = (AccountId::from_bits(number), upstream().name);
                let sealed = accounts::at_place(id, &upstream, ADDRESS, self.store.id(), |place| self.sealed(place));
                tables.put_account(&AccountRow {
                    id,
                    upstream,
                    weight: std::num::NonZeroU32::MIN,
                    position: number,
                    sealed,
                })
            }
            SealedTable::Replies => {
                let sealed = self.plain(idempotency::REPLIES, &number.to_be_bytes(), idempotency::REPLY);
                tables.put_reply(number, &sealed)
            }
            SealedTable::Jobs | SealedTable::Bodies => self.job(tables, private, body),
            SealedTable::Results => {
                self.job(tables, private, body)?;
                tables.put_result(at, &self.plain(item::RESULTS, &item::place(at), item::RESULT))
            }
            SealedTable::Logs => {
                self.job(tables, private, body)?;
                let head = LogHead {
                    at: NOW,
                    level: LogLevel::Debug,
                    category: "workflow".to_owned(),
                    duration_ms: None,
                };
                let sealed = self.plain(log::TABLE, &log::place(id, 1), log::SEALED);
                tables.add_lines(id, 1, &[LogRow { head, sealed }]).map(drop)
            }
            SealedTable::Deliveries => {
                let id = DeliveryId::from_bits(number.into());
                let mut delivery = Delivery {
                    owner: OwnerId::from_bits(7),
                    job: JobId::from_bits(1),
                    created_at: NOW,
                    state: DeliveryState::Pending { due: NOW },
                    attempts: 0,
                    last: None,
                    sealed: Vec::new(),
                };
                delivery.sealed = webhooks::at_place(id, &delivery, self.store.id(), |place| self.sealed(place));
                tables.put_delivery(id, &delivery)
            }
        }
    }
}

fn job(private: Vec<u8>) -> Job {
    Job {
        private,
        ..Job::new(OwnerId::from_bits(7), QueueName::default_queue(), 1, NOW)
    }
}

fn upstream() -> UpstreamRow {
    UpstreamRow {
        name: "pool".parse().unwrap(),
        protocol: Protocol::OpenAi,
        base_url: ADDRESS.to_owned(),
        timeout: Duration::from_secs(30),
        max_attempts: 3,
        stream_usage: StreamUsage::default(),
    }
}

fn spec(number: u64) -> KeySpec {
    KeySpec {
        description: format!("key {number}"),
        expires_at: None,
        scopes: Scopes::of([Scope::Relay]),
        schemes: Schemes::all(),
        models: None,
        limits: Limits::default(),
    }
}

fn operator() -> Actor {
    Actor {
        name: "test".to_owned(),
        request: None,
        authority: Authority::Full,
    }
}

/// Where the accounts send.
const ADDRESS: &str = "https://pool.example/v1";
