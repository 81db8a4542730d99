//! Every place where a paid call can break, and what a repeat of its idempotency key then gets: one test or more for
//! each row of the product's table.

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tollgate::model::operation::Class;
use tollgate::model::outcome::Outcome;
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Brake, Builder, Client, Disk, Relay, Reply, Stop, eventually, query_body, submit_body};

/// A relay whose requests stop where a brake stops them, and a client with an idempotency key.
async fn braked(stop: Stop) -> (Relay, Arc<Brake>, Client) {
    let brake = Arc::new(Brake::new(stop));
    let relay = Relay::build().transport(brake.clone()).start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    (relay, brake, alice)
}

/// One whose upstream spoils the next submit.
async fn spoiled(fault: Fault) -> (Relay, Client) {
    let relay = Relay::start().await;
    relay.upstream.faults().push(Rule::any(fault)).unwrap();
    let alice = relay.client("alice").await.idempotent("order-1");
    (relay, alice)
}

async fn restart(left: Builder, alice: &Client) -> (Relay, Client) {
    let relay = left.start().await;
    let alice = alice.at(&relay.url);
    (relay, alice)
}

/// The repeat is told that nobody knows, and where to look.
fn assert_unknown(reply: &Reply, relay: &Relay, body: &str) -> u64 {
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (409, "OUTCOME_UNKNOWN"));
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    let calls = relay.book().calls(body);
    assert_eq!(calls, [(reply.audit_id(), Some(Outcome::Unknown))]);
    reply.audit_id()
}

fn assert_fresh(reply: &Reply) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("idempotency-replayed"), None);
}

fn assert_replay(reply: &Reply) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("idempotency-replayed"), Some("true"));
}

/// Waits until so many repeats wait behind the first call with their key.
async fn until_repeats_wait(relay: &Relay, number: usize) {
    let waiting = async || relay.services().recorder.repeats_waiting() == number;
    eventually("the repeats wait", waiting).await;
}

async fn resolve(relay: &Relay, intent: u64, verdict: &str) {
    let admin = relay.admin().await;
    let resolved = admin.post(&format!("/admin/audit/{intent}/resolve"), verdict).await;
    assert_eq!(resolved.status, 200, "{resolved:?}");
}

// Before the intent reaches the writer.

#[tokio::test]
async fn killed_while_it_waits_for_a_place_it_left_nothing_and_is_sent_afresh() {
    let brake = Arc::new(Brake::new(Stop::BeforeSending));
    let relay = Relay::build().transport(brake.clone()).start().await;
    let bob = relay.client("bob").await;
    let _first = bob.try_submitting(&submit_body("place-bob"));
    brake.until_stopped(1).await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let _waiting = alice.try_submitting(&submit_body("place-alice"));
    let admin = relay.admin().await;
    eventually("alice waits", async || {
        admin
            .get("/admin/queues")
            .await
            .json()
            .to_string()
            .contains(r#""waiting":1"#)
    })
    .await;

    let left = relay.kill().await;
    brake.stop_at(Stop::Nowhere);
    let (relay, alice) = restart(left, &alice).await;

    assert_eq!(relay.book().calls(&submit_body("place-alice")), []);
    assert_fresh(&alice.submit(&submit_body("place-alice")).await);
    assert_eq!(relay.seen("place-alice"), 1);
}

#[tokio::test]
async fn of_those_that_wait_behind_a_first_that_was_not_sent_exactly_one_is_sent() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    let body = submit_body("behind");
    let first = alice.try_submitting(&body);
    brake.until_stopped(1).await;
    let waiting: Vec<_> = (0..5).map(|_| alice.try_submitting(&body)).collect();
    until_repeats_wait(&relay, 5).await;

    brake.stop_at(Stop::Nowhere);
    first.abort();

    let mut fresh = 0;
    for waiter in waiting {
        let reply = waiter.await.unwrap().unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        fresh += usize::from(reply.header("idempotency-replayed").is_none());
    }
    assert_eq!(fresh, 1);
    assert_eq!(relay.seen("behind"), 1);
}

