//! Who administers, and how much of it may be handed on.

use super::directory::Directory;
use super::error::KeyError;
use crate::model::caller::{Caller, Identity};
use crate::model::clock::Timestamp;
use crate::model::id::{KeyId, RequestId};
use crate::model::key::{ApiKey, KeyStatus};

/// Who administers, as the log book names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// A key's id, `admin_token` or `control_socket`.
    pub name: String,
    /// The request that carried it, if one did.
    pub request: Option<RequestId>,
    /// How much it may hand on.
    pub authority: Authority,
}

/// How much an actor may hand on to a key that it issues or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Everything: the operator.
    Full,
    /// Nothing but what this key has itself at that moment: scopes, schemes, models and limits.
    OfKey(KeyId),
}

impl Actor {
    /// The actor that an authenticated caller is.
    #[must_use]
    pub fn of(caller: &Caller, request: Option<RequestId>) -> Self {
        Self {
            name: caller.identity.to_string(),
            request,
            authority: match caller.identity {
                Identity::Key(id) => Authority::OfKey(id),
                Identity::AdminToken | Identity::ControlSocket | Identity::Tollgate => Authority::Full,
            },
        }
    }
}

impl Authority {
    /// Whether a key may come out of its hands as `key` is.
    pub(super) fn covers(self, key: &ApiKey, directory: &Directory, now: Timestamp) -> Result<(), KeyError> {
        let Self::OfKey(id) = self else { return Ok(()) };
        let own = directory
            .entry(id)
            .filter(|own| own.key.status(now) == KeyStatus::Active);
        let own = own.ok_or(KeyError::ActorNotActive)?;
        match excess(key, &own.key) {
            Some(field) => Err(KeyError::Exceeds { field }),
            None => Ok(()),
        }
    }
}

/// The first field in which `key` allows more than `own`.
fn excess(key: &ApiKey, own: &ApiKey) -> Option<&'static str> {
    let models = match (&key.models, &own.models) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(models), Some(own)) => models.iter().all(|model| own.contains(model)),
    };
    let fields = [
        (key.scopes.is_within(own.scopes), "scopes"),
        (key.schemes.is_within(own.schemes), "schemes"),
        (models, "models"),
        (key.limits.is_within(&own.limits), "limits"),
    ];
    fields.iter().find(|(within, _)| !within).map(|(_, field)| *field)
}
