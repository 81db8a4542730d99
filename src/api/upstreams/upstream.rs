//! Upstreams: list, add, remove.

use std::time::Duration;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use super::super::error::ApiError;
use super::super::guard::{Authorized, NoBody, ToAdmin};
use super::super::{Tag, page};
use super::{Removed, by, upstream_name};
use crate::catalogue::{Curator, NewUpstream};
use crate::config::OpenAi;
use crate::model::upstream::{self, Upstream};

/// Whether Tollgate asks an upstream for the usage of a stream whose client did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum StreamUsage {
    /// It does not: usage is what the client asked for, else estimated.
    AsAsked,
    /// It does, and hides the extra frame.
    Always,
}

/// An OpenAI-compatible upstream to be added.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct AddUpstream {
    /// What it is called: 1 to 32 of `a-z`, `0-9`, `-` and `_`, beginning with a letter.
    pub id: String,
    /// Where it is: `https://host[:port][/path]`, or `http`, without user, query and fragment. Private addresses are
    /// allowed: an operator decides, and no client's request can name one.
    pub base_url: String,
    /// The longest wait for an answer to begin, and between two parts of a stream: 1 to 3600; 600 unless told.
    pub timeout_seconds: Option<u32>,
    /// Most attempts of one call, 1 to 100; 3 unless told. A switch after 401, 402 or 403 does not count.
    pub max_attempts: Option<u32>,
    /// Whether the usage of every stream is asked for; as its client asks unless told.
    pub stream_usage: Option<StreamUsage>,
}

/// An upstream.
#[derive(Debug, Object)]
#[oai(rename = "Upstream")]
pub struct UpstreamView {
    /// What it is called.
    pub id: String,
    /// `openai` or `volcengine`.
    pub protocol: String,
    /// Where it is.
    pub base_url: String,
    /// The longest wait for an answer to begin, and between two parts of a stream.
    pub timeout_seconds: f64,
    /// Most attempts of one call.
    pub max_attempts: u32,
    /// Whether the usage of every stream is asked for.
    pub stream_usage: StreamUsage,
    /// `environment` (read-only here) or `store`.
    pub source: String,
    /// How many accounts it has.
    pub accounts: u64,
}

/// A page of upstreams.
#[derive(Debug, Object)]
pub struct UpstreamPage {
    /// By name.
    pub items: Vec<UpstreamView>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// An upstream was added.
#[derive(Debug, ApiResponse)]
pub enum AddedUpstream {
    /// The upstream.
    #[oai(status = 201)]
    Added(Json<UpstreamView>),
}

/// The routes of upstreams.
pub struct UpstreamsApi;

#[OpenApi(tag = "Tag::Upstreams")]
impl UpstreamsApi {
    /// List upstreams
    ///
    /// Those of the environment and those that were added here.
    #[oai(path = "/admin/upstreams", method = "get", operation_id = "upstreams_list")]
    async fn list(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<UpstreamPage>, ApiError> {
        let curator = &authorized.services.curator;
        let catalogue = curator.catalogue().load();
        let views = catalogue
            .upstreams
            .values()
            .map(|upstream| UpstreamView::new(upstream, curator));
        let key = &authorized.services.store.keyring().cursor;
        let (items, next_cursor) = page::of(views, key, "upstreams", limit.0, cursor.0.as_deref())?;
        Ok(Json(UpstreamPage { items, next_cursor }))
    }

    /// Add an upstream
    ///
    /// An OpenAI-compatible one, without accounts. In force from the next call on.
    #[oai(path = "/admin/upstreams", method = "post", operation_id = "upstreams_add")]
    async fn add(&self, authorized: Authorized<ToAdmin, Json<AddUpstream>>) -> Result<AddedUpstream, ApiError> {
        let by = by(&authorized);
        let Json(body) = authorized.body;
        let timeout = body.timeout_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        let new = NewUpstream {
            name: body.id.parse().map_err(|error: upstream::ParseUpstreamNameError| {
                ApiError::validation(error.to_string()).about("id")
            })?,
            base_url: body.base_url,
            timeout: timeout.unwrap_or(OpenAi::DEFAULT_TIMEOUT),
            max_attempts: body.max_attempts.unwrap_or(OpenAi::DEFAULT_ATTEMPTS.get()),
            stream_usage: body.stream_usage.map_or(upstream::StreamUsage::AsAsked, Into::into),
        };
        let curator = &authorized.services.curator;
        let upstream = curator.add_upstream(new, by).await?;
        Ok(AddedUpstream::Added(Json(UpstreamView::new(&upstream, curator))))
    }

    /// Remove an upstream
    ///
    /// With its accounts, and for good. One that a registered model leads to stays.
    #[oai(path = "/admin/upstreams/:id", method = "delete", operation_id = "upstreams_remove")]
    async fn remove(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// What it is called.
        id: Path<String>,
    ) -> Result<Json<Removed>, ApiError> {
        let name = upstream_name(&id.0)?;
        let by = by(&authorized);
        authorized.services.curator.remove_upstream(&name, by).await?;
        Ok(Json(Removed::new(id.0)))
    }
}

impl UpstreamView {
    fn new(upstream: &Upstream, curator: &Curator) -> Self {
        let accounts = curator.accounts(&upstream.name).unwrap_or_default();
        Self {
            id: upstream.name.to_string(),
            protocol: upstream.protocol.label().to_owned(),
            base_url: upstream.base_url.clone(),
            timeout_seconds: upstream.timeout.as_secs_f64(),
            max_attempts: upstream.max_attempts,
            stream_usage: upstream.stream_usage.into(),
            source: upstream.source.label().to_owned(),
            accounts: accounts.len() as u64,
        }
    }
}

impl From<StreamUsage> for upstream::StreamUsage {
    fn from(usage: StreamUsage) -> Self {
        match usage {
            StreamUsage::AsAsked => Self::AsAsked,
            StreamUsage::Always => Self::Always,
        }
    }
}

impl From<upstream::StreamUsage> for StreamUsage {
    fn from(usage: upstream::StreamUsage) -> Self {
        match usage {
            upstream::StreamUsage::AsAsked => Self::AsAsked,
            upstream::StreamUsage::Always => Self::Always,
        }
    }
}
