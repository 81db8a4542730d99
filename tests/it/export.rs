//! The log book outside of the store: files of both formats, days that are exported once, and what a third party checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::config::{Config, MapVars};
use tollgate::crypto::signing::PublicKey;
use tollgate::export::{Daily, DailyError, Signed, verify};
use tollgate::model::clock::Timestamp;
use tollgate::model::day::Day;

use crate::support::{Program, Relay, submit_body};

const DAY: Duration = Duration::from_hours(24);

/// A public key of nobody here.
const OTHER_KEY: &str = "16434178f587cb242c3b4fdd2fdfed65e00ab95aeda7a14537e795cbd117516b";

#[tokio::test]
async fn both_formats_tell_what_the_list_tells() {
    let relay = Relay::start().await;
    busy(&relay, 3).await;
    let operator = relay.operator();
    let list = operator.get("/admin/audit?order=asc&limit=1000").await.json();
    let list = list["items"].as_array().unwrap();

    let lines = operator.get("/admin/audit/export").await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let rows = rows(&lines.body);
    assert_eq!(rows.len(), list.len());
    for (row, entry) in rows.iter().zip(list) {
        let entry = entry.as_object().unwrap();
        // Numbers and durations are named for SQL; headers are a text.
        let told: BTreeMap<&str, &Value> = entry
            .iter()
            .filter(|(_, value)| !value.is_null() && **value != json!({}))
            .map(|(name, value)| match name.as_str() {
                "id" => ("seq", value),
                "duration_us" => ("duration_micros", value),
                name => (name, value),
            })
            .collect();
        let row = row.as_object().unwrap();
        assert_eq!(row.keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>());
        for (name, value) in row.iter().filter(|(name, _)| *name != "headers") {
            assert_eq!(value, told[name.as_str()], "{name}");
        }
    }

    let file = operator.get("/admin/audit/export?format=parquet").await;
    assert_eq!(file.header("content-type"), Some("application/vnd.apache.parquet"));
    let reader = SerializedFileReader::new(bytes::Bytes::from(file.body)).unwrap();
    let numbers: Vec<i64> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| match row.unwrap().into_columns().remove(0).1 {
            parquet::record::Field::Long(number) => number,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(numbers.len() >= rows.len());
    assert!(numbers.iter().zip(1..).all(|(seq, place)| *seq == place));
}

#[tokio::test]
async fn days_may_be_chosen_but_not_from_the_future() {
    let relay = Relay::build().ago(DAY * 5).start().await;
    busy(&relay, 1).await;
    relay.clock.forward(DAY * 2);
    busy(&relay, 2).await;
    let operator = relay.operator();
    let (first, last) = (first_day(&relay), Day::of(relay.wall()));
    let count = async |query: String| {
        let reply = operator.get(&format!("/admin/audit/export?{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        rows(&reply.body).len()
    };
    let all = count(String::new()).await;
    let early = count(format!("to={first}")).await;
    let late = count(format!("from={}", first.next())).await;
    assert!(early > 0 && late > 0);
    assert_eq!(early + late, all);
    assert_eq!(count(format!("from={}&to={}", first.next(), first.next())).await, 0);
    assert_eq!(count(format!("from={first}&to={last}")).await, all);

    for query in [
        format!("from={}", last.next()),
        format!("to={}", last.next()),
        format!("from={last}&to={first}"),
        "from=yesterday".to_owned(),
        "format=csv".to_owned(),
    ] {
        let reply = operator.get(&format!("/admin/audit/export?{query}")).await;
        assert_eq!(reply.code(), "VALIDATION_FAILED", "{query}");
    }
}

#[tokio::test]
async fn a_checkpoint_is_checked_with_a_key_that_stays() {
    let relay = Relay::build().ago(DAY * 5).start().await;
    busy(&relay, 1).await;
    let day = first_day(&relay);
    relay.clock.forward(DAY * 2);
    busy(&relay, 1).await;
    let operator = relay.operator();

    let of_head = operator.get("/admin/audit/checkpoint").await.json();
    let of_day = operator.get(&format!("/admin/audit/checkpoint/{day}")).await.json();
    let key: PublicKey = of_head["public_key"].as_str().unwrap().parse().unwrap();
    for told in [&of_head, &of_day] {
        let signed: Signed = told["text"].as_str().unwrap().parse().unwrap();
        let checkpoint = signed.believe(&key).unwrap();
        assert_eq!(told["seq"], checkpoint.head.seq);
        assert_eq!(told["digest"], checkpoint.head.digest.to_string());
        let expect = format!("{}:{}", checkpoint.head.seq, checkpoint.head.digest);
        let verified = operator.get(&format!("/admin/audit/verify?expect={expect}")).await;
        assert_eq!(verified.json()["intact"], true);
    }
    let again = relay.stop().await.start().await;
    let operator = again.operator();
    let of_same_day = operator.get(&format!("/admin/audit/checkpoint/{day}")).await.json();
    assert_eq!(of_same_day, of_day);

    for (path, code) in [
        (day.next().to_string(), "NOT_FOUND"),
        (Day::of(again.wall()).to_string(), "VALIDATION_FAILED"),
        ("monday".to_owned(), "VALIDATION_FAILED"),
    ] {
        let reply = operator.get(&format!("/admin/audit/checkpoint/{path}")).await;
        assert_eq!(reply.code(), code, "{path}");
    }
    assert_eq!(
        again.stranger().get("/admin/audit/checkpoint").await.code(),
        "AUTH_FAILED"
    );
}

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
    crate::support::eventually("two days are exported", async || names(&place).len() == 4).await;
    assert_eq!(checked(&relay, &place).await.findings, [""; 0]);
}

#[tokio::test]
async fn the_command_writes_days_that_anybody_can_check() {
    let (folder, program) = at_rest().await;
    let days = folder.path().join("days");
    let to_dir = days.to_str().unwrap();
    let export = ["audit", "export", "--to-dir", to_dir, "--format", "parquet,ndjson"];

    let told = program.json(&export);
    assert_eq!((&told["written"], &told["already_there"]), (&json!(3), &json!(0)));
    let again = program.json(&export);
    assert_eq!((&again["written"], &again["already_there"]), (&json!(0), &json!(3)));

    let key = program.run(&["audit", "checkpoint", "--public-key"]).output;
    assert_eq!(told["public_key"], key.trim());
    // Neither a store nor a key in the environment: a third party has neither.
    let stranger = Program::on(Path::new("/nowhere/tollgate.redb")).without("API_KEY_ENCRYPTION_KEY");
    let check = ["audit", "verify", "--export", to_dir, "--public-key", key.trim()];
    let report = stranger.json(&check);
    assert_eq!((&report["intact"], &report["days"]), (&json!(true), &json!(3)));

    let file = days.join(names(&days).into_iter().find(|name| name.ends_with("ndjson")).unwrap());
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("key.create", "key.revoke", 1)).unwrap();
    let said = stranger.run(&check);
    assert_eq!(said.code, Some(1));
    let report: Value = serde_json::from_str(&said.output).unwrap();
    let finding = report["findings"][0].as_str().unwrap();
    assert!(
        finding.ends_with("its rows are not those that were signed"),
        "{finding}"
    );

    let wrong = ["audit", "verify", "--export", to_dir, "--public-key", OTHER_KEY];
    let said = stranger.run(&wrong);
    assert_eq!(said.code, Some(1));
    assert!(said.output.contains("another key"), "{said:?}");
}

#[tokio::test]
async fn wrong_wishes_of_the_command_are_told_in_a_sentence() {
    let (folder, program) = at_rest().await;
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let (file, days) = (file.to_str().unwrap(), folder.path().join("days"));
    let days = days.to_str().unwrap();
    for (args, code, sentence) in [
        (&["--to-dir", file][..], 1, file),
        (&["--to-dir", "/proc/none"], 1, "/proc/none"),
        (&["--to-dir", days, "--to", "2999-01-01"], 2, "2999-01-01 has not ended"),
        (&["--from", "2999-01-01"], 1, "lies in the future"),
        (&["--from", "2026-02-02", "--to", "2026-02-01"], 2, "is after"),
        (&["--format", "parquet,ndjson"], 2, "--to-dir takes both"),
        (&["--out", file], 1, file),
    ] {
        let said = program.run(&[&["audit", "export"], args].concat());
        assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
        assert!(said.errors.contains(sentence), "{args:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_disk_that_is_full_leaves_no_half_of_a_day() {
    let (folder, program) = at_rest().await;
    let days = folder.path().join("days");
    let server = program.serve();
    // Writes beyond the limit fail as those to a full disk do.
    let limited = program
        .clone()
        .run_under(&["sh", "-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"]);

    let said = limited.run(&[
        "audit",
        "export",
        "--to-dir",
        days.to_str().unwrap(),
        "--format",
        "parquet",
    ]);

    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.errors.contains(".parquet"), "{said:?}");
    assert_eq!(names(&days), [""; 0]);
    server.kill();
}

/// Clients that submitted on three days in a row, the last of which has not ended.
async fn three_days() -> Relay {
    let relay = Relay::build().ago(DAY * 5).start().await;
    busy(&relay, 2).await;
    for _ in 0..2 {
        relay.clock.forward(DAY);
        busy(&relay, 2).await;
    }
    relay
}

/// The same in a file, days ago, and the program for it.
async fn at_rest() -> (TempDir, Program) {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("t.redb");
    fs::write(&database, three_days().await.stop().await.image()).unwrap();
    let program = Program::on(&database).with("AUDIT_RETENTION", "3650d");
    (folder, program)
}

async fn busy(relay: &Relay, submits: usize) {
    let client = relay.client("busy").await;
    for _ in 0..submits {
        assert_eq!(client.submit(&submit_body("busy")).await.status, 200);
    }
}

/// What exports the days of a relay to a folder, in both formats.
fn daily(relay: &Relay, folder: &Path) -> Daily {
    let vars = MapVars::default()
        .with("API_KEY_ENCRYPTION_KEY", crate::support::MASTER)
        .with("AUDIT_EXPORT_URL", &folder.display().to_string())
        .with("AUDIT_EXPORT_FORMAT", "parquet,ndjson");
    let config = Config::parse(&vars).unwrap();
    Daily::new(relay.services().store.clone(), config.audit_export.unwrap(), config.aws)
}

async fn checked(relay: &Relay, folder: &Path) -> verify::Report {
    let told = relay.operator().get("/admin/audit/checkpoint").await.json();
    let key: PublicKey = told["public_key"].as_str().unwrap().parse().unwrap();
    verify::folder(folder, &key, |_| {}).unwrap()
}

fn first_day(relay: &Relay) -> Day {
    Day::of(relay.log_book()[0].1.at)
}

fn second_day(relay: &Relay) -> Day {
    let first = first_day(relay);
    let moments = relay.log_book().into_iter().map(|(_, entry)| entry.at);
    moments.map(Day::of).find(|day| *day > first).unwrap()
}

fn rows(body: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(body).unwrap().lines();
    let rows: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    for row in &rows {
        row["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    }
    rows
}

/// The files of a folder by name; none where it is not there yet.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    names(folder)
        .into_iter()
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}
