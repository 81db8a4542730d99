//! The catalogue of tables, and how an older store becomes one of this version.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::error::StoreError;
use super::raw;

/// The schema this version writes.
pub const SCHEMA: u32 = 4;

/// Declares every table once: its definition, and how a plan, an apply and a read get at it.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $field:ident: $key:ty = $constant:ident $name:literal;)+) => {
        $($(#[$doc])* pub(super) const $constant: TableDefinition<'static, $key, &'static [u8]> = TableDefinition::new($name);)+

        /// Every table's name, for metrics and checks.
        pub const TABLES: &[&str] = &[$($name),+];

        /// Read access to every table, the same within a write's plan and outside of it.
        pub trait Rows {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// [`StoreError`] when the table cannot be opened.
                fn $field(&mut self) -> Result<&impl ReadableTable<$key, &'static [u8]>, StoreError>;
            )+
        }

        /// Tables of one write transaction, each opened when first touched.
        pub(super) struct Opened<'txn> {
            txn: &'txn WriteTransaction,
            $($field: Option<Table<'txn, $key, &'static [u8]>>,)+
        }

        impl<'txn> Opened<'txn> {
            pub(super) fn new(txn: &'txn WriteTransaction) -> Self {
                Self { txn, $($field: None),+ }
            }

            $(
                pub(super) fn $field(&mut self) -> Result<&mut Table<'txn, $key, &'static [u8]>, StoreError> {
                    Ok(match &mut self.$field {
                        Some(table) => table,
                        empty => empty.insert(self.txn.open_table($constant)?),
                    })
                }
            )+
        }

        impl Rows for Opened<'_> {
            $(
                fn $field(&mut self) -> Result<&impl ReadableTable<$key, &'static [u8]>, StoreError> {
                    Opened::$field(self).map(|table| &*table)
                }
            )+
        }

        /// One read transaction: a stable picture of the store. Keep it short, it pins old pages.
        pub struct Reader {
            txn: ReadTransaction,
            $($field: Option<ReadOnlyTable<$key, &'static [u8]>>,)+
        }

        impl Reader {
            pub(super) fn new(txn: ReadTransaction) -> Self {
                Self { txn, $($field: None),+ }
            }

            pub(super) const fn transaction(&self) -> &ReadTransaction {
                &self.txn
            }

            /// How many rows each table holds.
            ///
            /// # Errors
            /// [`StoreError`] when the file fails.
            pub fn row_counts(&self) -> Result<Vec<(&'static str, u64)>, StoreError> {
                use redb::ReadableTableMetadata;
                Ok(vec![$(($name, self.txn.open_table($constant)?.len()?)),+])
            }
        }

        impl Reader {
            /// Gives every row of every table to `each`.
            pub(super) fn each_row<E: From<StoreError>>(
                &self,
                each: &mut impl FnMut(&'static str, &[u8], &[u8]) -> Result<(), E>,
            ) -> Result<(), E> {
                $(raw::each_row_of($name, &self.txn.open_table($constant).map_err(StoreError::from)?, each)?;)+
                Ok(())
            }
        }

        /// Writes rows as [`Reader::each_row`] gave them.
        pub(super) fn insert_rows<'a>(
            txn: &WriteTransaction,
            table: &str,
            rows: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        ) -> Result<(), StoreError> {
            match table {
                $($name => raw::insert_into(&mut txn.open_table($constant)?, rows),)+
                unknown => Err(StoreError::corrupt("a backup", format!("there is no table {unknown}"))),
            }
        }

        impl Rows for Reader {
            $(
                fn $field(&mut self) -> Result<&impl ReadableTable<$key, &'static [u8]>, StoreError> {
                    Ok(match &mut self.$field {
                        Some(table) => &*table,
                        empty => &*empty.insert(self.txn.open_table($constant)?),
                    })
                }
            )+
        }

        /// Makes every table that is not there yet, so that readers find them.
        pub(super) fn create_tables(txn: &WriteTransaction) -> Result<(), StoreError> {
            $(txn.open_table($constant)?;)+
            Ok(())
        }
    };
}

impl Reader {
    /// How many jobs have ended and are still kept.
    pub(super) fn finished_jobs(&self) -> Result<u64, StoreError> {
        use redb::ReadableTableMetadata;
        Ok(self.txn.open_table(JOBS_FINISHED)?.len()?)
    }
}

