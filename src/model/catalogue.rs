//! The catalogue: every upstream, account and model that is defined at one moment.
//!
//! It is a picture that never changes; a change makes a new one, which is in force from the next call on.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::media::MediaModel;
use super::money::Price;
use super::operation::Protocol;
use super::upstream::{Source, Upstream, UpstreamName};

/// A name that clients may call, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The name. It may hold slashes.
    pub name: String,
    /// Where it leads: the first target that has a usable account serves, so the order is the order of preference.
    pub targets: Vec<Target>,
    /// Most tokens of question and answer together, if known.
    pub context_length: Option<NonZeroU32>,
    /// What `max_tokens` is capped at, if it is.
    pub max_tokens: Option<NonZeroU32>,
    /// What it costs, if known.
    pub price: Option<Price>,
}

/// One place that serves a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The upstream.
    pub upstream: UpstreamName,
    /// What the model is called there.
    pub model: String,
    /// Its share among neighbours of equal preference: those that follow one another with a weight share the traffic;
    /// `None` is used only when everything before it cannot serve.
    pub weight: Option<NonZeroU32>,
}

/// What becomes of a model that is not in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnknownModels {
    /// It goes to the one OpenAI-compatible upstream under its own name.
    Pass,
    /// It is refused.
    Refuse,
}

/// Everything that is defined.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The upstreams by name.
    pub upstreams: BTreeMap<UpstreamName, Upstream>,
    /// The accounts of the OpenAI-compatible upstreams, in the order of their definition.
    pub accounts: Vec<Account>,
    /// The models by name, and where each is defined.
    pub models: BTreeMap<String, (Model, Source)>,
    /// What a call is for that names no model.
    pub default_model: Option<String>,
    /// What becomes of a model that is not in the registry.
    pub unknown_models: UnknownModels,
}

/// Where one call may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The model, as the client named it or as the default says.
    pub model: String,
    /// The targets, in the order of preference. Never empty.
    pub targets: Arc<[Target]>,
    /// Most tokens of question and answer together, if known.
    pub context_length: Option<NonZeroU32>,
    /// What `max_tokens` is capped at, if it is.
    pub max_tokens: Option<NonZeroU32>,
    /// What it costs, if known.
    pub price: Option<Price>,
}

/// Why a call has nowhere to go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// It names no model, and there is no default.
    #[error("name a model: there is no default")]
    Unnamed,
    /// The model is not in the registry, and unknown models are refused.
    #[error("no model is called {0:?} here")]
    Unknown(String),
}

impl Catalogue {
    /// Where a call that names `model` goes.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn route(&self, model: Option<&str>) -> Result<Route, NoRoute> {
        let name = model.or(self.default_model.as_deref()).ok_or(NoRoute::Unnamed)?;
        if let Some((model, _)) = self.models.get(name) {
            if self.medium(model).is_some() {
                return Err(NoRoute::Unknown(name.to_owned()));
            }
            return Ok(Route {
                model: name.to_owned(),
                targets: model.targets.as_slice().into(),
                context_length: model.context_length,
                max_tokens: model.max_tokens,
                price: model.price,
            });
        }
        let unknown = || NoRoute::Unknown(name.to_owned());
        let passes = self.unknown_models == UnknownModels::Pass;
        let upstream = self.only_compatible().filter(|_| passes).ok_or_else(unknown)?;
        let target = Target {
            upstream: upstream.name.clone(),
            model: name.to_owned(),
            weight: None,
        };
        Ok(Route {
            model: name.to_owned(),
            targets: Arc::new([target]),
            context_length: None,
            max_tokens: None,
            price: None,
        })
    }

    /// The model of Volcengine's that a name leads to: that of a registered alias, or, where the name is not registered as
    /// anything, the preset or `req_key` of that name.
    #[must_use]
    pub fn media(&self, name: &str) -> Option<MediaModel> {
        match self.models.get(name) {
            Some((model, _)) => self.medium(model),
            None => self.volcengine().and_then(|_| MediaModel::named(name)),
        }
    }

    /// What a submit of a `req_key` costs: the price of the model registered under it or, where there is none, of the
    /// first that leads to it, by name.
    #[must_use]
    pub fn price_of(&self, req_key: &str) -> Option<Price> {
        let own = self.models.get(req_key).and_then(|(model, _)| model.price);
        let leads_there = |model: &Model| self.medium(model).is_some_and(|medium| medium.req_key() == req_key);
        let by_alias = || {
            let models = self.models.values().map(|(model, _)| model);
            let mut priced = models.filter(|model| model.price.is_some());
            priced.find(|model| leads_there(model)).and_then(|model| model.price)
        };
        own.or_else(by_alias)
    }

    /// The model of Volcengine's behind a registered one.
    fn medium(&self, model: &Model) -> Option<MediaModel> {
        let target = model.targets.first()?;
        let is_there = self
            .volcengine()
            .is_some_and(|upstream| upstream.name == target.upstream);
        MediaModel::named(&target.model).filter(|_| is_there)
    }

    fn volcengine(&self) -> Option<&Upstream> {
        let mut upstreams = self.upstreams.values();
        upstreams.find(|upstream| upstream.protocol == Protocol::Volcengine)
    }

    /// The OpenAI-compatible upstream, if there is exactly one.
    #[must_use]
    pub fn only_compatible(&self) -> Option<&Upstream> {
        let mut compatible = self
            .upstreams
            .values()
            .filter(|upstream| upstream.protocol == Protocol::OpenAi);
        compatible.next().filter(|_| compatible.next().is_none())
    }
}
