//! The store: who holds it, whether our key opens it, and what its last record says of the clock.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::finding::{Check, Finding};
use super::network::Upstream;
use crate::app::StartError;
use crate::model::clock::{Clock, Timestamp};
use crate::server::control;
use crate::store::error::OpenError;
use crate::store::restored::Restored;
use crate::store::schema::SCHEMA;
use crate::store::{Inspected, Inspection};

/// What the store tells, and which upstreams it knows. An idempotency key is remembered for `ttl`.
pub(super) async fn check(
    path: &Path,
    looked: Result<Inspection, StartError>,
    ttl: Duration,
    clock: &dyn Clock,
) -> (Vec<Finding>, Vec<Upstream>) {
    match looked {
        Ok(inspection) => at_rest(path, inspection, ttl, clock),
        Err(error) if error.busy().is_some() => held(path, ttl, clock).await,
        Err(error) => (vec![failed(&error)], Vec::new()),
    }
}

fn at_rest(path: &Path, inspection: Inspection, ttl: Duration, clock: &dyn Clock) -> (Vec<Finding>, Vec<Upstream>) {
    let path = path.display();
    let free = Finding::ok(Check::Lock, "no process holds the store");
    let inspected = match inspection {
        Inspection::Nothing => {
            let missing = Finding::ok(
                Check::Store,
                format!("there is no store at {path} yet: the first start makes it"),
            );
            return (vec![free, missing], Vec::new());
        }
        Inspection::NotClosed => {
            let torn = Finding::warning(
                Check::Store,
                format!("{path} was not closed by its last process"),
                "start the server: it checks the file first; then ask again",
            );
            return (vec![free, torn], Vec::new());
        }
        Inspection::Store(inspected) => inspected,
    };
    let Inspected {
        schema,
        master_key,
        last_record,
        upstreams,
        restored,
    } = inspected;
    let mut findings = vec![
        free,
        of_schema(schema),
        of_key(master_key),
        of_clock(last_record, clock.wall()),
    ];
    findings.extend(restored.and_then(|restored| of_restoration(&restored.into(), ttl, clock.wall())));
    let upstreams = upstreams
        .into_iter()
        .map(|row| Upstream {
            name: row.name.to_string(),
            base_url: row.base_url,
        })
        .collect();
    (findings, upstreams)
}

fn of_schema(schema: u32) -> Finding {
    if schema == SCHEMA {
        return Finding::ok(
            Check::Store,
            format!("its log book's head verifies; it has schema {SCHEMA}, the newest"),
        );
    }
    Finding::warning(
        Check::Store,
        format!("the next start brings it from schema {schema} to {SCHEMA}, which an older version cannot read"),
        "take a backup before you start this version",
    )
}

fn of_key(which: usize) -> Finding {
    if which == 0 {
        return Finding::ok(Check::MasterKey, "it opens the store");
    }
    Finding::warning(
        Check::MasterKey,
        "the store is still sealed under API_KEY_ENCRYPTION_KEY_PREVIOUS",
        "run `tollgate rekey`, then unset API_KEY_ENCRYPTION_KEY_PREVIOUS",
    )
}

fn of_clock(last_record: Timestamp, now: Timestamp) -> Finding {
    let in_order = now.plus(TOLERANCE) >= last_record;
    let now = Timestamp::from_seconds(now.as_seconds());
    if in_order {
        return Finding::ok(Check::Clock, format!("it stands at {now}, after the last record"));
    }
    Finding::problem(
        Check::Clock,
        format!("it stands at {now}, but the last record was written at {last_record}"),
        "let NTP set this machine's clock, for example with `timedatectl set-ntp true`",
    )
}

/// When a store was restored, and when its backup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Restoration {
    at: Timestamp,
    backup_at: Timestamp,
}

impl From<Restored> for Restoration {
    fn from(restored: Restored) -> Self {
        Self {
            at: restored.at,
            backup_at: restored.backup_at,
        }
    }
}

/// What `/admin/info` says of it.
fn told_restoration(info: &Value) -> Option<Restoration> {
    let told = info.get("restored")?;
    let moment = |name| told.get(name)?.as_str()?.parse().ok();
    Some(Restoration {
        at: moment("restored_at")?,
        backup_at: moment("backup_at")?,
    })
}

/// Keys that the backup does not know are all forgotten once the longest memory of them has passed.
fn of_restoration(restored: &Restoration, ttl: Duration, now: Timestamp) -> Option<Finding> {
    (restored.at.plus(ttl) > now).then(|| {
        Finding::warning(
            Check::Store,
            format!(
                "it was restored at {} from a backup of {}: calls whose idempotency keys were first used between the two may \
                 be sent again",
                restored.at, restored.backup_at
            ),
            "look those calls up at the provider before you repeat them, and release held jobs with `tollgate job release`",
        )
    })
}

/// A store that cannot be opened. Its sentences name their fix behind a semicolon.
fn failed(error: &StartError) -> Finding {
    let check = match error {
        StartError::Open(OpenError::WrongKey) => Check::MasterKey,
        StartError::Open(OpenError::Io { .. }) => Check::Permissions,
        _ => Check::Store,
    };
    Finding::of_sentence(check, &error.to_string())
}

