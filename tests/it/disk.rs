//! Disks that lose power, fail, or fill up, and clocks that jump: what was promised before holds after.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate::model::outcome::Outcome;
use tollgate::sandbox::{Fault, Rule};

use crate::support::{Client, Crash, Disk, Relay, eventually, query_body, submit_body};

/// What one client does, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    KeyedSubmit,
    Submit,
    KeyedCall,
    Query,
    KeyChange,
}

impl Work {
    const MIX: [Self; 5] = [
        Self::KeyedSubmit,
        Self::Submit,
        Self::KeyedCall,
        Self::Query,
        Self::KeyChange,
    ];

    /// Whether it has an idempotency key, so that its client repeats it after a crash.
    fn is_keyed(self) -> bool {
        matches!(self, Self::KeyedSubmit | Self::KeyedCall)
    }

    async fn repeat(self, client: &Client, marker: &str) -> u16 {
        let keyed = client.idempotent(marker);
        let reply = match self {
            Self::KeyedCall => keyed.process(&submit_body(marker)).await,
            _ => keyed.submit(&submit_body(marker)).await,
        };
        reply.status.as_u16()
    }
}

/// What the world had seen when the power went, and what the disk then held.
struct Moment {
    images: [Vec<u8>; 2],
    sent: BTreeSet<String>,
    answered: BTreeSet<String>,
}