// The intent is with the writer.

#[tokio::test]
async fn power_lost_before_the_intent_is_synced_leaves_nothing_and_it_is_sent_afresh() {
    let (relay, brake, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("unsynced");
    let gate = relay.disk.hold_syncs();
    let _in_flight = alice.try_submitting(&body);
    eventually("the intent waits for its sync", async || gate.holds_one()).await;

    let (relay, alice) = restart(relay.lose_power().await, &alice).await;

    assert_eq!(relay.seen("unsynced"), 0);
    assert_eq!(relay.book().calls(&body), []);
    assert_fresh(&alice.submit(&body).await);
    drop(brake);
}

#[tokio::test]
async fn killed_before_the_intent_is_acknowledged_it_is_unknown_if_the_page_cache_has_it() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("unacknowledged");
    let gate = relay.disk.hold_syncs();
    let _in_flight = alice.try_submitting(&body);
    eventually("the intent waits for its sync", async || gate.holds_one()).await;

    let (relay, alice) = restart(relay.kill().await, &alice).await;

    assert_eq!(relay.seen("unacknowledged"), 0);
    let recovered = relay.book().calls(&body);
    let repeat = alice.submit(&body).await;
    if recovered.is_empty() {
        assert_fresh(&repeat);
    } else {
        assert_unknown(&repeat, &relay, &body);
    }
}

#[tokio::test]
async fn an_intent_whose_commit_fails_is_503_and_nothing_is_sent_before_or_after_the_restart() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("commit-error");
    relay.disk.fail_sync(1, io::ErrorKind::Other);

    let refused = alice.submit(&body).await;

    assert_eq!(refused.status, 503);
    assert_eq!(relay.seen("commit-error"), 0);
    let (relay, alice) = restart(relay.lose_power().await, &alice).await;
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("commit-error"), 1);
}

#[tokio::test]
async fn an_intent_that_takes_longer_than_two_seconds_is_503_settled_as_not_sent_and_sent_afresh() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("slow-disk");
    let gate = relay.disk.hold_syncs();

    let refused = alice.submit(&body).await;

    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (503, "AUDIT_UNAVAILABLE")
    );
    assert_eq!(relay.seen("slow-disk"), 0);
    gate.open();
    let not_sent = async || matches!(relay.book().calls(&body)[..], [(_, Some(Outcome::NotSent))]);
    eventually("the writer settles it as not sent", not_sent).await;
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("slow-disk"), 1);
}

#[tokio::test]
async fn a_repeat_while_the_first_intent_is_still_with_the_writer_waits_and_is_sent_afresh() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("slow-repeat");
    let gate = relay.disk.hold_syncs();
    assert_eq!(alice.submit(&body).await.status, 503);

    let repeat = alice.try_submitting(&body);
    until_repeats_wait(&relay, 1).await;
    gate.open();

    assert_fresh(&repeat.await.unwrap().unwrap());
    assert_eq!(relay.seen("slow-repeat"), 1);
}

#[tokio::test]
async fn a_caller_gone_while_its_intent_is_with_the_writer_leaves_its_key_to_be_sent_afresh() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("gone-early");
    let gate = relay.disk.hold_syncs();
    let in_flight = alice.try_submitting(&body);
    let admitted = async || relay.gate(Class::Submit).in_use == 1 && gate.holds_one();
    eventually("the intent waits for its sync", admitted).await;

    in_flight.abort();
    let withdrawn = async || relay.gate(Class::Submit).in_use == 0;
    eventually("its call is withdrawn", withdrawn).await;
    gate.open();

    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("gone-early"), 1);
    let book = relay.book();
    let mut outcomes: Vec<_> = book.calls(&body).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes.pop(), Some(Some(Outcome::Succeeded)));
    // The sync that was held may have been another one: then the first intent never reached the writer.
    assert!(
        outcomes.iter().all(|outcome| *outcome == Some(Outcome::NotSent)),
        "{outcomes:?}"
    );
}

