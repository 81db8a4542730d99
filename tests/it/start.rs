//! Starts that cannot succeed say why, in a sentence, and starts that should succeed do.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::Method;
use redb::ReadableDatabase;
use tempfile::TempDir;
use tollgate::store::schema::SCHEMA;

use crate::support::{Disk, Program, Relay, eventually, imitation, line_with, open_file, submit_body};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tollgate.redb");
    (folder, database)
}

/// A start that fails with a sentence.
#[track_caller]
fn assert_refused(program: &Program, sentence: &str) {
    let said = program.run(&["serve"]);
    assert!(!said.succeeded());
    let told = format!("{}{}", said.output, said.errors);
    assert!(told.contains(sentence), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn a_missing_short_or_garbled_encryption_key_is_named_with_its_fix() {
    let (_folder, database) = folder();
    let program = Program::on(&database);
    let name = "API_KEY_ENCRYPTION_KEY";

    assert_refused(
        &program.clone().without(name),
        "API_KEY_ENCRYPTION_KEY: is not set, nor is ENCRYPTION_PASSPHRASE; set the key",
    );
    assert_refused(
        &program.clone().with(name, "c2hvcnQ="),
        "is base64 of 5 bytes, not of 32",
    );
    assert_refused(&program.with(name, "canary!"), "is not base64 of 32 bytes");
    assert!(!database.exists());
}

#[test]
fn another_encryption_key_than_the_stores_own_is_found_at_the_start() {
    let (_folder, database) = folder();
    let program = Program::on(&database);
    program.client("alice");

    let other = "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=";
    assert_refused(
        &program.with("API_KEY_ENCRYPTION_KEY", other),
        "the store was sealed under another master key",
    );
}

#[test]
fn a_database_url_that_is_a_folder_or_a_server_is_told_what_to_name() {
    let (folder, database) = folder();
    let path = folder.path().display().to_string();
    let program = Program::on(&database);

    let sentence = format!("{path} is a folder; DATABASE_URL must name a file");
    assert_refused(&program.clone().with("DATABASE_URL", &path), &sentence);
    let postgres = program.with("DATABASE_URL", "postgres://relay:canary@db/relay");
    assert_refused(&postgres, "names a database server");
    let said = postgres.run(&["serve"]);
    assert!(!format!("{said:?}").contains("canary"));
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let (_folder, database) = folder();
    for text in [
        "short",
        "a text that is certainly longer than the first bytes of a store",
    ] {
        fs::write(&database, text).unwrap();
        assert_refused(&Program::on(&database), "is not a Tollgate store");
        assert_eq!(fs::read_to_string(&database).unwrap(), text);
    }
}

#[test]
fn a_store_cut_short_anywhere_is_said_to_be_damaged() {
    let (_folder, database) = folder();
    let program = Program::on(&database);
    program.client("alice");
    let whole = fs::read(&database).unwrap();

    for length in [20, 320, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&database, &whole[..length]).unwrap();
        assert_refused(&program, "is damaged");
    }
    fs::write(&database, &whole).unwrap();
    assert!(program.run(&["key", "list"]).succeeded());
}

#[test]
fn a_store_with_a_damaged_page_opens_or_says_so() {
    let (_folder, database) = folder();
    let program = Program::on(&database);
    program.client("alice");
    let whole = fs::read(&database).unwrap();

    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096 + 16..][..64].fill(0xA5);
        fs::write(&database, &damaged).unwrap();
        let said = program.run(&["key", "list"]);
        let sentences = [
            "is damaged",
            "does not verify",
            "cannot read",
            "master key",
            "not a Tollgate store",
        ];
        let said_so = sentences.iter().any(|sentence| said.errors.contains(sentence));
        assert!(said.succeeded() || said_so, "page {page}: {said:?}");
    }
}

#[test]
fn a_store_that_a_newer_version_wrote_is_refused_in_a_sentence_and_stays_as_it_is() {
    let (_folder, database) = folder();
    let program = Program::on(&database);
    program.client("alice");
    let newer = SCHEMA + 1;
    let file = redb::Database::open(&database).unwrap();
    let txn = file.begin_write().unwrap();
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta.v1");
    let row = newer.to_be_bytes();
    txn.open_table(meta).unwrap().insert("schema", row.as_slice()).unwrap();
    txn.commit().unwrap();
    drop(file);

    let sentence =
        format!("the store has schema {newer}, this version knows up to {SCHEMA}; run the newer version again");
    assert_refused(&program, &sentence);
    let said = program.run(&["key", "list"]);
    assert!(!said.succeeded() && said.errors.contains(&sentence), "{said:?}");

    let file = redb::Database::open(&database).unwrap();
    let txn = file.begin_read().unwrap();
    let kept = txn.open_table(meta).unwrap().get("schema").unwrap().unwrap();
    assert_eq!(kept.value(), row);
}

