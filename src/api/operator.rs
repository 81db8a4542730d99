//! What the operator looks at of the process.

use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::backup::BackupApi;
use super::error::ApiError;
use super::guard::{Authorized, NoBody, ToAdmin};
use super::rekey::RekeyApi;
use crate::store::restored;
use crate::store::schema::SCHEMA;

/// What runs here.
#[derive(Debug, Object)]
#[oai(rename = "ServerInfo")]
pub struct Info {
    /// The program's version.
    pub version: String,
    /// When it started.
    pub started_at: String,
    /// For how long it has run.
    pub uptime_seconds: f64,
    /// The store's schema.
    pub schema: u32,
    /// How often the store was opened.
    pub boot: u64,
    /// The accounts that calls go to.
    pub accounts: Vec<String>,
    /// Who asks: the id of a key, `admin_token` or `control_socket`.
    pub caller: String,
    /// Where the store came from; null of one that was never restored.
    pub restored: Option<InfoRestored>,
    /// The limits in force.
    pub limits: InfoLimits,
}

/// The last time that the store was restored from a backup.
///
/// What happened between the two moments is not in it: a call that repeats an idempotency key that was first used then is
/// sent again.
#[derive(Debug, Object)]
#[oai(rename = "ServerRestoration")]
pub struct InfoRestored {
    /// How often the store was restored, this time included.
    pub epoch: u64,
    /// When it was restored.
    pub restored_at: String,
    /// When the backup was made.
    pub backup_at: String,
}

/// The limits in force.
#[derive(Debug, Object)]
#[oai(rename = "ServerLimits")]
pub struct InfoLimits {
    /// `MAX_BODY_BYTES`.
    pub max_body_bytes: u64,
    /// `MAX_RESPONSE_BYTES`.
    pub max_response_bytes: u64,
    /// `VOLC_DEADLINE`.
    pub deadline_seconds: f64,
    /// `IDEMPOTENCY_TTL`.
    pub idempotency_ttl_seconds: f64,
    /// `UPSTREAM_MAX_RUNNING_TASKS`; null when there is no such limit.
    pub max_running_tasks: Option<u64>,
}

/// What the operator does with the process and its store, in one: a tuple of poem-openapi's has no more than sixteen.
pub type Group = (OperatorApi, BackupApi, RekeyApi);

/// The one that there is.
pub const GROUP: Group = (OperatorApi, BackupApi, RekeyApi);

/// The routes of the operator.
pub struct OperatorApi;

#[OpenApi(tag = "Tag::Operator")]
impl OperatorApi {
    /// Show what runs here
    ///
    /// The version, how long it has run, the accounts, whether the store was restored, and the limits in force.
    #[oai(path = "/admin/info", method = "get", operation_id = "operator_getInfo")]
    async fn info(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<Info>, ApiError> {
        let services = authorized.services;
        let facts = &services.facts;
        let restored = services.store.read_aside(restored::get).await?;
        Ok(Json(Info {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: facts.started_at.to_string(),
            uptime_seconds: services.clock.wall().since(facts.started_at).as_secs_f64(),
            schema: SCHEMA,
            boot: services.store.boot(),
            accounts: services
                .relay
                .accounts()
                .iter()
                .map(|view| view.account.to_string())
                .collect(),
            caller: authorized.caller.identity.to_string(),
            restored: restored.map(|restored| InfoRestored {
                epoch: restored.epoch,
                restored_at: restored.at.to_string(),
                backup_at: restored.backup_at.to_string(),
            }),
            limits: InfoLimits {
                max_body_bytes: facts.max_body_bytes as u64,
                max_response_bytes: facts.max_response_bytes as u64,
                deadline_seconds: facts.deadline.as_secs_f64(),
                idempotency_ttl_seconds: facts.idempotency_ttl.as_secs_f64(),
                max_running_tasks: facts.max_running_tasks.map(|limit| limit as u64),
            },
        }))
    }
}
