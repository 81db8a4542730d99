//! Intents that an older boot left open: nobody can know whether they were sent.

use crate::model::outcome::{Outcome, Reason};
use crate::model::record::{Event, Settlement, Started};
use crate::store::error::{StoreError, WriteError};
use crate::store::tasks::{self, OpenIntent};
use crate::store::{Change, Rows, Store, Tables, Write, audit};

use super::bill::Bill;
use super::settlement::Settle;

/// Settles up to a batch of them as unknown. Running it again after a crash goes on where it stopped.
struct Recover {
    boot: u64,
    upstream: &'static str,
}

impl Write for Recover {
    type Plan = Vec<(u64, OpenIntent, Option<Bill>)>;
    type Done = usize;
    type Refusal = std::convert::Infallible;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<Self::Plan, WriteError<Self::Refusal>> {
        // Sequence numbers rise with boots, so those of older boots come first.
        let mut left = tasks::open_intents(rows, 0, BATCH)?;
        left.retain(|(_, open)| open.boot < self.boot);
        let mut billed = Vec::with_capacity(left.len());
        for (seq, open) in left {
            // What is open is never pruned.
            let bill = match audit::get(rows, seq)?.map(|logged| logged.entry.event) {
                Some(Event::Intent(intent)) => Bill::held(&intent),
                _ => None,
            };
            billed.push((seq, open, bill));
        }
        Ok(billed)
    }

    fn apply(&mut self, left: Self::Plan, tables: &mut Tables<'_>) -> Result<usize, StoreError> {
        let number = left.len();
        for (seq, open, bill) in left {
            let settlement = Settlement::unanswered(seq, open.account, Outcome::Unknown, Reason::Interrupted);
            Change::apply(
                &mut Settle {
                    upstream: self.upstream,
                    settlement,
                    consumption: None,
                    bill,
                    reply: None,
                    claim: None,
                    relaxed: false,
                },
                tables,
            )?;
        }
        Ok(number)
    }
}

/// Records that this boot began.
struct Start {
    boot: u64,
    unknown: u64,
}

impl Change for Start {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        tables.append(Event::Started(Started {
            boot: self.boot,
            version,
            unknown: self.unknown,
        }))?;
        Ok(())
    }
}

/// Settles every intent of an older boot as unknown, then records the start. Returns how many there were.
///
/// # Errors
/// [`StoreError`] when the store fails; nothing may then be admitted.
pub async fn recover(store: &Store, upstream: &'static str) -> Result<u64, StoreError> {
    let unknown = settle_before(store, store.boot(), upstream).await?;
    if unknown > 0 {
        tracing::warn!(
            unknown,
            "calls were in flight when the last process ended: their outcome is unknown"
        );
    }
    store
        .change(Start {
            boot: store.boot(),
            unknown,
        })
        .await?;
    Ok(unknown)
}

/// Settles every intent of a boot before `boot` as unknown, at what it holds.
pub(super) async fn settle_before(store: &Store, boot: u64, upstream: &'static str) -> Result<u64, StoreError> {
    let mut unknown = 0;
    loop {
        let settled = store
            .write(Recover { boot, upstream })
            .await
            .map_err(StoreError::from)?;
        if settled == 0 {
            return Ok(unknown);
        }
        unknown += settled as u64;
    }
}

const BATCH: usize = 256;
