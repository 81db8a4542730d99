//! A scrape of `/metrics` over a large pool and many keys: Prometheus asks every few seconds, so it may cost little.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;
use tollgate::api::Services;
use tollgate::auth::{Actor, Authority, KeySpec};
use tollgate::catalogue::{By, NewUpstream};
use tollgate::model::caller::Identity;
use tollgate::model::key::{Limits, Schemes, Scope, Scopes};
use tollgate::model::secret::Secret;
use tollgate::model::upstream::{StreamUsage, UpstreamName};

use super::load::Until;
use super::relay::{OnDisk, Relay};
use super::table::{Bound, Table, median};
use super::upstream::Upstream;
use super::{Plan, Result};

pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let upstream = Upstream::start()?;
    let store = OnDisk::make(async |services| {
        add_accounts(services).await?;
        add_keys(services).await
    })
    .await?;
    let relay = Relay::start(&store, upstream.address).await?;
    // What is observed for the first time makes a series.
    relay.target.load(8, Until::Answered(plan.requests / 100)).await?;
    table.section("a scrape");
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for _ in 0..SCRAPES {
        let mut request = relay.target.request("/metrics", Bytes::new());
        *request.method_mut() = Method::GET;
        let begun = Instant::now();
        bytes = relay.target.once(request).await?.len();
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    table.line(
        &format!("GET /metrics with {ACCOUNTS} accounts and {KEYS} keys"),
        median(&taken),
        "ms",
        Bound::AtMost(10.0),
    );
    let slowest = taken.iter().copied().fold(0.0, f64::max);
    table.note(&format!(
        "the slowest of {SCRAPES} took {slowest:.1} ms; each has {bytes} bytes"
    ));
    Ok(())
}

async fn add_accounts(services: &Services) -> Result<()> {
    let by = By {
        identity: Identity::Tollgate,
        request: None,
    };
    let name: UpstreamName = "pool".parse()?;
    let new = NewUpstream {
        name: name.clone(),
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        timeout: Duration::from_secs(30),
        max_attempts: 3,
        stream_usage: StreamUsage::default(),
    };
    services.curator.add_upstream(new, by).await?;
    let credentials = (0..ACCOUNTS).map(|number| Secret::new(format!("sk-bench-{number}")));
    services
        .curator
        .import_accounts(&name, credentials.collect(), by)
        .await?;
    Ok(())
}

/// All but the one that every store of the bench has.
async fn add_keys(services: &Services) -> Result<()> {
    let by = Actor {
        name: "bench".to_owned(),
        request: None,
        authority: Authority::Full,
    };
    for number in 1..KEYS {
        let spec = KeySpec {
            description: format!("client {number}"),
            expires_at: None,
            scopes: Scopes::of([Scope::Relay]),
            schemes: Schemes::all(),
            models: None,
            limits: Limits::default(),
        };
        services.issuer.create(spec, &by).await?;
    }
    Ok(())
}

const ACCOUNTS: usize = 100;
const KEYS: usize = 1000;

/// So many are measured.
const SCRAPES: usize = 100;