/// A store that another process holds: a server is asked whether it would serve.
async fn held(path: &Path, ttl: Duration, clock: &dyn Clock) -> (Vec<Finding>, Vec<Upstream>) {
    let ready = match timeout(PATIENCE, ask(path, "/ready")).await {
        Ok(Ok(ready)) => ready,
        Ok(Err(error)) => return (vec![mute(path, &error.to_string())], Vec::new()),
        Err(_) => return (vec![mute(path, "no answer in time")], Vec::new()),
    };
    let mut findings = vec![Finding::ok(Check::Lock, "a server holds the store and answers")];
    findings.extend(of_readiness(&ready));
    if let Ok(Ok(info)) = timeout(PATIENCE, ask(path, "/admin/info")).await {
        let restored = told_restoration(&info);
        findings.extend(restored.and_then(|restored| of_restoration(&restored, ttl, clock.wall())));
    }
    let upstreams = match timeout(PATIENCE, ask(path, "/admin/upstreams")).await {
        Ok(Ok(list)) => added(&list),
        _ => Vec::new(),
    };
    (findings, upstreams)
}

fn mute(path: &Path, reason: &str) -> Finding {
    Finding::problem(
        Check::Lock,
        format!(
            "another process holds {} and answers on no control socket ({reason})",
            path.display()
        ),
        "if it neither starts nor ends, find it with `fuser` and stop it",
    )
}

/// What `/ready` says.
fn of_readiness(ready: &Value) -> Vec<Finding> {
    let nothing = Map::new();
    let checks = ready.get("checks").and_then(Value::as_object).unwrap_or(&nothing);
    let wrong: Vec<Finding> = checks
        .iter()
        .filter_map(|(name, told)| Some((name, told.as_str().filter(|told| *told != "ok")?)))
        .map(|(name, told)| {
            let fix = match name.as_str() {
                "accounts" => "`tollgate account list` tells why; enable or reset one, or add another",
                "clock" => "let NTP set this machine's clock, for example with `timedatectl set-ntp true`",
                "store" => "make room on the disk, or look at the log",
                _ => "wait until it has ended, then start it again",
            };
            Finding::problem(Check::Server, told, fix)
        })
        .collect();
    if wrong.is_empty() {
        return vec![Finding::ok(Check::Server, "it is ready for calls")];
    }
    wrong
}

/// The upstreams that are not the environment's.
fn added(list: &Value) -> Vec<Upstream> {
    let items = list.get("items").and_then(Value::as_array).into_iter().flatten();
    let text = |item: &Value, name| item.get(name).and_then(Value::as_str).map(str::to_owned);
    items
        .filter(|item| item.get("source").and_then(Value::as_str) == Some("store"))
        .filter_map(|item| {
            Some(Upstream {
                name: text(item, "id")?,
                base_url: text(item, "base_url")?,
            })
        })
        .collect()
}

/// Asks the server that holds the store at `path`, and reads its answer whatever its status.
async fn ask(path: &Path, route: &'static str) -> std::io::Result<Value> {
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = Uri::from_static(route);
    let answer = control::call(path, request).await?;
    let body = answer.into_body().collect().await.map_err(std::io::Error::other)?;
    serde_json::from_slice(&body.to_bytes()).map_err(std::io::Error::other)
}

/// A server that works answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Clocks of one machine disagree by less.
const TOLERANCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::doctor::finding::Status;

    #[test]
    fn a_clock_before_the_last_record_is_a_problem() {
        let at = Timestamp::from_seconds;
        assert_eq!(of_clock(at(1000), at(999)).status, Status::Ok);
        let found = of_clock(at(1000), at(900));
        assert_eq!((found.check, found.status), (Check::Clock, Status::Problem));
        assert!(found.fix.unwrap().contains("NTP"));
    }

    #[test]
    fn an_older_schema_and_an_older_key_are_warned_of() {
        assert_eq!(of_schema(SCHEMA).status, Status::Ok);
        assert!(of_schema(1).fix.unwrap().contains("backup"));
        assert_eq!(of_key(0).status, Status::Ok);
        assert!(of_key(1).fix.unwrap().contains("rekey"));
    }

    #[test]
    fn what_a_server_lacks_is_a_problem_with_its_fix() {
        let unready = json!({ "status": "error", "checks": {
            "store": "ok", "accounts": "no upstream account can be used", "clock": "ok", "lifecycle": "ok",
        }});
        let found = of_readiness(&unready);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "no upstream account can be used");
        assert!(found[0].fix.as_ref().unwrap().contains("tollgate account"));
        assert_eq!(of_readiness(&json!({ "status": "ok" }))[0].status, Status::Ok);
    }

    #[test]
    fn the_environments_upstreams_are_not_asked_twice() {
        let list = json!({ "items": [
            { "id": "openai", "base_url": "https://a.example", "source": "environment" },
            { "id": "other", "base_url": "https://b.example", "source": "store" },
        ]});
        let expected = Upstream {
            name: "other".to_owned(),
            base_url: "https://b.example".to_owned(),
        };
        assert_eq!(added(&list), [expected]);
    }
    #[test]
    fn a_restoration_is_warned_of_for_as_long_as_a_key_from_before_may_be_repeated() {
        let at = Timestamp::from_seconds;
        let info = json!({ "restored": { "epoch": 1, "restored_at": at(2000).to_string(), "backup_at": at(1000).to_string() } });
        let restored = told_restoration(&info).unwrap();
        assert_eq!((restored.at, restored.backup_at), (at(2000), at(1000)));

        let hour = Duration::from_hours(1);
        assert_eq!(
            of_restoration(&restored, hour, at(5599)).unwrap().status,
            Status::Warning
        );
        assert_eq!(of_restoration(&restored, hour, at(5600)), None);
        assert_eq!(told_restoration(&json!({ "restored": null })), None);
        assert_eq!(told_restoration(&json!({})), None);
    }
}
