//! Adding and removing upstreams.

use std::time::Duration;

use super::{By, Curator, Edit};
use crate::catalogue::error::CurateError;
use crate::model::operation::Protocol;
use crate::model::upstream::{Source, StreamUsage, Upstream, UpstreamName, parse_base_url};
use crate::store::upstreams::UpstreamRow;

/// An OpenAI-compatible upstream to be added.
#[derive(Clone, Debug)]
pub struct NewUpstream {
    /// What it is to be called.
    pub name: UpstreamName,
    /// Where it is, as [`parse_base_url`] reads it. It may be in a private network: that is the operator's decision.
    pub base_url: String,
    /// The longest wait for the head of a reply, and between two frames of a stream: 1 s to 1 h.
    pub timeout: Duration,
    /// Most attempts of one call that count: 1 to 100.
    pub max_attempts: u32,
    /// Whether the usage of every stream is asked for.
    pub stream_usage: StreamUsage,
}

impl Curator {
    /// Adds an upstream, which has no accounts yet.
    ///
    /// # Errors
    /// [`CurateError`]; nothing is added then.
    pub async fn add_upstream(&self, new: NewUpstream, by: By) -> Result<Upstream, CurateError> {
        let turn = self.turn().await;
        let known = self.catalogue.load().upstreams.get(&new.name).map(|known| known.source);
        match known {
            Some(Source::Environment) => return Err(CurateError::ReadOnly { what: "upstream" }),
            Some(Source::Store) => return Err(CurateError::Exists { what: "an upstream" }),
            None => {}
        }
        // One that rests behind the environment's was found above; this name has another protocol.
        if new.name.as_str() == Protocol::Volcengine.label() {
            return Err(CurateError::invalid(
                "name",
                "is that of the upstream which the VOLC_ variables define: choose another",
            ));
        }
        let base_url =
            parse_base_url(&new.base_url).map_err(|why| CurateError::invalid("base_url", why.to_string()))?;
        if !(SHORTEST..=LONGEST).contains(&new.timeout) {
            return Err(CurateError::invalid("timeout_seconds", "must be between 1 and 3600"));
        }
        if !(1..=MOST_ATTEMPTS).contains(&new.max_attempts) {
            return Err(CurateError::invalid("max_attempts", "must be between 1 and 100"));
        }
        let row = UpstreamRow {
            name: new.name.clone(),
            protocol: Protocol::OpenAi,
            base_url: base_url.clone(),
            timeout: new.timeout,
            max_attempts: new.max_attempts,
            stream_usage: new.stream_usage,
        };
        let entry = by.did("upstream.add", &row.name);
        self.commit(turn, vec![(Edit::PutUpstream(row), entry)]).await?;
        Ok(Upstream {
            name: new.name,
            protocol: Protocol::OpenAi,
            base_url,
            timeout: new.timeout,
            max_attempts: new.max_attempts,
            stream_usage: new.stream_usage,
            source: Source::Store,
        })
    }

    /// Removes an upstream with its accounts. One that a registered model leads to stays.
    ///
    /// # Errors
    /// [`CurateError`]; nothing is removed then.
    pub async fn remove_upstream(&self, name: &UpstreamName, by: By) -> Result<(), CurateError> {
        let turn = self.turn().await;
        self.own(name)?;
        let leads_there =
            |model: &&crate::model::catalogue::Model| model.targets.iter().any(|target| target.upstream == *name);
        if let Some(model) = turn.stored.models.values().find(leads_there) {
            return Err(CurateError::InUse {
                model: model.name.clone(),
            });
        }
        let accounts = turn
            .stored
            .accounts
            .values()
            .filter(|account| account.upstream == *name);
        let mut edits: Vec<_> = accounts
            .map(|account| (Edit::RemoveAccount(account.id), by.did("account.remove", account.id)))
            .collect();
        edits.push((Edit::RemoveUpstream(name.clone()), by.did("upstream.remove", name)));
        self.commit(turn, edits).await
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(1);
const MOST_ATTEMPTS: u32 = 100;