/// A user that may do less than root, if the test runs as root.
fn mortal(program: Program) -> Program {
    if nix::unistd::getuid().is_root() {
        program.run_by(65_534)
    } else {
        program
    }
}

#[test]
fn a_folder_or_a_store_that_may_only_be_read_is_named() {
    let (folder, database) = folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let sentence = format!("{} cannot be opened: ", database.display());
    let program = mortal(Program::on(&database));

    assert_refused(&program, &sentence);

    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    Program::on(&database).client("alice");
    fs::set_permissions(&database, Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    assert_refused(&program, &sentence);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_second_server_waits_for_the_first_and_commands_speak_to_the_first() {
    let (_folder, database) = folder();
    let program = Program::on(&database);
    let first = program.serve();

    let (_second, log) = program.spawn();
    line_with(&log, "another process holds the store: waiting for it to end");
    program.client("alice");
    let listed = program.run(&["key", "list", "--json"]);

    assert!(listed.succeeded(), "{listed:?}");
    assert!(listed.output.contains("key_"), "{listed:?}");
    first.kill();
    line_with(&log, r#""message":"serving""#);
}

#[test]
fn a_socket_that_a_killed_server_left_does_not_stand_in_the_way() {
    let (_folder, database) = folder();
    let program = Program::on(&database);
    program.serve().kill();

    assert!(program.run(&["key", "list"]).succeeded());
    let second = program.serve();
    assert!(program.run(&["key", "list"]).succeeded());
    second.kill();
}

#[tokio::test]
async fn power_lost_at_any_sync_of_the_very_first_start_leaves_a_path_that_starts() {
    let (_folder, database) = folder();
    let disk = Disk::default();
    let images = disk.keep_images();
    let relay = Relay::build().disk(disk).start().await;
    relay.stop().await;

    for image in images.taken() {
        fs::write(&database, &image).unwrap();
        open_file(&database).unwrap_or_else(|error| panic!("{} bytes: {error}", image.len()));
    }
}

/// A file system of 40 MiB in memory, unmounted when dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    /// `None`, with the reason printed, where this process may not mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=40m", "tmpfs"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(mounted) if mounted.status.success() => Some(Self(folder)),
            refused => {
                eprintln!("skipped: this process may not mount a tmpfs ({refused:?})");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.path().join("filler")).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.path()).output());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_calls_are_refused_and_at_the_next_start_the_reserve_makes_room_for_pruning() {
    let Some(disk) = Tmpfs::mount() else { return };
    let upstream = imitation(Duration::ZERO).await;
    let reserve = disk.path().join("tollgate.redb.reserve");
    let program = Program::on(&disk.path().join("tollgate.redb"))
        .before(upstream.addr())
        .with("STORE_RESERVE_BYTES", "12MiB")
        .with("AUDIT_RETENTION", "1ms");
    let alice = program.client("alice");
    let server = program.serve();
    assert_eq!(alice.at(&server.url).submit(&submit_body("room")).await.status, 200);
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 12 << 20);

    disk.fill();
    let mut answered = 0;
    eventually("calls are refused", async || {
        let call = alice.at(&server.url);
        match call.send(Method::POST, "/v1/submit", &submit_body("no-room")).await {
            Ok(reply) if reply.status == 200 => answered += 1,
            Ok(reply) => {
                assert_eq!(reply.status, 503, "{reply:?}");
                // A commit that fails before the shortage is noticed ends the process.
                assert!(["STORE_FULL", "DRAINING"].contains(&reply.code().as_str()), "{reply:?}");
                return true;
            }
            Err(_closed) => return true,
        }
        false
    })
    .await;
    assert_eq!(upstream.seen().marker("no-room"), answered);
    server.kill();

    let server = program.serve();
    assert!(!reserve.exists(), "there is no room to keep it");
    assert_eq!(alice.at(&server.url).submit(&submit_body("again")).await.status, 200);
    eventually("what was old is pruned", async || {
        program.run(&["audit", "list", "--json"]).output.contains("pruned")
    })
    .await;
}
