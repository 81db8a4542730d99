//! Webhooks: where they go, how often they are tried, and what became of each.

mod delivery;
mod exemption;
mod schedule;
mod url;

pub use delivery::{Attempt, Delivery, DeliveryState, Failure, Fate, ids_of, new_id};
pub use exemption::{Exemption, ParseExemptionError};
pub use schedule::{ATTEMPTS, wait};
pub use url::{WebhookUrl, WebhookUrlError};