/// A load of everything at once, and the moment of each of its syncs.
async fn mixed_load(relay: &Relay, clients: &[Client], rounds: usize) -> Vec<Moment> {
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    let moments = Arc::new(Mutex::new(Vec::new()));
    let (upstream, known, kept) = (relay.upstream.clone(), answered.clone(), moments.clone());
    relay.disk.before_every_sync(move |Crash { lost, torn }| {
        kept.lock().unwrap().push(Moment {
            images: [lost, torn],
            sent: upstream.seen().markers.into_keys().collect(),
            answered: known.lock().unwrap().clone(),
        });
    });
    let admin = relay.admin().await;
    let working = clients.iter().zip(Work::MIX).map(async |(client, work)| {
        for round in 0..rounds {
            let marker = marker(work, round);
            match work {
                Work::KeyedSubmit | Work::KeyedCall => {
                    if work.repeat(client, &marker).await == 200 {
                        answered.lock().unwrap().insert(marker);
                    }
                }
                Work::Submit => {
                    if client.submit(&submit_body(&marker)).await.status == 200 {
                        answered.lock().unwrap().insert(marker);
                    }
                }
                Work::Query => drop(client.query(&query_body("7392616336519610409")).await),
                Work::KeyChange => drop(admin.post("/admin/keys", r#"{"description":"one more"}"#).await),
            }
        }
    });
    futures_util::future::join_all(working).await;
    std::mem::take(&mut *moments.lock().unwrap())
}

fn marker(work: Work, round: usize) -> String {
    format!("{work:?}-{round}").to_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_lost_at_any_sync_of_a_mixed_load_breaks_no_promise() {
    const ROUNDS: usize = 6;
    let settings = Relay::build().with("UPSTREAM_MAX_CONCURRENT", "4");
    let relay = settings.start().await;
    let mut clients = Vec::new();
    for work in Work::MIX {
        clients.push(relay.client(&format!("{work:?}")).await);
    }
    // Some get no answer, and some a refusal: those must come out right too.
    let faults = relay.upstream.faults();
    faults.push(Rule::on("CVProcess", Fault::ResetMidBody)).unwrap();
    let submit = "CVSync2AsyncSubmitTask";
    faults.push(Rule::on(submit, Fault::concurrency_limit())).unwrap();
    faults.push(Rule::on(submit, Fault::Reset)).unwrap();

    let moments = mixed_load(&relay, &clients, ROUNDS).await;
    let mut left = relay.kill().await;

    assert!(moments.len() > ROUNDS, "only {} syncs", moments.len());
    for moment in moments {
        for image in moment.images.clone() {
            let relay = left.disk(Disk::holding(image)).start().await;
            let book = relay.book();
            for marker in &moment.sent {
                assert!(
                    !book.calls(&submit_body(marker)).is_empty(),
                    "{marker} was sent without an intent"
                );
            }
            for marker in &moment.answered {
                let calls = book.calls(&submit_body(marker));
                let settled = calls.iter().any(|(_, outcome)| *outcome == Some(Outcome::Succeeded));
                assert!(settled, "{marker} was answered without a settlement: {calls:?}");
            }
            for (client, work) in clients.iter().zip(Work::MIX).filter(|(_, work)| work.is_keyed()) {
                let client = client.at(&relay.url);
                for round in 0..ROUNDS {
                    let marker = marker(work, round);
                    let known = !book.calls(&submit_body(&marker)).is_empty();
                    let before = relay.seen(&marker);
                    let status = work.repeat(&client, &marker).await;
                    let resent = relay.seen(&marker) - before;
                    // What the upstream refused outright is sent afresh by right: nothing was paid.
                    let refused = book
                        .calls(&submit_body(&marker))
                        .iter()
                        .all(|(_, outcome)| outcome.is_some_and(Outcome::frees_the_key));
                    let allowed = u64::from(!known || refused);
                    assert_eq!(resent, allowed, "{marker} got {status}");
                }
            }
            left = relay.kill().await;
        }
    }
}

/// Submits on a disk that begins to fail, and checks that whatever comes of it is one of the ways it may end.
async fn submit_while_it_fails(fail: impl Fn(&Disk), kind: io::ErrorKind, marker: &str) -> u16 {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let bob = relay.client("bob").await;
    let body = submit_body(marker);
    fail(&relay.disk);

    let reply = alice.submit(&body).await;

    let (status, recorded) = (reply.status.as_u16(), reply.header("tollgate-record"));
    let failed = relay.services().store.failed();
    if status == 503 || recorded == Some("failed") {
        failed.cancelled().await;
    }
    match status {
        503 => {
            let expected = match kind {
                io::ErrorKind::StorageFull => ["STORE_FULL", "DRAINING"],
                _ => ["AUDIT_UNAVAILABLE", "DRAINING"],
            };
            assert!(expected.contains(&reply.code().as_str()), "{marker}: {reply:?}");
            assert_eq!(relay.seen(marker), 0, "{marker}");
        }
        200 => assert_eq!(relay.seen(marker), 1, "{marker}"),
        _ => panic!("{marker}: {reply:?}"),
    }
    if failed.is_cancelled() {
        let refused = bob.submit(&submit_body("after")).await;
        assert_eq!(refused.status, 503, "{marker}: {refused:?}");
        assert_eq!(relay.seen("after"), 0, "{marker}");
    }
    let images = [relay.disk.image(), relay.disk.page_cache()];
    let mut left = relay.kill().await;
    for image in images {
        let relay = left.disk(Disk::holding(image)).start().await;
        let calls = relay.book().calls(&body);
        let before = relay.seen(marker);
        alice.at(&relay.url).submit(&body).await;
        let resent = relay.seen(marker) - before;
        assert_eq!(resent, u64::from(calls.is_empty()), "{marker}: {calls:?}");
        assert!(
            status == 503 || !calls.is_empty(),
            "{marker} was sent without an intent"
        );
        left = relay.kill().await;
    }
    status
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_nth_change_ends_admission_and_leaves_a_whole_file() {
    let mut outcomes = BTreeSet::new();
    for nth in (1..40).step_by(3) {
        let marker = format!("full-{nth}");
        let fail = |disk: &Disk| disk.fail_change(nth, io::ErrorKind::StorageFull);
        outcomes.insert(submit_while_it_fails(fail, io::ErrorKind::StorageFull, &marker).await);
    }
    assert_eq!(
        outcomes,
        BTreeSet::from([200, 503]),
        "the failure never moved past the intent"
    );
}

#[tokio::test]
async fn a_sync_that_fails_ends_admission_and_leaves_a_whole_file() {
    let mut outcomes = BTreeSet::new();
    for nth in 1..=4 {
        let marker = format!("sync-{nth}");
        let fail = |disk: &Disk| disk.fail_sync(nth, io::ErrorKind::Other);
        outcomes.insert(submit_while_it_fails(fail, io::ErrorKind::Other, &marker).await);
    }
    assert_eq!(
        outcomes,
        BTreeSet::from([200, 503]),
        "the failure never moved past the intent"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_hang_up_at_any_moment_leave_no_intent_open() {
    const CALLERS: u64 = 60;
    let settings = Relay::build().with("UPSTREAM_MAX_CONCURRENT", "64");
    let relay = settings.with("PER_KEY_MAX_CONCURRENT", "64").start().await;
    let alice = relay.client("alice").await;
    for caller in 0..CALLERS {
        let in_flight = alice.try_submitting(&submit_body(&format!("caller-{caller}")));
        // No signal, but moments spread over the whole of a call: whatever they cut must come out right.
        tokio::time::sleep(Duration::from_micros(caller * 97 % 4000)).await;
        in_flight.abort();
    }

    // A call may come in after its caller has gone, so the last word is not spoken before all of it fits together.
    eventually(
        "every call that was sent has one settled intent, and no other was sent",
        async || {
            let seen: Vec<u64> = (0..CALLERS)
                .map(|caller| relay.seen(&format!("caller-{caller}")))
                .collect();
            let book = relay.book();
            let settled = book.intents().all(|(intent, _)| book.settlements(intent) == 1);
            settled
                && (0..CALLERS).zip(seen).all(|(caller, seen)| {
                    let outcomes = book.calls(&submit_body(&format!("caller-{caller}")));
                    match seen {
                        0 => outcomes.iter().all(|(_, outcome)| *outcome == Some(Outcome::NotSent)),
                        seen => (seen, outcomes.len()) == (1, 1),
                    }
                })
        },
    )
    .await;
}

#[tokio::test]
async fn a_clock_that_jumps_a_day_either_way_makes_no_replay_expire() {
    let a_day_and_an_hour = Duration::from_hours(25);
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let before = alice.idempotent("before");
    assert_eq!(before.submit(&submit_body("before")).await.status, 200);

    let jumps: [fn(&Relay, Duration); 3] = [
        |relay, length| relay.clock.forward(length),
        |relay, length| relay.clock.back(length * 2),
        |relay, length| relay.clock.forward(length),
    ];
    for (number, jump) in jumps.into_iter().enumerate() {
        jump(&relay, a_day_and_an_hour);
        let marker = format!("after-{number}");
        let after = alice.idempotent(&marker);
        assert_eq!(after.submit(&submit_body(&marker)).await.status, 200);
        for (client, marker) in [(&before, "before"), (&after, marker.as_str())] {
            let repeat = client.submit(&submit_body(marker)).await;
            assert_eq!(
                repeat.header("idempotency-replayed"),
                Some("true"),
                "{marker}: {repeat:?}"
            );
            assert_eq!(relay.seen(marker), 1);
        }
    }
    for number in 0..3 {
        let marker = format!("after-{number}");
        let repeat = alice.idempotent(&marker).submit(&submit_body(&marker)).await;
        assert_eq!(
            repeat.header("idempotency-replayed"),
            Some("true"),
            "{marker}: {repeat:?}"
        );
    }
}

#[tokio::test]
async fn a_restart_while_the_clock_is_a_day_behind_makes_no_replay_expire() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("behind-clock");
    assert_eq!(alice.submit(&body).await.status, 200);

    relay.clock.back(Duration::from_hours(25));
    let relay = relay.kill().await.start().await;

    let repeat = alice.at(&relay.url).submit(&body).await;
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    assert_eq!(relay.seen("behind-clock"), 1);
}
