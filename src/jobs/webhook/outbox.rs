//! The outbox: what is to be told to receivers, and who may have something told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::egress::{Guard, Refused};
use super::secret::RootSecret;
use super::sender::Sender;
use crate::crypto::entropy::{Entropy, EntropyError, random};
use crate::model::clock::Clock;
use crate::model::id::{DeliveryId, JobId, OwnerId};
use crate::model::secret::Secret;
use crate::model::webhook::{Delivery, DeliveryState, WebhookUrl, new_id};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::webhooks::at_place;

/// The service of webhooks. Its rows are the truth: it forgets nothing when the process ends.
pub struct Outbox {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) root: Option<RootSecret>,
    pub(super) guard: Guard,
    pub(super) sender: Sender,
    pub(super) changed: Notify,
}

/// What an outbox works with.
pub struct Surroundings {
    /// Where its rows are.
    pub store: Store,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// What owners' secrets are derived from; without it nothing is taken and nothing sent.
    pub root: Option<RootSecret>,
    /// What judges where webhooks go.
    pub guard: Guard,
}

/// Why a webhook is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// There is nothing to sign it with.
    #[error("this server takes no webhooks: its operator has to set INTERNAL_CALLBACK_SECRET")]
    NoSecret,
    /// It may not be reached.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Why a delivery could not be prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPrepared {
    /// There is nothing to sign it with.
    #[error("no webhook is sent without INTERNAL_CALLBACK_SECRET")]
    NoSecret,
    /// The payload is not text.
    #[error("the payload of a webhook must be JSON, which is UTF-8")]
    NotText,
    /// No randomness for its id or its seal.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// What of a delivery is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Message {
    /// Where it goes.
    pub(super) url: WebhookUrl,
    /// What it says, as it is signed and sent.
    pub(super) payload: String,
}

impl Outbox {
    /// An outbox. Nothing is sent before [`Outbox::run`].
    #[must_use]
    pub fn new(surroundings: Surroundings) -> Self {
        let Surroundings {
            store,
            clock,
            entropy,
            root,
            guard,
        } = surroundings;
        Self {
            store,
            clock,
            entropy,
            root,
            guard,
            sender: Sender::default(),
            changed: Notify::new(),
        }
    }

    /// Whether a webhook may be registered: there is a secret to sign it with, and its host may be reached as far as
    /// can be told now. Each delivery is judged again.
    ///
    /// # Errors
    /// [`NotAccepted`], with a sentence for the client.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn accepts(&self, url: &WebhookUrl) -> Result<(), NotAccepted> {
        if self.root.is_none() {
            return Err(NotAccepted::NoSecret);
        }
        if let Err(refused) = self.guard.judge(url).await {
            tracing::warn!(url = ?url, reason = ?refused, "a webhook was refused");
            return Err(refused.into());
        }
        Ok(())
    }

    /// The secret that an owner's webhooks are signed with, `whsec_…`; `None` where no webhook is sent.
    #[must_use]
    pub fn secret_of(&self, owner: OwnerId) -> Option<Secret> {
        self.root.as_ref().map(|root| root.of(owner).shown())
    }

    /// Makes a delivery that is due at once, for the commit that it tells of: put it with
    /// [`put_delivery`](crate::store::Tables::put_delivery), and after the commit call [`Outbox::wake`].
    ///
    /// `payload` is JSON, and is signed and sent byte for byte.
    ///
    /// # Errors
    /// [`NotPrepared`]; there is then nothing to put.
    pub fn prepare(
        &self,
        owner: OwnerId,
        job: JobId,
        url: &WebhookUrl,
        payload: Vec<u8>,
    ) -> Result<(DeliveryId, Delivery), NotPrepared> {
        if self.root.is_none() {
            return Err(NotPrepared::NoSecret);
        }
        let payload = String::from_utf8(payload).map_err(|_| NotPrepared::NotText)?;
        let id = new_id(job, u32::from_be_bytes(random(self.entropy.as_ref())?));
        let now = self.clock.wall();
        let mut delivery = Delivery {
            owner,
            job,
            created_at: now,
            state: DeliveryState::Pending { due: now },
            attempts: 0,
            last: None,
            sealed: Vec::new(),
        };
        let url = url.clone();
        let message = postcard::to_stdvec(&Message { url, payload }).map_err(|_| NotPrepared::NotText)?;
        delivery.sealed = at_place(id, &delivery, self.store.id(), |place| {
            self.store.keyring().seal.seal(place, &message, self.entropy.as_ref())
        })?;
        Ok((id, delivery))
    }

    /// Has deliveries looked for now. Call it after a commit with one in it.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Opens what [`Outbox::prepare`] sealed.
    pub(super) fn open(&self, id: DeliveryId, delivery: &Delivery) -> Result<Message, StoreError> {
        let damaged = |error: &dyn std::fmt::Display| StoreError::Seal(error.to_string());
        let opened = at_place(id, delivery, self.store.id(), |place| {
            self.store.keyring().seal.open(place, &delivery.sealed)
        })
        .map_err(|error| damaged(&error))?;
        postcard::from_bytes(&opened).map_err(|error| damaged(&error))
    }
}
