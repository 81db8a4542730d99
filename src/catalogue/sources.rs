//! The three sources, and the one picture that they make.

use std::collections::BTreeMap;

use super::environment::Environment;
use super::sealed;
use crate::model::account::Account;
use crate::model::catalogue::{Catalogue, Model, UnknownModels};
use crate::model::id::AccountId;
use crate::model::operation::Protocol;
use crate::model::upstream::{Source, Upstream, UpstreamName};
use crate::store::error::StoreError;
use crate::store::upstreams::UpstreamRow;
use crate::store::{Store, accounts, models, upstreams};

/// What is defined, by where it is defined.
pub(super) struct Sources {
    pub(super) environment: Environment,
    pub(super) stored: Stored,
}

/// What the store defines.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) upstreams: BTreeMap<UpstreamName, UpstreamRow>,
    /// By position.
    pub(super) accounts: BTreeMap<u64, Account>,
    pub(super) models: BTreeMap<String, Model>,
}

impl Stored {
    /// Reads it all and opens the credentials. Blocks on the disk.
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        let (upstreams, accounts, models) =
            store.read(|rows| Ok((upstreams::all(rows)?, accounts::all(rows)?, models::all(rows)?)))?;
        let upstreams: BTreeMap<_, _> = upstreams.into_iter().map(|row| (row.name.clone(), row)).collect();
        let open = |row: accounts::AccountRow| {
            let upstream = upstreams.get(&row.upstream);
            let base_url = upstream.map(|upstream| upstream.base_url.as_str()).unwrap_or_default();
            Ok((row.position, sealed::open(&row, base_url, store)?))
        };
        let accounts = accounts.into_iter().map(open).collect::<Result<_, StoreError>>()?;
        let models = models.into_iter().map(|model| (model.name.clone(), model)).collect();
        Ok(Self {
            upstreams,
            accounts,
            models,
        })
    }

    /// Where the next account goes.
    pub(super) fn next_position(&self) -> u64 {
        self.accounts.last_key_value().map_or(0, |(last, _)| last + 1)
    }

    /// Takes an account out.
    pub(super) fn remove_account(&mut self, id: AccountId) {
        self.accounts.retain(|_, account| account.id != id);
    }
}

impl Sources {
    /// Everything that is defined. Where the environment and the store define an upstream of one name, the environment's
    /// holds; of two models the store's does, so that a person can correct what we bring along.
    pub(super) fn catalogue(&self) -> Catalogue {
        let mut upstreams: BTreeMap<_, _> = self
            .stored
            .upstreams
            .values()
            .map(|row| (row.name.clone(), shown(row)))
            .collect();
        upstreams.extend(
            self.environment
                .upstreams()
                .into_iter()
                .map(|upstream| (upstream.name.clone(), upstream)),
        );
        let in_force = |account: &&Account| {
            upstreams
                .get(&account.upstream)
                .is_some_and(|upstream| upstream.source == account.source && upstream.protocol == Protocol::OpenAi)
        };
        let accounts = self.environment.accounts().chain(self.stored.accounts.values());
        let seeds = self
            .environment
            .models()
            .into_iter()
            .map(|model| (model, Source::Environment));
        let registered = self.stored.models.values().map(|model| (model.clone(), Source::Store));
        let compatible = upstreams
            .values()
            .filter(|upstream| upstream.protocol == Protocol::OpenAi)
            .count();
        Catalogue {
            accounts: accounts.filter(in_force).cloned().collect(),
            models: seeds
                .chain(registered)
                .map(|(model, source)| (model.name.clone(), (model, source)))
                .collect(),
            default_model: self.environment.default_model(),
            unknown_models: self.environment.models.unknown_models.unwrap_or(match compatible {
                1 => UnknownModels::Pass,
                _ => UnknownModels::Refuse,
            }),
            upstreams,
        }
    }
}

fn shown(row: &UpstreamRow) -> Upstream {
    Upstream {
        name: row.name.clone(),
        protocol: row.protocol,
        base_url: row.base_url.clone(),
        timeout: row.timeout,
        max_attempts: row.max_attempts,
        stream_usage: row.stream_usage,
        source: Source::Store,
    }
}