// The intent is committed and no byte is out.

#[tokio::test]
async fn killed_before_the_first_byte_it_is_unknown_and_resolving_it_as_not_sent_frees_the_key() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    let body = submit_body("before-byte");
    let _in_flight = alice.try_submitting(&body);
    brake.until_stopped(1).await;

    let left = relay.lose_power().await;
    brake.stop_at(Stop::Nowhere);
    let (relay, alice) = restart(left, &alice).await;

    let intent = assert_unknown(&alice.submit(&body).await, &relay, &body);
    resolve(&relay, intent, r#"{"outcome":"not_sent"}"#).await;
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("before-byte"), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_before_the_first_byte_leaves_its_key_to_be_sent_afresh() {
    let (relay, brake, alice) = braked(Stop::BeforeSending).await;
    let body = submit_body("hung-up");
    let in_flight = alice.try_submitting(&body);
    brake.until_stopped(1).await;

    brake.stop_at(Stop::Nowhere);
    in_flight.abort();

    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("hung-up"), 1);
    assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::NotSent));
}

#[tokio::test]
async fn a_deadline_before_the_first_byte_leaves_the_key_to_be_sent_afresh() {
    let brake = Arc::new(Brake::new(Stop::BeforeSending));
    let settings = Relay::build().with("VOLC_DEADLINE", "6s").with("VOLC_TIMEOUT", "5s");
    let relay = settings.transport(brake.clone()).start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("deadline");

    let late = alice.submit(&body).await;
    brake.stop_at(Stop::Nowhere);

    assert_eq!(late.status, 504);
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("deadline"), 1);
    assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::NotSent));
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_leaves_the_key_to_be_sent_afresh() {
    let (relay, brake, alice) = braked(Stop::NoConnection).await;
    let body = submit_body("no-connection");

    let failed = alice.submit(&body).await;
    brake.stop_at(Stop::Nowhere);

    assert_eq!(failed.status, 502);
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("no-connection"), 1);
    assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::NotSent));
}

#[tokio::test]
async fn a_panic_before_the_first_byte_leaves_the_key_and_the_slot_to_be_used_afresh() {
    let (relay, brake, alice) = braked(Stop::PanicBeforeSending).await;
    let body = submit_body("panic-early");

    let failed = alice.submit(&body).await;
    brake.stop_at(Stop::Nowhere);

    assert_eq!(failed.status, 500);
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("panic-early"), 1);
    assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::NotSent));
}

// Bytes are out and no whole reply is in.

#[tokio::test]
async fn killed_with_bytes_out_it_is_unknown_and_never_sent_again() {
    let (relay, alice) = spoiled(Fault::Hang).await;
    let body = submit_body("bytes-out");
    let _in_flight = alice.try_submitting(&body);
    eventually("it is with the upstream", async || relay.seen("bytes-out") == 1).await;

    let (relay, alice) = restart(relay.lose_power().await, &alice).await;

    assert_unknown(&alice.submit(&body).await, &relay, &body);
    assert_eq!(relay.seen("bytes-out"), 1);
}

#[tokio::test]
async fn a_reset_with_bytes_out_is_unknown_at_once_and_never_sent_again() {
    for (fault, marker) in [
        (Fault::Reset, "reset"),
        (Fault::ResetMidBody, "reset-mid-body"),
        (Fault::Truncate, "truncated"),
    ] {
        let (relay, alice) = spoiled(fault).await;
        let body = submit_body(marker);

        let failed = alice.submit(&body).await;

        assert_eq!(
            (failed.status.as_u16(), failed.code().as_str()),
            (502, "UPSTREAM_FAILED")
        );
        assert_eq!(failed.header("x-should-retry"), Some("false"));
        let intent = assert_unknown(&alice.submit(&body).await, &relay, &body);
        assert_eq!(failed.audit_id(), intent);
        assert_eq!(relay.seen(marker), 1);
    }
}

