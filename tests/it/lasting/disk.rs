//! Power lost before any sync of a run of jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tollgate::model::id::JobId;
use tollgate::model::job::{Item, ItemState, Job, JobState};
use tollgate::sandbox::{Fault, Marked, Rule};

use super::{CALL, STEP, SUBMIT, check_counts, client, entry, everything, id_of, one, only_item, until_ended};
use crate::support::{Builder, Client, Crash, Disk, Relay, Say, Script, open_disk, replying};

/// What the clients and the upstream knew when the power went, and what the disk then held.
struct Moment {
    image: Vec<u8>,
    /// How often each marker had reached the upstream.
    sent: BTreeMap<String, u64>,
    acknowledged: Acknowledged,
    /// Jobs whose end their receiver had been told.
    told: BTreeSet<String>,
}

/// What clients were promised.
#[derive(Clone, Default)]
struct Acknowledged {
    /// The id of each submission.
    accepted: BTreeMap<&'static str, String>,
    cancelled: BTreeSet<&'static str>,
}

/// The load: names of submissions, each a job.
struct Load {
    alice: Client,
    webhook: String,
}

impl Load {
    const NAMES: [&str; 6] = ["mixed", "tasks", "refused", "broken", "late", "wrong"];

    fn job(&self, name: &str) -> Value {
        let at = |number: usize| format!("marker-{name}-{number}");
        let mut job = match name {
            "mixed" => json!({"items": [
                entry("chat.completions", &at(0)), entry(CALL, &at(1)), entry(SUBMIT, &at(2)),
                entry("chat.completions", &at(3)),
            ]}),
            "tasks" => json!({"queue": "media", "items": [entry(SUBMIT, &at(0)), entry(SUBMIT, &at(1))]}),
            // The upstream refuses the first embedding.
            "refused" => one("embeddings", &at(0)),
            // The first answer to a completion breaks off.
            "broken" => one("completions", &at(0)),
            "late" => one(SUBMIT, &at(0)),
            _ => one(CALL, &at(0)),
        };
        match name {
            "broken" => {
                job["items"][0]["body"] = json!({"model": "m", "prompt": at(0)});
            }
            "late" => job["delay"] = json!(3600),
            "wrong" => job["items"][0]["body"]["prompt"] = json!("forbidden"),
            _ => {}
        }
        job["webhook"] = json!({ "url": self.webhook });
        job
    }

    /// Submits a job under an idempotency key of its own.
    async fn submit(&self, name: &'static str) -> String {
        let reply = self
            .alice
            .idempotent(name)
            .post("/v1/jobs", &self.job(name).to_string())
            .await;
        assert_eq!(reply.status, 202, "{name}: {reply:?}");
        id_of(&reply)
    }

    /// The same at another process.
    fn at(&self, relay: &Relay) -> Self {
        Self {
            alice: self.alice.at(&relay.url),
            webhook: self.webhook.clone(),
        }
    }

    /// All of it at once; what was promised is noted as soon as it was.
    async fn run(&self, relay: &Relay, known: &Mutex<Acknowledged>) {
        for name in Self::NAMES {
            let id = self.submit(name).await;
            known.lock().unwrap().accepted.insert(name, id.clone());
            if name == "late" {
                let cancelled = self.alice.post(&format!("/v1/jobs/{id}/cancel"), "").await;
                assert_eq!(cancelled.status, 200, "{cancelled:?}");
                known.lock().unwrap().cancelled.insert(name);
            }
        }
        until_ended(relay).await;
        let wrong = known.lock().unwrap().accepted["wrong"].clone();
        let retried = self.alice.post(&format!("/v1/jobs/{wrong}/retry"), "").await;
        assert_eq!(retried.status, 200, "{retried:?}");
        until_ended(relay).await;
    }
}

/// Jobs whose end a receiver heard of.
fn told(receiver: &Script) -> BTreeSet<String> {
    told_since(receiver, 0)
}

