//! Upstreams, their accounts, and the models: what the operator defines beside the environment.

pub mod account;
pub mod model;
pub mod upstream;

use poem_openapi::Object;

pub use self::account::AccountsApi;
pub use self::model::ModelsApi;
pub use self::upstream::UpstreamsApi;

use super::error::{ApiError, Code};
use super::guard::Authorized;
use crate::catalogue::By;
use crate::model::upstream::UpstreamName;

/// Something that is gone.
#[derive(Debug, Object)]
pub struct Removed {
    /// What.
    pub id: String,
    /// `removed`.
    pub status: String,
}

impl Removed {
    fn new(id: String) -> Self {
        Self {
            id,
            status: "removed".to_owned(),
        }
    }
}

/// Who asks, for the log book.
fn by<D, B>(authorized: &Authorized<D, B>) -> By {
    By {
        identity: authorized.caller.identity,
        request: Some(authorized.arrival.request),
    }
}

/// An upstream's name in a path. A text that cannot be one names nothing.
fn upstream_name(text: &str) -> Result<UpstreamName, ApiError> {
    text.parse()
        .map_err(|_| ApiError::new(Code::NotFound, "there is no such upstream"))
}
