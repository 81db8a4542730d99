//! Who is asking.

use std::sync::Arc;

use super::id::{KeyId, OwnerId};
use super::key::{Limits, Scope, Scopes};

/// What proved the caller's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A client key.
    Key(KeyId),
    /// The `ADMIN_TOKEN` of the environment.
    AdminToken,
    /// A process of our own user on the control socket.
    ControlSocket,
    /// Tollgate itself, e.g. when it asks whether a task has ended.
    Tollgate,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::AdminToken => f.write_str("admin_token"),
            Self::ControlSocket => f.write_str("control_socket"),
            Self::Tollgate => f.write_str("tollgate"),
        }
    }
}

/// An authenticated caller: what it may do and whose tasks it sees.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What proved its identity.
    pub identity: Identity,
    /// The rotation family that owns what it creates.
    pub owner: OwnerId,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Models and `req_key`s it may name; `None` allows every one.
    pub models: Option<Arc<[String]>>,
    /// Its own limits.
    pub limits: Limits,
}

impl Caller {
    /// A caller that may administer everything and relays nothing: the admin token and the control socket.
    #[must_use]
    pub fn administrator(identity: Identity) -> Self {
        Self {
            identity,
            owner: OwnerId::from_bits(0),
            scopes: Scopes::of([Scope::Admin]),
            models: None,
            limits: Limits::default(),
        }
    }

    /// The client key it used, if it used one.
    #[must_use]
    pub const fn key(&self) -> Option<KeyId> {
        match self.identity {
            Identity::Key(id) => Some(id),
            _ => None,
        }
    }

    /// The same caller where `alias` leads to `model`: it may use the one if it may name the other, and nothing else.
    #[must_use]
    pub fn through(self, alias: &str, model: &str) -> Self {
        let leads_to = self.models.is_some().then(|| {
            let allowed = self.may_use(alias).then(|| model.to_owned());
            allowed.into_iter().collect()
        });
        Self {
            models: leads_to,
            ..self
        }
    }

    /// Whether it may name this model or `req_key`.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        self.models
            .as_ref()
            .is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(models: Option<&[&str]>) -> Caller {
        Caller {
            models: models.map(|models| models.iter().map(|model| (*model).to_owned()).collect()),
            ..Caller::administrator(Identity::Tollgate)
        }
    }

    #[test]
    fn who_may_name_an_alias_may_use_what_it_leads_to_and_nothing_else() {
        let through = caller(Some(&["poster", "film"])).through("poster", "jimeng_t2i_v40");
        assert!(through.may_use("jimeng_t2i_v40"));
        assert!(!through.may_use("poster") && !through.may_use("film"));
    }

    #[test]
    fn who_may_not_name_an_alias_may_not_use_what_it_leads_to_through_it() {
        let through = caller(Some(&["jimeng_t2i_v40"])).through("poster", "jimeng_t2i_v40");
        assert!(!through.may_use("jimeng_t2i_v40"));
    }

    #[test]
    fn who_may_use_every_model_may_use_what_any_alias_leads_to() {
        assert!(
            caller(None)
                .through("poster", "jimeng_t2i_v40")
                .may_use("jimeng_t2i_v40")
        );
    }
}