fn told_since(receiver: &Script, first: usize) -> BTreeSet<String> {
    let id = |body: &[u8]| {
        serde_json::from_slice::<Value>(body).unwrap()["data"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    receiver
        .heard()
        .iter()
        .skip(first)
        .map(|heard| id(&heard.body))
        .collect()
}

/// Lets time pass until the receiver was told of all of these, before the power went or since.
async fn until_told(relay: &Relay, receiver: &Script, first: usize, before: &BTreeSet<String>) {
    let ended: BTreeSet<_> = everything(&relay.services().store)
        .keys()
        .map(ToString::to_string)
        .collect();
    for _ in 0..200 {
        let told = told_since(receiver, first);
        if ended.iter().all(|job| told.contains(job) || before.contains(job)) {
            return;
        }
        relay.later(STEP).await;
    }
    panic!("some ends are never told: {ended:?}");
}

#[tokio::test]
async fn power_lost_at_any_sync_loses_no_accepted_job_and_pays_nothing_twice() {
    let receiver = Arc::new(Script::start([Say::Bytes(replying("200 OK", &[], "ok"))]).await);
    let relay = Relay::build()
        .with_openai_upstreams()
        .with("OPENAI_MODEL", "m")
        .with("UPSTREAM_MAX_CONCURRENT", "4")
        .with("JOB_QUEUES", "default:4,media:2")
        .with("INTERNAL_CALLBACK_SECRET", "a-callback-secret-of-32-characters")
        .with("WEBHOOK_ALLOW", "127.0.0.1")
        .task_duration(Duration::ZERO)
        .start()
        .await;
    let faults = relay.upstream.faults();
    faults
        .push(Rule::on("/v1/embeddings", Fault::concurrency_limit()))
        .unwrap();
    faults.push(Rule::on("/v1/completions", Fault::ResetMidBody)).unwrap();
    let load = Load {
        alice: client(&relay, "alice").await,
        webhook: format!("http://{}/told", receiver.address),
    };

    let moments = moments_of(&relay, &load, &receiver).await;
    assert_eq!(relay.upstream.faults().pending(), 0, "a fault struck nobody");
    let mut left = relay.kill().await;

    assert!(moments.len() > 60, "only {} images", moments.len());
    // An odd step, so that both kinds of images are among them.
    let every = moments.len().div_ceil(MOST_RESTARTS) | 1;
    for moment in moments.into_iter().step_by(every) {
        let heard_before = receiver.heard().len();
        let relay = left.disk(Disk::holding(moment.image.clone())).start().await;
        let load = load.at(&relay);
        let before = relay.upstream.seen().markers;
        // Clients repeat what they were not told about, and what they were: each is one job.
        for name in Load::NAMES {
            let id = load.submit(name).await;
            if let Some(accepted) = moment.acknowledged.accepted.get(name) {
                assert_eq!(&id, accepted, "{name} is another job now");
            }
            if name == "late" {
                load.alice.post(&format!("/v1/jobs/{id}/cancel"), "").await;
            }
        }
        until_ended(&relay).await;
        check(&relay, &moment, &before);
        assert_eq!(everything(&relay.services().store).len(), Load::NAMES.len());
        until_told(&relay, &receiver, heard_before, &moment.told).await;
        left = relay.kill().await;
    }
}

/// Runs the load, and takes what power loss would leave at each sync: nothing of what was not synced, and some.
async fn moments_of(relay: &Relay, load: &Load, receiver: &Arc<Script>) -> Vec<Moment> {
    let known = Arc::new(Mutex::new(Acknowledged::default()));
    let moments = Arc::new(Mutex::new(Vec::new()));
    let (upstream, acknowledged, kept) = (relay.upstream.clone(), known.clone(), moments.clone());
    let receiver = Arc::clone(receiver);
    relay.disk.before_every_sync(move |Crash { lost, torn }| {
        let seen = upstream.seen().markers;
        let sent: BTreeMap<_, _> = seen.into_iter().map(|(marker, seen)| (marker, seen.count)).collect();
        let moment = |image| Moment {
            image,
            sent: sent.clone(),
            acknowledged: acknowledged.lock().unwrap().clone(),
            told: told(&receiver),
        };
        kept.lock().unwrap().extend([lost, torn].map(moment));
    });
    load.run(relay, &known).await;
    std::mem::take(&mut *moments.lock().unwrap())
}

/// What must hold of every job once all have ended after a restart.
fn check(relay: &Relay, moment: &Moment, before: &BTreeMap<String, Marked>) {
    check_counts(&relay.services().store);
    let _verified = relay.book();
    let everything = everything(&relay.services().store);
    for (name, id) in &moment.acknowledged.accepted {
        assert!(
            everything.contains_key(&id.parse::<JobId>().unwrap()),
            "{name} was accepted and is lost"
        );
    }
    let sent = |marker: &str| {
        let before = before.get(marker).map_or(0, |marked| marked.count);
        let at_the_moment = moment.sent.get(marker).copied().unwrap_or(0);
        (at_the_moment, at_the_moment + relay.seen(marker) - before)
    };
    for name in Load::NAMES {
        let (job, items) = everything
            .values()
            .find(|(job, items)| name_of(job, items) == name)
            .unwrap_or_else(|| panic!("{name} is not there"));
        for (number, item) in items.iter().enumerate() {
            let (earlier, in_all) = sent(&format!("marker-{name}-{number}"));
            let about = format!("{name}-{number}: sent {earlier} times before and {in_all} in all, {item:?}");
            // What is refused, or retried because its client asks for it, is sent again by right.
            let most = if ["refused", "wrong"].contains(&name) { 2 } else { 1 };
            assert!(in_all <= most, "{about}");
            match (name, item.state) {
                ("late", ItemState::Cancelled) => assert_eq!(in_all, 0, "{about}"),
                ("wrong", ItemState::Failed) | (_, ItemState::Succeeded) => assert!(in_all > 0, "{about}"),
                // Whether it was sent nobody here could know: its intent was written down and no more.
                (_, ItemState::Unknown) => assert!(item.intent.is_some() && in_all <= most, "{about}"),
                _ => panic!("{about}"),
            }
        }
        if moment.acknowledged.cancelled.contains(name) {
            assert_eq!(job.state, JobState::Cancelled, "{name}");
        }
    }
}

/// The name under which a job was submitted: its items tell by what they ask.
fn name_of(job: &Job, items: &[Item]) -> &'static str {
    match items {
        [_, _, _, _] => "mixed",
        [_, _] => "tasks",
        [item] => match item.operation.label() {
            _ if job.not_before.is_some() => "late",
            "embeddings" => "refused",
            "completions" => "broken",
            _ => "wrong",
        },
        _ => panic!("{items:?}"),
    }
}

/// How often an item was sent before and after a restart, and how it was and came to be.
type Life = (u64, u64, Option<ItemState>, ItemState);

/// Starts anew on each image of a job's life.
async fn life_of(operation: &str) -> Vec<Life> {
    let relay = Relay::build().task_duration(Duration::ZERO).start().await;
    let alice = client(&relay, "alice").await.idempotent("life");
    let moments = Arc::new(Mutex::new(Vec::new()));
    let (kept, upstream) = (moments.clone(), relay.upstream.clone());
    relay.disk.before_every_sync(move |crash| {
        let sent = upstream.seen().marker("marker-life");
        kept.lock().unwrap().push((crash.lost, sent));
    });
    let job = one(operation, "marker-life").to_string();
    assert_eq!(alice.post("/v1/jobs", &job).await.status, 202);
    until_ended(&relay).await;
    let mut left: Builder = relay.kill().await;
    let mut lives = Vec::new();
    let images = std::mem::take(&mut *moments.lock().unwrap());
    for (image, sent) in images {
        let was = state_in(&image);
        let relay = left.disk(Disk::holding(image)).start().await;
        let before = relay.seen("marker-life");
        assert_eq!(alice.at(&relay.url).post("/v1/jobs", &job).await.status, 202);
        until_ended(&relay).await;
        let item = only_item(&relay);
        lives.push((sent, relay.seen("marker-life") - before, was, item.state));
        left = relay.kill().await;
    }
    lives
}

/// How the only item stands in an image, before any process has looked at it.
fn state_in(image: &[u8]) -> Option<ItemState> {
    let store = open_disk(&Disk::holding(image.to_vec()));
    let found = everything(&store).into_values().flat_map(|(_, items)| items).next();
    store.close();
    found.map(|item| item.state)
}

#[tokio::test]
async fn a_call_is_sent_afresh_unknown_or_replayed_by_what_the_record_tells_of_it() {
    let lives = life_of(CALL).await;
    for life in &lives {
        assert!(life.0 + life.1 <= 1, "{life:?}");
    }
    let some = |wanted: fn(&Life) -> bool| lives.iter().any(wanted);
    assert!(
        some(|life| matches!(life, (0, 1, Some(ItemState::Running), ItemState::Succeeded))),
        "{lives:?}"
    );
    assert!(
        some(|life| matches!(life, (1, 0, Some(ItemState::Running), ItemState::Unknown))),
        "{lives:?}"
    );
    assert!(
        some(|life| matches!(life, (1, 0, Some(ItemState::Running), ItemState::Succeeded))),
        "{lives:?}"
    );
}

#[tokio::test]
async fn a_submit_whose_reply_is_in_the_record_goes_on_by_polling() {
    let lives = life_of(SUBMIT).await;
    for life in &lives {
        assert!(life.0 + life.1 <= 1, "{life:?}");
    }
    let some = |wanted: fn(&Life) -> bool| lives.iter().any(wanted);
    assert!(
        some(|life| matches!(life, (0, 1, Some(ItemState::Running), ItemState::Succeeded))),
        "{lives:?}"
    );
    assert!(
        some(|life| matches!(life, (1, 0, Some(ItemState::Running), ItemState::Unknown))),
        "{lives:?}"
    );
    assert!(
        some(|life| matches!(life, (1, 0, Some(ItemState::Running), ItemState::Succeeded))),
        "{lives:?}"
    );
    assert!(
        some(|life| matches!(life, (1, 0, Some(ItemState::Polling), ItemState::Succeeded))),
        "{lives:?}"
    );
}

/// Images that a process is started on, of all that were taken.
const MOST_RESTARTS: usize = 24;
