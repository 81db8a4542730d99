//! `tollgate doctor` names what is wrong and what to do about it, and changes nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use redb::{ReadableDatabase, TableDefinition};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Program, imitation};

/// A folder with a store that a process made and closed, and the program on it.
fn closed_store() -> (TempDir, PathBuf, Program) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tollgate.redb");
    let program = Program::on(&database);
    program.client("alice");
    (folder, database, program)
}

/// What a doctor says, who must say by the exit code whether all is well.
#[track_caller]
fn examined(program: &Program, args: &[&str]) -> Value {
    let said = program.run(&[&["doctor"], args].concat());
    let report: Value = serde_json::from_str(&said.output).unwrap_or_else(|_| panic!("{said:?}"));
    let code = i32::from(report["healthy"] == false);
    assert_eq!(said.code, Some(code), "{said:?}");
    report
}

/// The one finding of a check that is not well: its status, what it says and its fix.
#[track_caller]
fn only<'a>(report: &'a Value, check: &str) -> (&'a str, &'a str, &'a str) {
    let findings = report["findings"].as_array().unwrap();
    let unwell: Vec<&Value> = findings.iter().filter(|finding| finding["status"] != "ok").collect();
    let of_check: Vec<&&Value> = unwell.iter().filter(|finding| finding["check"] == check).collect();
    assert_eq!(of_check.len(), 1, "{check}: {report:#}");
    let text = |name: &str| of_check[0][name].as_str().unwrap();
    (text("status"), text("message"), text("fix"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_at_rest_before_an_upstream_that_answers_is_well_and_stays_as_it_is() {
    let upstream = imitation(Duration::ZERO).await;
    let (_folder, database, program) = closed_store();
    let before = fs::read(&database).unwrap();

    let report = examined(&program.before(upstream.addr()), &[]);

    assert_eq!(report["healthy"], true, "{report:#}");
    let checks: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["check"].as_str().unwrap())
        .collect();
    let expected = [
        "configuration",
        "permissions",
        "disk",
        "lock",
        "store",
        "master_key",
        "clock",
        "upstream",
    ];
    assert_eq!(checks, expected, "{report:#}");
    assert!(fs::read(&database).unwrap() == before, "the file was changed");
    let paid = upstream
        .seen()
        .actions
        .into_keys()
        .find(|action| action.starts_with("CV"));
    assert_eq!(paid, None);
}

#[test]
fn mistakes_of_the_configuration_are_findings_with_their_fix() {
    let (_folder, _, program) = closed_store();
    let report = examined(&program.with("PORT", "no port"), &["--offline"]);
    let (status, message, fix) = only(&report, "configuration");
    assert_eq!((status, message), ("problem", r#"PORT: "no port" is not a port"#));
    assert_eq!(fix, "set a number up to 65535");
}

#[test]
fn a_variable_without_effect_is_a_warning() {
    let (_folder, _, program) = closed_store();
    let report = examined(&program.with("REDIS_URL", "redis://x"), &["--offline"]);
    let (status, message, _) = only(&report, "configuration");
    assert_eq!(status, "warning");
    assert!(message.contains("REDIS_URL"), "{message}");
}

#[test]
fn another_master_key_is_a_problem() {
    let (_folder, _, program) = closed_store();
    let other = "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=";
    let report = examined(&program.with("API_KEY_ENCRYPTION_KEY", other), &["--offline"]);
    let (status, message, fix) = only(&report, "master_key");
    assert_eq!(
        (status, message),
        ("problem", "the store was sealed under another master key")
    );
    assert!(fix.contains("API_KEY_ENCRYPTION_KEY_PREVIOUS"), "{fix}");
}

#[test]
fn a_store_that_others_may_read_is_a_warning() {
    let (_folder, database, program) = closed_store();
    fs::set_permissions(&database, Permissions::from_mode(0o644)).unwrap();
    let report = examined(&program, &["--offline"]);
    let (status, _, fix) = only(&report, "permissions");
    assert_eq!(
        (status, fix),
        ("warning", &*format!("chmod 600 {}", database.display()))
    );
}

#[test]
fn a_store_of_another_user_is_a_problem() {
    let (folder, _, program) = closed_store();
    if !nix::unistd::getuid().is_root() {
        // Only root can run the program as somebody else.
        return;
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let report = examined(&program.run_by(65_534), &["--offline"]);
    let (status, message, fix) = only(&report, "permissions");
    assert_eq!(status, "problem");
    assert!(message.contains("cannot be read and written by this user"), "{message}");
    assert!(fix.contains("chown") && fix.contains("RUN_AS_UID"), "{fix}");
}

#[test]
fn a_store_that_its_process_did_not_close_is_a_warning() {
    let (_folder, database, program) = closed_store();
    // A copy of an open store is what `kill -9` leaves.
    let server = program.serve();
    let torn = database.with_extension("torn");
    fs::copy(&database, &torn).unwrap();
    fs::set_permissions(&torn, Permissions::from_mode(0o600)).unwrap();
    server.kill();

    let report = examined(
        &program.with("DATABASE_URL", &torn.display().to_string()),
        &["--offline"],
    );

    let (status, message, _) = only(&report, "store");
    assert_eq!(status, "warning");
    assert!(message.contains("was not closed"), "{message}");
}

#[test]
fn a_server_that_holds_the_store_is_asked_whether_it_is_ready() {
    let (_folder, _, program) = closed_store();
    let server = program.serve();
    let report = examined(&program, &["--offline"]);
    // It has no upstream.
    let (status, message, fix) = only(&report, "server");
    assert_eq!((status, message), ("problem", "no upstream account can be used"));
    assert!(fix.contains("tollgate account"), "{fix}");
    server.kill();
}

#[test]
fn a_restored_store_is_warned_of_at_rest_and_while_a_server_holds_it() {
    let (folder, _, program) = closed_store();
    let backup = folder.path().join("by-hand.backup");
    let backup = backup.to_str().unwrap();
    let server = program.serve();
    program.json(&["backup", backup]);
    server.kill();
    program.json(&["restore", backup, "--force"]);

    let at_rest = examined(&program, &["--offline"]);
    let server = program.serve();
    let held = examined(&program, &["--offline"]);
    server.kill();

    let (status, message, fix) = only(&at_rest, "store");
    assert_eq!(status, "warning");
    assert!(message.contains("may be sent again"), "{message}");
    assert_eq!(only(&held, "store"), (status, message, fix));
}

#[test]
fn a_process_that_holds_the_store_without_a_socket_is_a_problem() {
    let (_folder, database, program) = closed_store();
    let held = fs::File::open(&database).unwrap();
    held.lock().unwrap();
    let report = examined(&program, &["--offline"]);
    let (status, message, fix) = only(&report, "lock");
    assert_eq!(status, "problem");
    assert!(message.contains("answers on no control socket"), "{message}");
    assert!(fix.contains("fuser"), "{fix}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_cannot_be_reached_is_a_problem_unless_nobody_wants_to_know() {
    let upstream = imitation(Duration::ZERO).await;
    let gone = upstream.addr();
    upstream.stop().await;
    let (_folder, _, program) = closed_store();
    let program = program.before(gone);

    let report = examined(&program, &[]);
    let (status, message, _) = only(&report, "upstream");
    assert_eq!(status, "problem");
    assert!(
        message.starts_with("volcengine cannot be reached at http://"),
        "{message}"
    );
    assert_eq!(examined(&program, &["--offline"])["healthy"], true);
}

#[test]
fn a_store_of_a_newer_schema_is_a_problem_and_one_of_an_older_a_warning() {
    let (_folder, database, program) = closed_store();
    let set_schema = |schema: u32| {
        let file = redb::Database::open(&database).unwrap();
        let txn = file.begin_write().unwrap();
        let mut meta = txn.open_table(META).unwrap();
        meta.insert("schema", schema.to_be_bytes().as_slice()).unwrap();
        drop(meta);
        txn.commit().unwrap();
    };

    set_schema(tollgate::store::schema::SCHEMA + 1);
    let report = examined(&program, &["--offline"]);
    let (status, _, fix) = only(&report, "store");
    assert_eq!((status, fix), ("problem", "run the newer version again"));

    set_schema(1);
    let report = examined(&program, &["--offline"]);
    let (status, message, fix) = only(&report, "store");
    assert_eq!(status, "warning");
    assert!(message.contains("from schema 1 to"), "{message}");
    assert!(fix.contains("backup"), "{fix}");
    let file = redb::ReadOnlyDatabase::open(&database).unwrap();
    let row = file.begin_read().unwrap().open_table(META).unwrap();
    assert_eq!(row.get("schema").unwrap().unwrap().value(), 1_u32.to_be_bytes());
}

#[test]
fn a_path_without_a_store_is_well_as_the_first_start_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("later/tollgate.redb");
    let report = examined(&Program::on(&database), &["--offline"]);
    assert_eq!(report["healthy"], true, "{report:#}");
    assert!(!folder.path().join("later").exists());
}

const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta.v1");
