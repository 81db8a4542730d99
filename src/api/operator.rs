//! What the operator looks at: the gates, and the process.

use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::error::ApiError;
use super::guard::{Authorized, NoBody, ToAdmin};
use crate::store::schema::SCHEMA;

/// How one gate of an account stands.
#[derive(Debug, Object)]
pub struct QueueView {
    /// The upstream.
    pub upstream: String,
    /// The account.
    pub account: String,
    /// `submit`, `call` or `query`.
    pub class: String,
    /// How many may be in flight.
    pub slots: u64,
    /// How many are.
    pub in_use: u64,
    /// How many may wait.
    pub capacity: u64,
    /// How many do.
    pub waiting: u64,
    /// How long the oldest waiter has waited; null when nobody waits.
    pub oldest_wait_seconds: Option<f64>,
}

/// Every gate.
#[derive(Debug, Object)]
pub struct QueuePage {
    /// By upstream, account and class.
    pub items: Vec<QueueView>,
    /// Always null: there are few.
    pub next_cursor: Option<String>,
}

/// What runs here.
#[derive(Debug, Object)]
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
    /// The limits in force.
    pub limits: InfoLimits,
}

/// The limits in force.
#[derive(Debug, Object)]
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

/// The routes of the operator.
pub struct OperatorApi;

#[OpenApi(tag = "Tag::Operator")]
impl OperatorApi {
    /// Show the queues
    ///
    /// How every account's gates stand, by operation class.
    #[oai(path = "/admin/queues", method = "get", operation_id = "listQueues")]
    async fn queues(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<QueuePage>, ApiError> {
        let views = authorized.services.admission.view().into_iter().map(|view| QueueView {
            upstream: view.upstream.as_ref().to_owned(),
            account: view.account,
            class: view.class.label().to_owned(),
            slots: view.snapshot.slots as u64,
            in_use: view.snapshot.in_use as u64,
            capacity: view.snapshot.queue as u64,
            waiting: (view.snapshot.waiting_interactive + view.snapshot.waiting_background) as u64,
            oldest_wait_seconds: view.snapshot.oldest_wait.map(|wait| wait.as_secs_f64()),
        });
        Ok(Json(QueuePage {
            items: views.collect(),
            next_cursor: None,
        }))
    }

    /// Show what runs here
    ///
    /// The version, how long it has run, the accounts, and the limits in force.
    #[oai(path = "/admin/info", method = "get", operation_id = "getInfo")]
    async fn info(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<Info>, ApiError> {
        let services = authorized.services;
        let facts = &services.facts;
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