#[tokio::test]
async fn a_timeout_with_bytes_out_is_unknown_and_never_sent_again() {
    let relay = Relay::build().with("VOLC_TIMEOUT", "1s").start().await;
    relay.upstream.faults().push(Rule::any(Fault::Hang)).unwrap();
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("timeout");

    assert_eq!(alice.submit(&body).await.status, 504);

    assert_unknown(&alice.submit(&body).await, &relay, &body);
    assert_eq!(relay.seen("timeout"), 1);
}

#[tokio::test]
async fn a_panic_with_bytes_out_is_unknown_and_never_sent_again() {
    let (relay, _script, alice) = braked(Stop::PanicAfterReply).await;
    let body = submit_body("panic-late");

    assert_eq!(alice.submit(&body).await.status, 500);

    assert_unknown(&alice.submit(&body).await, &relay, &body);
    assert_eq!(relay.seen("panic-late"), 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_with_bytes_out_gets_the_reply_as_a_replay() {
    let relay = Relay::start().await;
    let slow = Rule::any(Fault::None).after(Duration::from_millis(200));
    relay.upstream.faults().push(slow).unwrap();
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("hung-up-late");
    let in_flight = alice.try_submitting(&body);
    eventually("it is with the upstream", async || relay.seen("hung-up-late") == 1).await;

    in_flight.abort();

    assert_replay(&alice.submit(&body).await);
    assert_eq!(relay.seen("hung-up-late"), 1);
}

// The whole reply is in.

#[tokio::test]
async fn killed_with_the_reply_in_it_is_unknown_and_naming_its_task_makes_it_a_replay() {
    let (relay, brake, alice) = braked(Stop::AfterReply).await;
    let body = submit_body("reply-in");
    let _in_flight = alice.try_submitting(&body);
    brake.until_stopped(1).await;

    let left = relay.lose_power().await;
    brake.stop_at(Stop::Nowhere);
    let (relay, alice) = restart(left, &alice).await;

    let intent = assert_unknown(&alice.submit(&body).await, &relay, &body);
    resolve(&relay, intent, r#"{"task_id":"7392616336519610409"}"#).await;
    let repeat = alice.submit(&body).await;
    assert_replay(&repeat);
    assert_eq!(repeat.task_id(), "7392616336519610409");
    assert_eq!(relay.seen("reply-in"), 1);
}

#[tokio::test]
async fn a_reply_whose_settlement_is_not_committed_is_still_given_and_marked() {
    for (left, marker) in [
        (Disk::image as fn(&Disk) -> Vec<u8>, "unsettled-lost"),
        (Disk::page_cache, "unsettled-kept"),
    ] {
        let (relay, alice) = spoiled(Fault::None).await;
        relay.upstream.faults().clear();
        let slow = Rule::any(Fault::None).after(Duration::from_millis(100));
        relay.upstream.faults().push(slow).unwrap();
        let body = submit_body(marker);
        let in_flight = alice.try_submitting(&body);
        eventually("it is with the upstream", async || relay.seen(marker) == 1).await;
        relay.disk.fail_sync(1, io::ErrorKind::Other);

        let reply = in_flight.await.unwrap().unwrap();

        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("tollgate-record"), Some("failed"));
        relay.services().store.failed().cancelled().await;
        let disk = Disk::holding(left(&relay.disk));
        let (relay, alice) = restart(relay.kill().await.disk(disk), &alice).await;
        let settled = relay.book().calls(&body)[0].1;
        let repeat = alice.submit(&body).await;
        match settled {
            // The batch had reached the disk.
            Some(Outcome::Succeeded) => {
                assert_replay(&repeat);
                assert_eq!(repeat.body, reply.body);
            }
            _ => {
                assert_unknown(&repeat, &relay, &body);
            }
        }
        assert_eq!(relay.seen(marker), 1);
    }
}

#[tokio::test]
async fn power_lost_after_the_settlement_makes_the_repeat_a_replay_and_the_task_stays_its_owners() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let bob = relay.client("bob").await;
    let body = submit_body("settled");
    let first = alice.submit(&body).await;

    let (relay, alice) = restart(relay.lose_power().await, &alice).await;

    let repeat = alice.submit(&body).await;
    assert_replay(&repeat);
    assert_eq!(repeat.body, first.body);
    assert_eq!(relay.seen("settled"), 1);
    let query = query_body(&first.task_id());
    assert_eq!(alice.query(&query).await.status, 200);
    assert_eq!(bob.at(&relay.url).query(&query).await.status, 404);
}

#[tokio::test]
async fn what_the_upstream_refused_outright_is_sent_afresh() {
    let unauthorized = Answer {
        status: StatusCode::UNAUTHORIZED,
        ..Answer::default()
    };
    for (fault, times, marker) in [
        (Fault::concurrency_limit(), 3, "refused-limit"),
        (Fault::Answer(unauthorized), 1, "refused-account"),
    ] {
        let relay = Relay::start().await;
        let rule = Rule::any(fault).times(NonZeroU32::new(times).unwrap());
        relay.upstream.faults().push(rule).unwrap();
        let alice = relay.client("alice").await.idempotent("order-1");
        let body = submit_body(marker);

        let refused = alice.submit(&body).await;

        assert!(refused.status.is_client_error(), "{refused:?}");
        let (relay, alice) = restart(relay.lose_power().await, &alice).await;
        assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::Refused));
        assert_fresh(&alice.submit(&body).await);
        assert_eq!(relay.seen(marker), u64::from(times) + 1);
    }
}

