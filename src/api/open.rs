//! What is open to everybody, or to whoever is near: health, readiness, metrics.

use http::header::AUTHORIZATION;
use poem::Request;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::error::{ApiError, Code};
use super::guard::Anybody;
use super::readiness::Finding;
use super::{Tag, peer};

/// Alive.
#[derive(Debug, Object)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// How many upstream accounts there are and can be used.
#[derive(Debug, Object)]
pub struct KeyStats {
    /// All of them.
    pub total: u64,
    /// Those that can be used.
    pub available: u64,
    /// Those that cannot.
    pub failed: u64,
}

/// Ready for calls.
#[derive(Debug, Object)]
pub struct Readiness {
    /// `ok`.
    pub status: String,
    /// The program's version.
    pub version: String,
    /// The upstream accounts.
    pub key_stats: KeyStats,
}

/// The single checks, each `ok` or what is wrong.
#[derive(Debug, Object)]
#[oai(rename = "ReadinessChecks")]
pub struct Checks {
    /// Whether the store can be written.
    pub store: String,
    /// Whether an account can be used.
    pub accounts: String,
    /// Whether the clock stands where the record says it should.
    pub clock: String,
    /// Whether the process goes on.
    pub lifecycle: String,
}

/// Not ready, and why.
#[derive(Debug, Object)]
#[oai(rename = "NotReady")]
pub struct Unready {
    /// `error`.
    pub status: String,
    /// A sentence.
    pub message: String,
    /// The single checks.
    pub checks: Checks,
}

/// Ready or not.
#[derive(ApiResponse)]
pub enum Ready {
    /// Calls are served.
    #[oai(status = 200)]
    Yes(Json<Readiness>),
    /// Calls would fail.
    #[oai(status = 503)]
    No(Json<Unready>),
}

/// The metrics.
#[derive(ApiResponse)]
pub enum Metrics {
    /// Prometheus' text format.
    #[oai(status = 200, content_type = "text/plain; version=0.0.4; charset=utf-8")]
    Text(PlainText<String>),
}

/// The open routes.
pub struct OpenRoutes;

#[OpenApi(tag = "Tag::Probes")]
impl OpenRoutes {
    /// Say whether the process lives
    ///
    /// Constant, for liveness and platform checks.
    #[oai(path = "/health", method = "get", operation_id = "probes_getHealth")]
    async fn health(&self) -> Json<Health> {
        Json(Health {
            status: "ok".to_owned(),
        })
    }

    /// Say whether calls would be served
    ///
    /// 503 when the store cannot be written, no account is usable, the clock stands before the last record, or the
    /// process drains. For alerts and load balancers.
    #[oai(path = "/ready", method = "get", operation_id = "probes_getReadiness")]
    async fn ready(&self, anybody: Anybody) -> Ready {
        let found = anybody.0.readiness().await;
        if found.iter().all(|finding| finding.problem().is_none()) {
            let accounts = anybody.0.relay.accounts();
            let total = accounts.len() as u64;
            let available = accounts.iter().filter(|account| account.is_usable()).count() as u64;
            return Ready::Yes(Json(Readiness {
                status: "ok".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                key_stats: KeyStats {
                    total,
                    available,
                    failed: total - available,
                },
            }));
        }
        let [store, accounts, clock, lifecycle] = found.map(|finding| match finding {
            Finding::Fine => "ok".to_owned(),
            Finding::Problem(problem) => problem.to_owned(),
        });
        let first = [&lifecycle, &store, &clock, &accounts]
            .into_iter()
            .find(|text| *text != "ok");
        Ready::No(Json(Unready {
            status: "error".to_owned(),
            message: first.cloned().unwrap_or_default(),
            checks: Checks {
                store,
                accounts,
                clock,
                lifecycle,
            },
        }))
    }

    /// Show the metrics
    ///
    /// In Prometheus' text format. With `METRICS_TOKEN` set, it must be sent as bearer; without one, only a private peer
    /// that came through no proxy sees them.
    #[oai(path = "/metrics", method = "get", operation_id = "probes_getMetrics")]
    async fn metrics(&self, request: &Request, anybody: Anybody) -> Result<Metrics, ApiError> {
        let services = anybody.0;
        let allowed = match &services.metrics_token {
            Some(token) => presented(request).is_some_and(|bearer| services.digest_token(bearer).ct_eq(token)),
            None => peer::is_private_and_direct(request, services.trusted_proxy_hops),
        };
        if !allowed {
            return Err(ApiError::new(
                Code::AuthFailed,
                "send METRICS_TOKEN as bearer, or come from a private address",
            ));
        }
        Ok(Metrics::Text(PlainText(services.scrape().await)))
    }
}

fn presented(request: &Request) -> Option<&str> {
    request
        .headers()
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}
