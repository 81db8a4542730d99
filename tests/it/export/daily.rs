//! Each day that has ended is exported once, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use metrics_exporter_prometheus::PrometheusBuilder;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;
use tollgate::config::{Config, MapVars};
use tollgate::crypto::signing::PublicKey;
use tollgate::export::{Daily, DailyError, verify};
use tollgate::model::day::Day;

use super::{DAY, busy, first_day, names, three_days};
use crate::support::{MASTER, Relay, eventually};

#[tokio::test]
async fn every_day_that_has_ended_is_exported_once() {
    let (relay, folder) = (three_days().await, TempDir::new().unwrap());
    let daily = daily(&relay, folder.path());

    assert_eq!(daily.catch_up(relay.wall()).await.unwrap(), 2);
    let found = checked(&relay, folder.path()).await;
    assert_eq!((found.days, &found.findings), (2, &Vec::new()));
    assert_eq!(found.first, Some((first_day(&relay), 1)));
    let files = names(folder.path());
    assert_eq!(files.len(), 6, "{files:?}");

    let before = contents(folder.path());
    assert_eq!(daily.catch_up(relay.wall()).await.unwrap(), 0);
    relay.clock.forward(DAY);
    assert_eq!(daily.catch_up(relay.wall()).await.unwrap(), 1);
    let after = contents(folder.path());
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes));
    let found = checked(&relay, folder.path()).await;
    assert_eq!((found.days, &found.findings), (3, &Vec::new()));
}

#[tokio::test]
async fn an_export_that_was_interrupted_goes_on_with_the_same_entries() {
    let (relay, folder) = (three_days().await, TempDir::new().unwrap());
    let place = folder.path().join("audit");
    let daily = daily(&relay, &place);
    // A folder that bears the name of the second day's checkpoint cannot be replaced by a file.
    fs::create_dir(&place).unwrap();
    let day = second_day(&relay);
    let in_the_way = place.join(format!("audit-{day}.checkpoint"));
    fs::create_dir(&in_the_way).unwrap();
    fs::write(in_the_way.join("x"), "x").unwrap();
    daily.catch_up(relay.wall()).await.unwrap_err();
    // Meanwhile the clock goes wrong: what is written now seems to be of the day that is being exported.
    relay.clock.back(DAY);
    busy(&relay, 1).await;
    relay.clock.forward(DAY);
    fs::remove_dir_all(&in_the_way).unwrap();

    assert_eq!(daily.catch_up(relay.wall()).await.unwrap(), 1);
    relay.clock.forward(DAY);
    assert_eq!(daily.catch_up(relay.wall()).await.unwrap(), 1);

    let found = checked(&relay, &place).await;
    assert_eq!((found.days, &found.findings), (3, &Vec::new()));
    assert_eq!(
        found.last.map(|(_, seq)| seq),
        relay.log_book().last().map(|(seq, _)| *seq)
    );
}

#[tokio::test]
async fn a_day_that_is_there_with_other_entries_is_not_written_over() {
    let (relay, folder) = (three_days().await, TempDir::new().unwrap());
    daily(&relay, folder.path()).catch_up(relay.wall()).await.unwrap();
    let before = contents(folder.path());

    let other = three_days().await;
    let error = daily(&other, folder.path()).catch_up(other.wall()).await.unwrap_err();

    assert!(matches!(error, DailyError::Differs { .. }), "{error}");
    assert!(error.to_string().contains("AUDIT_EXPORT_URL"), "{error}");
    assert_eq!(contents(folder.path()), before);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told_in_a_sentence() {
    let (relay, folder) = (three_days().await, TempDir::new().unwrap());
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    for place in [file, folder.path().join("no/such/folder")] {
        let error = daily(&relay, &place).catch_up(relay.wall()).await.unwrap_err();
        assert!(error.to_string().contains(&place.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_server_exports_by_itself() {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("audit");
    let relay = three_days().await;
    let relay = relay
        .stop()
        .await
        .with("AUDIT_EXPORT_URL", &place.display().to_string())
        .start()
        .await;
    eventually("two days are exported", async || names(&place).len() == 4).await;
    assert_eq!(checked(&relay, &place).await.findings, [""; 0]);
}

#[tokio::test]
async fn an_export_that_fails_is_counted_and_one_that_succeeds_has_its_moment_told() {
    let (folder, relay) = (TempDir::new().unwrap(), three_days().await);
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let told = |series: &str| {
        let text = recorder.handle().render();
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        values.next().map(str::to_owned)
    };
    let (last, failures) = (
        "tollgate_audit_export_last_success_timestamp_seconds",
        "tollgate_audit_export_failures_total",
    );

    let unmounted = daily(&relay, &folder.path().join("unmounted/audit"));
    unmounted.catch_up(relay.wall()).await.unwrap_err();
    assert_eq!((told(last), told(failures).as_deref()), (None, Some("1")));

    daily(&relay, folder.path()).catch_up(relay.wall()).await.unwrap();
    let now = relay.wall().as_seconds().to_string();
    assert_eq!((told(last), told(failures).as_deref()), (Some(now), Some("1")));
}

#[tokio::test]
async fn a_clock_that_was_ahead_for_a_while_does_not_stop_the_export() {
    let (relay, folder) = (Relay::build().ago(DAY * 5).start().await, TempDir::new().unwrap());
    let daily = daily(&relay, folder.path());
    busy(&relay, 2).await;
    relay.clock.forward(DAY * 100);
    relay.client("from the future").await;
    relay.clock.back(DAY * 100);
    for _ in 0..3 {
        busy(&relay, 3).await;
        relay.clock.forward(DAY);
        daily.catch_up(relay.wall()).await.unwrap();
    }

    let found = checked(&relay, folder.path()).await;
    assert_eq!(found.findings, [""; 0]);
    let last = relay.log_book().last().map(|(seq, _)| *seq);
    assert_eq!(found.last.map(|(_, seq)| seq), last);
}

/// What exports the days of a relay to a folder, in both formats.
fn daily(relay: &Relay, folder: &Path) -> Daily {
    let vars = MapVars::default()
        .with("API_KEY_ENCRYPTION_KEY", MASTER)
        .with("AUDIT_EXPORT_URL", &folder.display().to_string())
        .with("AUDIT_EXPORT_FORMAT", "parquet,ndjson");
    let config = Config::parse(&vars).unwrap();
    let store = relay.services().store.clone();
    Daily::new(store, config.audit_export.unwrap(), config.aws, TaskTracker::new())
}

async fn checked(relay: &Relay, folder: &Path) -> verify::Report {
    let told = relay.operator().get("/admin/audit/checkpoint").await.json();
    let key: PublicKey = told["public_key"].as_str().unwrap().parse().unwrap();
    verify::folder(folder, &key, |_| {}).unwrap()
}

fn second_day(relay: &Relay) -> Day {
    let first = first_day(relay);
    let moments = relay.log_book().into_iter().map(|(_, entry)| entry.at);
    moments.map(Day::of).find(|day| *day > first).unwrap()
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    names(folder)
        .into_iter()
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}
