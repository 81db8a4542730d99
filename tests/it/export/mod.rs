//! The log book outside of the store: files of both formats, days that are exported once, and what a third party checks.

mod daily;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::crypto::signing::PublicKey;
use tollgate::export::Signed;
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
        // Some names are others, which SQL knows; headers are a text, and what is reserved is two columns.
        let told: BTreeMap<&str, &Value> = entry
            .iter()
            .filter(|(_, value)| !value.is_null() && **value != json!({}))
            .flat_map(|(name, value)| match name.as_str() {
                "id" => vec![("seq", value)],
                "at" => vec![("time", value)],
                "duration_us" => vec![("duration_micros", value)],
                "reserved" => vec![
                    ("currency", &value["currency"]),
                    ("reserved_microunits", &value["microunits"]),
                ],
                name => vec![(name, value)],
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

fn first_day(relay: &Relay) -> Day {
    Day::of(relay.log_book()[0].1.at)
}

fn rows(body: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(body).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
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
