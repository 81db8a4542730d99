//! A long log book, written through the store's own writer.

use tollgate::api::Services;
use tollgate::model::id::{AccountId, OwnerId, RequestId};
use tollgate::model::operation::Operation;
use tollgate::model::outcome::{Outcome, Reason};
use tollgate::model::record::{Event, Intent, Reservation, Settlement};
use tollgate::store::error::StoreError;
use tollgate::store::{Change, Tables};

use super::Result;

/// Adds so many entries: intents, each with its settlement.
pub(crate) async fn write(services: &Services, entries: u64) -> Result<()> {
    for _ in 0..entries / (2 * STEP) {
        services.store.change(Pairs).await?;
    }
    Ok(())
}

/// Many calls in one commit.
struct Pairs;

impl Change for Pairs {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> std::result::Result<(), StoreError> {
        for number in 0..STEP {
            let intent = tables.append(Event::Intent(Box::new(intent(number))))?;
            tables.append(Event::Settlement(settlement(intent)))?;
        }
        Ok(())
    }
}

fn intent(number: u64) -> Intent {
    Intent {
        request: RequestId::from_bits(u128::from(number)),
        client_request: None,
        key: None,
        owner: OwnerId::from_bits(1),
        operation: Operation::Process,
        account: AccountId::from_bits(1),
        model: Some("jimeng_t2i_v40".to_owned()),
        body_digest: [7; 32],
        body_bytes: 92,
        idempotency: None,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        peer: Some("127.0.0.1".to_owned()),
        reservation: Reservation::Empty,
    }
}

fn settlement(intent: u64) -> Settlement {
    Settlement {
        intent,
        outcome: Outcome::Succeeded,
        reason: Reason::Replied,
        account: AccountId::from_bits(1),
        status: Some(200),
        code: Some(10_000),
        task_id: None,
        upstream_request: Some("20000000000000000000000000000001".to_owned()),
        attempts: 1,
        reply_bytes: 450,
        duration_micros: 400,
    }
}

/// Calls in one commit.
const STEP: u64 = 2500;
