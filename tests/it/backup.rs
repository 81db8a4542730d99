//! Backups from outside: made while calls run, restored whole, and silent about secrets.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tollgate::backup::BackupError;
use tollgate::backup::restore::{Replace, Restoration};
use tollgate::crypto::entropy::OsEntropy;
use tollgate::crypto::keyring::MasterKey;
use tollgate::crypto::seal::StoreId;
use tollgate::model::key::Scope;
use tollgate::model::outcome::Outcome;
use tollgate::model::record::Event;
use tollgate::model::secret::Secret;
use tollgate::sandbox::{Fault, Rule};

use crate::support::{Client, Disk, MASTER, Process, Program, Relay, eventually, imitation, line_with, submit_body};

/// A backup over HTTP.
async fn backup_of(relay: &Relay) -> Vec<u8> {
    let reply = relay.operator().get("/admin/backup").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let disposition = reply.headers["content-disposition"].to_str().unwrap();
    assert!(disposition.ends_with(".backup\""), "{disposition}");
    reply.body
}

/// The disk of a store that was restored from a backup.
async fn restored(bytes: &[u8], relay: &Relay) -> Disk {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("restored");
    let keys = |_: StoreId| Ok(vec![MasterKey::from_base64(&Secret::new(MASTER.to_owned())).unwrap()]);
    let restoration = Restoration {
        path: &path,
        replace: Replace::Never,
        master_keys: &keys,
        cache_bytes: 8 << 20,
        clock: relay.clock.clone(),
        entropy: &OsEntropy,
        progress: &|_, _| {},
    };
    let pieces = stream::iter([Ok::<_, BackupError>(Bytes::copy_from_slice(bytes))]);
    restoration.run(pieces).await.unwrap();
    Disk::holding(std::fs::read(&path).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_while_calls_run_is_the_store_at_one_moment() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let keyed = alice.idempotent("order-1");
    let first = keyed.submit(&submit_body("kept")).await;
    let before = relay.log_book();

    let calls: Vec<_> = (0..20)
        .map(|number| alice.launch(&format!("beside-{number}")))
        .collect();
    let bytes = backup_of(&relay).await;
    for call in calls {
        call.await.unwrap();
    }
    let after = relay.log_book();

    let disk = restored(&bytes, &relay).await;
    let again = relay.stop().await.disk(disk).start().await;
    again.book();
    let book = again.log_book();
    let place = book
        .iter()
        .position(|(_, entry)| matches!(entry.event, Event::Restored(_)))
        .unwrap();
    assert!(place >= before.len(), "what was committed before is in it");
    assert_eq!(
        book[..place],
        after[..place],
        "what is in it is the book as it was, without a hole"
    );
    let (seq, last) = (book[place - 1].0, &book[place].1.event);
    let Event::Restored(told) = last else {
        panic!("{last:?}")
    };
    assert_eq!((told.epoch, told.through, told.replaced), (1, seq, None));

    // What was sent before is known: its repeat is answered with what was kept.
    let replayed = keyed.at(&again.url).submit(&submit_body("kept")).await;
    assert_eq!(replayed.body, first.body);
    assert_eq!(again.seen("kept"), 1);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_in_flight_is_unknown_in_the_restored_store() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let slow = Rule::any(Fault::None).after(Duration::from_secs(1));
    relay.upstream.faults().push(slow).unwrap();
    let call = alice.launch("in-flight");
    eventually("the call is written down", async || relay.intents().len() == 1).await;
    let bytes = backup_of(&relay).await;
    assert_eq!(call.await.unwrap().status, 200);
    assert_eq!(relay.settled().await.outcome, Outcome::Succeeded);

    let disk = restored(&bytes, &relay).await;
    let again = relay.stop().await.disk(disk).start().await;
    assert_eq!(again.settled().await.outcome, Outcome::Unknown);
    assert_eq!(again.seen("in-flight"), 1);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_jobs_are_held_until_they_are_released() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", [Scope::Relay, Scope::Jobs]).await;
    relay.operator().post("/admin/queues/default/pause", "").await;
    let waiting = alice.job_of(3).await;
    let bytes = backup_of(&relay).await;
    let disk = restored(&bytes, &relay).await;

    let again = relay.stop().await.disk(disk).start().await;
    let (alice, operator) = (alice.at(&again.url), again.operator());
    operator.post("/admin/queues/default/resume", "").await;
    let job = alice.get(&format!("/v1/jobs/{waiting}")).await.json();
    assert_eq!(job["state"], "held", "{job}");
    let released = operator.post(&format!("/admin/jobs/{waiting}/release"), "").await;
    assert_eq!(released.status, 200, "{released:?}");
    eventually("the job has ended", async || {
        alice.get(&format!("/v1/jobs/{waiting}")).await.json()["state"] == "succeeded"
    })
    .await;
    let disk = again.disk.clone();
    let third = again.stop().await.disk(disk).start().await;
    let restorations = third.log_book();
    let restorations = restorations
        .iter()
        .filter(|(_, entry)| matches!(entry.event, Event::Restored(_)));
    assert_eq!(restorations.count(), 1, "another start restores nothing");
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_master_key_a_backup_reveals_no_secret() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", [Scope::Relay, Scope::Jobs]).await;
    let operator = relay.operator();
    let upstream = json!({"id": "added", "base_url": "https://api.example.com/v1"});
    operator.post("/admin/upstreams", &upstream.to_string()).await;
    let account = json!({"credential": "credential-canary-0123456789"});
    let added = operator
        .post("/admin/upstreams/added/accounts", &account.to_string())
        .await;
    assert!(added.status.is_success(), "{added:?}");
    let body = json!({ "req_key": "jimeng_t2i_v40", "prompt": "prompt-canary" });
    alice
        .job(&json!({ "items": [{ "operation": "CVProcess", "body": body }], "metadata": {"note": "metadata-canary"} }))
        .await;
    alice
        .idempotent("idempotency-canary")
        .submit(&submit_body("marker-canary"))
        .await;

    let bytes = backup_of(&relay).await;

    let secret = alice.issued().secret.expose();
    let canaries = [
        secret,
        MASTER,
        "credential-canary",
        "prompt-canary",
        "metadata-canary",
        "idempotency-canary",
    ];
    for canary in canaries
        .into_iter()
        .chain(["marker-canary", "upstream-canary", "operator-canary"])
    {
        let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
        assert!(!found, "{canary} is in the backup");
    }
    assert!(
        bytes.windows(5).any(|window| window == b"alice"),
        "the scan finds what is not sealed"
    );
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_gets_a_backup_and_only_a_place_takes_one() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    assert_eq!(alice.get("/admin/backup").await.status, 403);
    let refused = relay.operator().post("/admin/backup", "").await;
    refused.assert_error(400, "VALIDATION_FAILED");
    assert!(refused.text().contains("BACKUP_URL"), "{refused:?}");
    relay.stop().await;
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_back_up_beside_a_server_and_restore_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = imitation(Duration::ZERO).await;
    let backups = folder.path().join("backups");
    let program = Program::on(&folder.path().join("tollgate.redb"))
        .before(upstream.addr())
        .with("BACKUP_URL", backups.to_str().unwrap());
    let client = program.client("alice");
    let server = program.serve();
    assert_eq!(client.at(&server.url).submit(&submit_body("first")).await.status, 200);

    let made = program.json(&["backup"]);
    let named = backups.join("by-hand.backup");
    let by_hand = program.json(&["backup", named.to_str().unwrap()]);
    assert_eq!(by_hand["rows"], made["rows"]);
    let source = backups.join(made["name"].as_str().unwrap());
    let source = source.to_str().unwrap();
    let refused = program.run(&["restore", source, "--force"]);
    assert!(refused.errors.contains("stop the server first"), "{refused:?}");

    assert_eq!(client.at(&server.url).submit(&submit_body("second")).await.status, 200);
    server.kill();
    let refused = program.run(&["restore", source]);
    assert!(refused.errors.contains("--force"), "{refused:?}");
    let wrong = program
        .clone()
        .with("API_KEY_ENCRYPTION_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let refused = wrong.run(&["restore", source, "--force"]);
    assert!(refused.errors.contains("another master key"), "{refused:?}");

    let restored = program.json(&["restore", source, "--force"]);
    assert_eq!(restored["epoch"], 1);
    assert!(
        restored["replaced"].is_string() && restored["kept"].is_string(),
        "{restored}"
    );
    let checked = program.json(&["check"]);
    assert_eq!(
        (&checked["sound"], &checked["pages"]),
        (&json!(true), &json!("sound")),
        "{checked}"
    );
    let sizes = program.json(&["compact"]);
    assert!(
        sizes["after_bytes"].as_u64() <= sizes["before_bytes"].as_u64(),
        "{sizes}"
    );

    let (_server, log) = program.spawn();
    line_with(&log, "may be sent again");
    line_with(&log, r#""message":"serving""#);
    let events: Value = program.json(&["audit", "list", "--event", "restored"]);
    assert_eq!(events["items"].as_array().map(Vec::len), Some(1), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_last_backup_is_told_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::on(&folder.path().join("tollgate.redb"))
        .with("BACKUP_URL", folder.path().join("backups").to_str().unwrap())
        .with("BACKUP_EVERY", "0");
    let stranger = Client::new(String::new(), None);
    let told = async |server: &Process, name: &str| {
        let scrape = stranger.at(&server.url).get("/metrics").await.text();
        let line = scrape.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
    };
    let server = program.serve();
    assert_eq!(told(&server, LAST_BACKUP).await, None, "there is none yet");
    let made = program.json(&["backup"]);
    let first = told(&server, LAST_BACKUP).await.unwrap();
    server.kill();

    let server = program.serve();

    let mut found = None;
    eventually("the last backup is found", async || {
        found = told(&server, LAST_BACKUP).await;
        found.is_some()
    })
    .await;
    // The file has its time when its last byte is written, the process when it has its name.
    assert!((found.unwrap() - first).abs() <= 5.0, "{found:?} {first}");
    assert_eq!(told(&server, "tollgate_backup_bytes").await, made["bytes"].as_f64());
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_full_keeps_no_half_of_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::on(&folder.path().join("tollgate.redb"));
    program.client("alice");
    let server = program.serve();
    let backups = folder.path().join("backups");
    // Files may have a kilobyte; the signal that says so is ignored, as a full disk sends none.
    let limited = program
        .clone()
        .run_under(&["sh", "-c", r#"trap "" XFSZ; ulimit -f 2; exec "$@""#, "sh"]);

    let refused = limited.run(&["backup", backups.to_str().unwrap()]);

    assert!(refused.errors.contains("is full"), "{refused:?}");
    assert_eq!(names(&backups), [""; 0]);
    drop(server);
}

const LAST_BACKUP: &str = "tollgate_backup_last_success_timestamp_seconds";