catalogue! {
    /// Single rows by name: schema, store id, wrapped data keys, chain head and anchor, counters.
    meta: &'static str = META "meta.v1";
    /// Client keys. Key: the number of a `KeyId`.
    client_keys: u64 = CLIENT_KEYS "client_keys.v1";
    /// The log book. Key: the writer's sequence number.
    audit: u64 = AUDIT "audit.v1";
    /// Intents without a settlement. Key: the intent's sequence number.
    open_intents: u64 = OPEN_INTENTS "open_intents.v1";
    /// Idempotency keys in use. Key: keyed digest of owner and key.
    idempotency: [u8; 32] = IDEMPOTENCY "idempotency.v1";
    /// The same by time of expiry. Key: expiry in microseconds (big-endian) and the digest.
    idempotency_expiry: [u8; 40] = IDEMPOTENCY_EXPIRY "idempotency_expiry.v1";
    /// Kept replies, sealed. Key: the intent's sequence number.
    replies: u64 = REPLIES "replies.v1";
    /// Submits by owner. Key: owner and the intent's sequence number.
    submits: [u8; 16] = SUBMITS "submits.v1";
    /// Provider task ids to submits. Key: the upstream's name, a zero byte, the task id.
    tasks: &'static [u8] = TASKS "tasks.v1";
    /// Slots of the running-task limit that are taken. Key: account and the intent's sequence number.
    running_tasks: [u8; 16] = RUNNING_TASKS "running_tasks.v1";
    /// Upstreams that were added here. Key: the name.
    upstreams: &'static str = UPSTREAMS "upstreams.v1";
    /// Accounts that were added here, their credentials sealed. Key: the number of an `AccountId`.
    accounts: u64 = ACCOUNTS "accounts.v1";
    /// How accounts stand, also those of the environment. Key: the number of an `AccountId`.
    account_standings: u64 = ACCOUNT_STANDINGS "account_standings.v1";
    /// Models that were registered here. Key: the name.
    models: &'static str = MODELS "models.v1";
    /// Jobs. Key: the number of a `JobId`, which begins with its time.
    jobs: [u8; 16] = JOBS "jobs.v1";
    /// The items of jobs. Key: job and position.
    job_items: [u8; 20] = JOB_ITEMS "job_items.v1";
    /// What items ask, sealed. Key: job and position.
    job_bodies: [u8; 20] = JOB_BODIES "job_bodies.v1";
    /// What items were answered, sealed. Key: job and position.
    job_results: [u8; 20] = JOB_RESULTS "job_results.v1";
    /// Items that a worker may take, in the order in which they are taken. Key: queue, a zero byte, the priority turned
    /// round, since when it waits, job and position.
    job_ready: &'static [u8] = JOB_READY "job_ready.v1";
    /// What is to be done at a moment. Key: kind, moment, job and position.
    job_timers: [u8; 29] = JOB_TIMERS "job_timers.v1";
    /// What happened to jobs. Key: job and sequence number.
    job_events: [u8; 24] = JOB_EVENTS "job_events.v1";
    /// Log lines of jobs, their texts sealed. Key: job and sequence number.
    job_logs: [u8; 24] = JOB_LOGS "job_logs.v1";
    /// Jobs by owner. Key: owner and job.
    jobs_by_owner: [u8; 24] = JOBS_BY_OWNER "jobs_by_owner.v1";
    /// Jobs by queue and state. Key: queue, a zero byte, the state, job.
    jobs_by_state: &'static [u8] = JOBS_BY_STATE "jobs_by_state.v1";
    /// Jobs that have ended, by when they did. Key: moment and job.
    jobs_finished: [u8; 24] = JOBS_FINISHED "jobs_finished.v1";
    /// Items that ran out of attempts. Key: queue, a zero byte, job and position.
    dead_letters: &'static [u8] = DEAD_LETTERS "dead_letters.v1";
    /// Idempotency keys with which jobs were submitted. Key: keyed digest of owner and key.
    job_keys: [u8; 32] = JOB_KEYS "job_keys.v1";
    /// How each queue stands. Key: its name.
    queues: &'static str = QUEUES "queues.v1";
    /// Webhook deliveries that are to be made, or were. Key: the number of a `DeliveryId`.
    deliveries: [u8; 16] = DELIVERIES "deliveries.v1";
    /// Those to be made, by when; behind them, the highest bit of the moment set, those that have ended, by when they did.
    /// Key: moment and delivery.
    deliveries_due: [u8; 24] = DELIVERIES_DUE "deliveries_due.v1";
    /// What each owner used of each model, by day. Key: day, owner, the model's name, the currency or three zero bytes.
    usage_by_owner: &'static [u8] = USAGE_BY_OWNER "usage_by_owner.v1";
    /// The same by calendar month, so that a year of many owners is read from few rows. Key: month, owner, the model's
    /// name, the currency or three zero bytes.
    usage_by_month: &'static [u8] = USAGE_BY_MONTH "usage_by_month.v1";
    /// What everybody used of each model, by day. Key: day, the model's name, the currency or three zero bytes.
    usage_by_model: &'static [u8] = USAGE_BY_MODEL "usage_by_model.v1";
    /// What each owner has spent and reserved. Key: kind and number of the period, owner, currency.
    spending: [u8; 16] = SPENDING "spending.v1";
    /// What calls of unknown outcome were charged. Key: the intent's sequence number.
    doubtful_charges: u64 = DOUBTFUL_CHARGES "doubtful_charges.v1";
}

/// One step from a schema to the next, in one transaction.
pub(super) struct Migration {
    /// The schema it leads to.
    pub(super) to: u32,
    /// The step itself. It must be safe to run on a store that was killed half-way: nothing is committed until the end.
    pub(super) run: fn(&WriteTransaction) -> Result<(), StoreError>,
}

/// Every step, in order.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        to: 1,
        run: create_tables,
    },
    // Upstreams, accounts, their standings and models: new tables, nothing that was there changes.
    Migration {
        to: 2,
        run: create_tables,
    },
    // Jobs, queues and webhooks: new tables again.
    Migration {
        to: 3,
        run: create_tables,
    },
    // Usage and budgets: new tables once more. Rows of keys and models tell their layout themselves.
    Migration {
        to: 4,
        run: create_tables,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_lead_step_by_step_to_the_present_schema() {
        let steps: Vec<u32> = MIGRATIONS.iter().map(|migration| migration.to).collect();
        assert_eq!(steps, (1..=SCHEMA).collect::<Vec<_>>());
    }
}
