//! Carrying deliveries out: which go now, at most so many at once, and what came of each.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::egress::Refused;
use super::outbox::Outbox;
use super::secret::RootSecret;
use super::sign;
use crate::crypto::entropy::random;
use crate::model::id::{DeliveryId, OwnerId};
use crate::model::webhook::{Attempt, Delivery, DeliveryState, Failure, Fate};
use crate::store::error::StoreError;
use crate::store::webhooks::{self, Due};
use crate::store::{Change, Tables};
use crate::telemetry::metrics;

impl Outbox {
    /// Makes the deliveries that are due, as they become due, until `stop` fires.
    ///
    /// At most eight are on their way at once, of one owner two, so that a receiver that lags holds up its own owner
    /// alone. One that is on its way when `stop` fires is made again by the next process.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        match &self.root {
            Some(root) => {
                stop.run_until_cancelled(self.carry(root)).await;
            }
            None => self.tell_of_what_waits().await,
        }
    }

    async fn carry(&self, root: &RootSecret) {
        let mut flights = Flights::default();
        loop {
            let patience = self.launch(root, &mut flights).await.unwrap_or_else(|error| {
                tracing::error!(error = %error, "the webhooks that are due cannot be read");
                PAUSE
            });
            tokio::select! {
                () = self.changed.notified() => {}
                Some(landed) = flights.in_the_air.next() => {
                    flights.held.remove(&landed);
                }
                () = sleep(patience) => {}
            }
        }
    }

    /// Begins what is due and finds a seat, and says how long nothing else becomes due.
    async fn launch<'a>(&'a self, root: &'a RootSecret, flights: &mut Flights<'a>) -> Result<Duration, StoreError> {
        let seats = AT_ONCE - flights.held.len();
        if seats == 0 {
            return Ok(LONGEST);
        }
        let (now, mut held) = (self.clock.wall(), flights.held.clone());
        let (due, next) = self
            .store
            .read_aside(move |rows| {
                let has_room = |due: &Due| {
                    let of_owner = held.values().filter(|owner| **owner == due.owner).count();
                    let goes = of_owner < PER_OWNER && !held.contains_key(&due.id);
                    if goes {
                        held.insert(due.id, due.owner);
                    }
                    goes
                };
                let due = webhooks::due(rows, now, seats, has_room)?;
                Ok((due, webhooks::next_due(rows, now)?))
            })
            .await?;
        for due in due {
            flights.held.insert(due.id, due.owner);
            let flight = async move {
                self.deliver(root, due.id).await;
                due.id
            };
            flights.in_the_air.push(Box::pin(flight));
        }
        // By the clock as it is now: reading took its time.
        let now = self.clock.wall();
        Ok(next.map_or(LONGEST, |next| next.since(now)).min(LONGEST))
    }

    /// Makes one attempt, and writes down what came of it.
    async fn deliver(&self, root: &RootSecret, id: DeliveryId) {
        if let Err(error) = self.try_once(root, id).await {
            tracing::error!(delivery = %id, error = %error, "what came of a webhook was not recorded");
            // It is still due. Receivers must not be flooded because our store fails.
            sleep(PAUSE).await;
        }
    }

    async fn try_once(&self, root: &RootSecret, id: DeliveryId) -> Result<(), StoreError> {
        let Some(delivery) = self.store.read_aside(move |rows| webhooks::get(rows, id)).await? else {
            return Ok(());
        };
        let result = self.attempt(root, id, &delivery).await;
        // Without randomness the next attempt is only less spread out.
        let jitter = random(self.entropy.as_ref()).map_or(0, u32::from_be_bytes);
        let attempt = Attempt {
            at: self.clock.wall(),
            result,
        };
        let Some(fate) = self.store.change(Note { id, attempt, jitter }).await? else {
            return Ok(());
        };
        metrics::webhook(fate);
        let (job, number) = (delivery.job, delivery.attempts + 1);
        match fate {
            Fate::Delivered => tracing::debug!(delivery = %id, job = %job, attempt = number, "a webhook was delivered"),
            Fate::Retried => {
                tracing::info!(delivery = %id, job = %job, attempt = number, result = ?result, "a webhook will be tried again");
            }
            Fate::GivenUp | Fate::Refused => {
                tracing::warn!(delivery = %id, job = %job, attempt = number, result = ?result, "a webhook was given up");
            }
        }
        Ok(())
    }

    async fn attempt(&self, root: &RootSecret, id: DeliveryId, delivery: &Delivery) -> Result<u16, Failure> {
        let message = self.open(id, delivery).map_err(|error| {
            tracing::error!(delivery = %id, error = %error, "a webhook cannot be read");
            Failure::Unsendable
        })?;
        let judged = self.guard.judge(&message.url).await.map_err(|refused| {
            tracing::warn!(delivery = %id, url = ?message.url, reason = ?refused, "a webhook may not be sent");
            match refused {
                Refused::Unresolved => Failure::Unresolved,
                Refused::NotPublic(_) | Refused::Port(_) => Failure::Refused,
            }
        })?;
        // Receivers refuse a signature that is minutes old, so each attempt has its own.
        let secret = root.of(delivery.owner);
        let headers = sign::headers(secret.as_bytes(), &id.to_string(), self.clock.wall(), &message.payload)
            .ok_or(Failure::Unsendable)?;
        let body = Bytes::from(message.payload);
        let status = self.sender.post(&message.url, &judged, headers, body).await?;
        Ok(status.as_u16())
    }

    /// Deliveries of a time when there was a secret stay where they are.
    async fn tell_of_what_waits(&self) {
        match self.store.read_aside(webhooks::counts).await {
            Ok(counts) if counts.pending > 0 => tracing::warn!(
                deliveries = counts.pending,
                "webhooks wait for INTERNAL_CALLBACK_SECRET, without which none is sent"
            ),
            Ok(_) => {}
            Err(error) => tracing::error!(error = %error, "the webhooks that wait cannot be counted"),
        }
    }
}

/// Deliveries that are on their way.
#[derive(Default)]
struct Flights<'a> {
    in_the_air: FuturesUnordered<Flight<'a>>,
    held: HashMap<DeliveryId, OwnerId>,
}

type Flight<'a> = Pin<Box<dyn Future<Output = DeliveryId> + Send + 'a>>;

/// What came of an attempt.
struct Note {
    id: DeliveryId,
    attempt: Attempt,
    jitter: u32,
}

impl Change for Note {
    type Done = Option<Fate>;

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<Option<Fate>, StoreError> {
        let found = webhooks::get(tables.view(), self.id)?;
        let Some(mut delivery) = found.filter(|found| matches!(found.state, DeliveryState::Pending { .. })) else {
            return Ok(None);
        };
        let fate = delivery.note(self.attempt, self.jitter);
        tables.put_delivery(self.id, &delivery)?;
        Ok(Some(fate))
    }
}

/// Deliveries on their way at once.
const AT_ONCE: usize = 8;

/// Of which so many may be one owner's.
const PER_OWNER: usize = 2;

/// After which the rows are looked at in any case: the wall clock may have jumped.
const LONGEST: Duration = Duration::from_mins(1);

/// After a failure of the store.
const PAUSE: Duration = Duration::from_secs(30);