#[tokio::test]
async fn what_the_upstream_rejected_for_what_it_says_is_replayed() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = r#"{"req_key":"jimeng_t2i_v40","prompt":"fail-50411","marker":"rejected"}"#;
    let first = alice.submit(body).await;

    let (relay, alice) = restart(relay.lose_power().await, &alice).await;
    let repeat = alice.submit(body).await;

    assert_eq!((repeat.status, &repeat.body), (first.status, &first.body));
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    assert_eq!(relay.seen("rejected"), 1);
}

// Killed during the start itself.

#[tokio::test]
async fn killed_at_any_sync_of_the_recovery_the_next_start_ends_where_one_alone_would() {
    let relay = Relay::build().with("UPSTREAM_MAX_CONCURRENT", "4").start().await;
    let always = Rule::any(Fault::Hang).always();
    relay.upstream.faults().push(always).unwrap();
    let mut clients = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let client = relay.client(name).await.idempotent("order-1");
        drop(client.try_submitting(&submit_body(name)));
        eventually("it is with the upstream", async || relay.seen(name) == 1).await;
        clients.push((name, client));
    }
    let left = relay.lose_power().await;
    let images = left.disk.keep_images();
    let mut left = left.start().await.lose_power().await;

    for image in images.taken() {
        let relay = left.disk(Disk::holding(image)).start().await;
        for (name, client) in &clients {
            let body = submit_body(name);
            let intent = assert_unknown(&client.at(&relay.url).submit(&body).await, &relay, &body);
            assert_eq!(relay.book().settlements(intent), 1);
            assert_eq!(relay.seen(name), 1);
        }
        left = relay.kill().await;
    }
}

#[tokio::test]
async fn killed_at_any_sync_of_the_retention_the_book_is_whole_and_the_key_still_replays() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("retention");
    alice.submit(&body).await;
    let left = relay.lose_power().await.with("AUDIT_RETENTION", "1ms");
    let images = left.disk.keep_images();
    let relay = left.start().await;
    eventually("the book is pruned", async || relay.book().calls(&body).is_empty()).await;
    let mut left = relay.lose_power().await;

    for image in images.taken() {
        let relay = left.disk(Disk::holding(image)).start().await;
        let _whole = relay.book();
        assert_replay(&alice.at(&relay.url).submit(&body).await);
        left = relay.kill().await;
    }
}
