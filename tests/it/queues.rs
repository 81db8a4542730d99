//! What the operator sees and changes of jobs: queues, lists, dead letters. The jobs are put into the store as they stand.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tollgate::model::clock::{Clock, Timestamp};
use tollgate::model::id::{JobId, OwnerId};
use tollgate::model::job::item::ItemError;
use tollgate::model::job::{
    Hold, Item, ItemState, Job, JobKind, JobState, Priority, QueueName, RetryPolicy, Tally, TimeLimits,
};
use tollgate::model::operation::Operation;
use tollgate::model::record::Event;
use tollgate::store::error::StoreError;
use tollgate::store::jobs::NewItem;
use tollgate::store::{Change, Tables};

use crate::support::{Client, Relay, Reply};

/// A relay with two queues of its own, of which nothing is taken.
async fn relay() -> Relay {
    let relay = Relay::build().with("JOB_QUEUES", "books:2,reports:3").start().await;
    for queue in ["books", "reports"] {
        let reply = relay.operator().post(&format!("/admin/queues/{queue}/pause"), "").await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()["mode"].as_str()),
            (200, Some("paused"))
        );
    }
    relay
}

/// A job, and how its items stand.
struct Planted {
    id: JobId,
    job: Job,
    items: Vec<ItemState>,
}

impl Planted {
    fn new(relay: &Relay, queue: &str, owner: u64, items: &[ItemState]) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let now = relay.clock.wall();
        Self {
            id: JobId::from_bits(u128::from(NUMBER.fetch_add(1, Ordering::Relaxed))),
            job: Job {
                owner: OwnerId::from_bits(owner),
                key: None,
                kind: JobKind::Batch,
                queue: queue.parse::<QueueName>().unwrap(),
                priority: Priority::default(),
                state: JobState::Queued,
                hold: Hold::Free,
                cancelled_at: None,
                tally: Tally::queued(u32::try_from(items.len()).unwrap()),
                created_at: now,
                not_before: None,
                deadline: None,
                started_at: None,
                finished_at: None,
                retry: RetryPolicy::default(),
                limits: TimeLimits::default(),
                private: Vec::new(),
                idempotency: None,
                last_event: 0,
                last_log: 0,
            },
            items: items.to_vec(),
        }
    }

    fn plant(&self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let now = self.job.created_at;
        let new = |_: &ItemState| NewItem {
            item: Item::new(Operation::Process, Some("a-model".to_owned()), now, None),
            body: Vec::new(),
        };
        let items: Vec<_> = self.items.iter().map(new).collect();
        let mut edit = tables.insert_job(self.id, self.job.clone(), &items)?;
        for (index, state) in (0..).zip(&self.items) {
            tables.edit_item(&mut edit, index, |item| bring(item, *state, now))?;
        }
        tables.close_job(edit).map(drop)
    }
}

fn bring(item: &mut Item, state: ItemState, now: Timestamp) {
    match state {
        ItemState::Queued => {}
        ItemState::Running | ItemState::Polling => item.state = state,
        _ => {
            item.attempts = 3;
            item.error = (state == ItemState::Dead).then(|| ItemError {
                code: "UPSTREAM_FAILED".to_owned(),
                message: "the upstream refused it".to_owned(),
            });
            item.finish(state, now);
        }
    }
}

impl Change for Planted {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        self.plant(tables)
    }
}

/// Many jobs in one commit.
struct Forest(Vec<Planted>);

impl Change for Forest {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|planted| planted.plant(tables))
    }
}

async fn plant(relay: &Relay, queue: &str, owner: u64, items: &[ItemState]) -> String {
    let planted = Planted::new(relay, queue, owner, items);
    let id = planted.id.to_string();
    relay.services().store.change(planted).await.unwrap();
    id
}

/// What the log book says was administered of jobs and queues.
fn administered(relay: &Relay) -> Vec<String> {
    let action = |(_, entry): (u64, tollgate::model::record::Entry)| match entry.event {
        Event::Admin(action) if ["job.", "queue."].iter().any(|kind| action.action.starts_with(kind)) => {
            assert_eq!(action.actor, "admin_token");
            assert!(action.request.is_some());
            Some(format!("{} {}", action.action, action.target))
        }
        _ => None,
    };
    relay.log_book().into_iter().filter_map(action).collect()
}

/// The ids of a list.
fn ids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{reply:?}");
    let items = reply.json()["items"].as_array().unwrap().clone();
    items.iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

/// Every page of a list, one after another.
async fn walked(client: &Client, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    for _ in 0..100 {
        let page = client.get(&format!("{path}{cursor}")).await;
        found.extend(ids(&page));
        let Some(next) = page.json()["next_cursor"].as_str().map(str::to_owned) else {
            return found;
        };
        cursor = format!("&cursor={next}");
    }
    panic!("{path} does not end");
}

#[tokio::test]
async fn a_queue_shows_how_many_of_its_items_stand_how_and_what_came_less_what_left() {
    use ItemState::{Cancelled, Dead, Polling, Queued, Running, Succeeded, Unknown};
    let relay = relay().await;
    plant(&relay, "books", 1, &[Queued, Queued, Running, Polling]).await;
    plant(&relay, "books", 2, &[Succeeded, Dead, Unknown, Cancelled]).await;

    let page = relay.operator().get("/admin/queues").await.json();
    let one = relay.operator().get("/admin/queues/books").await.json();

    let queues = page["queues"].as_array().unwrap();
    let names: Vec<_> = queues.iter().map(|queue| queue["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["books", "default", "media", "reports"]);
    for queue in [&queues[0], &one] {
        assert_eq!((&queue["mode"], &queue["concurrency"]), (&json!("paused"), &json!(2)));
        assert_eq!(
            queue["items"],
            json!({
                "ready": 2, "delayed": 0, "retrying": 0, "held": 0, "running": 1, "polling": 1, "succeeded": 1,
                "failed": 0, "unknown": 1, "dead": 1, "cancelled": 1
            })
        );
        let number = |name: &str| queue[name].as_u64().unwrap();
        assert_eq!(number("backlog"), 2);
        assert_eq!(number("enqueued") - number("taken"), number("backlog"));
        assert_eq!(number("ended"), 4);
        assert!(queue["oldest_age_seconds"].as_f64().unwrap() >= 0.0);
    }
    assert!(
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|gate| gate["class"] == "submit")
    );
    assert_eq!(relay.operator().get("/admin/queues/nowhere").await.status, 404);
}

#[tokio::test]
async fn a_queue_is_drained_and_resumed_and_the_log_book_says_by_whom() {
    let relay = relay().await;
    let operator = relay.operator();
    for (what, mode) in [("drain", "draining"), ("resume", "open")] {
        let reply = operator.post(&format!("/admin/queues/books/{what}"), "").await;
        assert_eq!(reply.json()["mode"], mode);
        assert_eq!(operator.get("/admin/queues/books").await.json()["mode"], mode);
    }
    assert_eq!(operator.post("/admin/queues/nowhere/pause", "").await.status, 404);
    assert_eq!(operator.post("/admin/queues/No%20Queue/pause", "").await.status, 404);
    assert_eq!(
        administered(&relay),
        [
            "queue.pause books",
            "queue.pause reports",
            "queue.drain books",
            "queue.resume books"
        ]
    );
}

#[tokio::test]
async fn jobs_are_found_newest_first_by_every_filter_page_by_page() {
    use ItemState::{Queued, Running, Succeeded};
    let relay = relay().await;
    let operator = relay.operator();
    let mut planted = Vec::new();
    for (queue, owner, state) in [
        ("books", 1, Queued),
        ("reports", 1, Running),
        ("books", 2, Running),
        ("reports", 2, Succeeded),
        ("books", 1, Running),
    ] {
        planted.push(plant(&relay, queue, owner, &[state]).await);
    }
    let owner = |number: u64| OwnerId::from_bits(number).to_string();

    for (filter, expected) in [
        (String::new(), vec![4, 3, 2, 1, 0]),
        ("&queue=books".to_owned(), vec![4, 2, 0]),
        ("&state=running".to_owned(), vec![4, 2, 1]),
        ("&queue=books&state=running".to_owned(), vec![4, 2]),
        (format!("&owner={}", owner(1)), vec![4, 1, 0]),
        (format!("&owner={}&state=running&queue=books", owner(1)), vec![4]),
        (format!("&owner={}", owner(9)), vec![]),
        ("&queue=media".to_owned(), vec![]),
        ("&queue=nowhere".to_owned(), vec![]),
    ] {
        let expected: Vec<_> = expected.iter().map(|index: &usize| planted[*index].clone()).collect();
        for limit in [1, 2, 100] {
            let found = walked(&operator, &format!("/admin/jobs?limit={limit}{filter}")).await;
            assert_eq!(found, expected, "{filter}, {limit} a page");
        }
    }
}

#[tokio::test]
async fn a_rare_state_among_an_owners_jobs_gives_a_short_page_that_goes_on() {
    let relay = relay().await;
    let mut forest = vec![Planted::new(&relay, "books", 7, &[ItemState::Failed])];
    forest.extend((0..1100).map(|_| Planted::new(&relay, "books", 7, &[ItemState::Succeeded])));
    let failed = forest[0].id.to_string();
    relay.services().store.change(Forest(forest)).await.unwrap();
    let path = format!("/admin/jobs?state=failed&owner={}", OwnerId::from_bits(7));

    let first = relay.operator().get(&path).await;
    assert_eq!(ids(&first), [""; 0]);
    assert!(first.json()["next_cursor"].is_string());
    assert_eq!(walked(&relay.operator(), &path).await, [failed]);
}

#[tokio::test]
async fn a_filter_that_cannot_be_and_a_cursor_of_another_list_are_refused() {
    let relay = relay().await;
    let operator = relay.operator();
    for _ in 0..2 {
        plant(&relay, "books", 1, &[ItemState::Dead, ItemState::Dead]).await;
    }
    let other = operator.get("/admin/dead-letters?limit=1").await.json()["next_cursor"].clone();
    for (query, param) in [
        ("state=done", "state"),
        ("queue=No", "queue"),
        ("owner=alice", "owner"),
        ("limit=0", "limit"),
        ("cursor=AAAA", "cursor"),
        (&format!("cursor={}", other.as_str().unwrap()), "cursor"),
    ] {
        let reply = operator.get(&format!("/admin/jobs?{query}")).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["error"]["param"]),
            (400, &json!(param)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_job_shows_its_items_by_state_and_nothing_of_what_they_ask() {
    use ItemState::{Dead, Succeeded, Unknown};
    let relay = relay().await;
    let operator = relay.operator();
    let id = plant(
        &relay,
        "books",
        1,
        &[Succeeded, Dead, Succeeded, Unknown, Succeeded, Succeeded],
    )
    .await;

    let job = operator.get(&format!("/admin/jobs/{id}")).await.json();
    assert_eq!(
        (&job["state"], &job["held"]),
        (&json!("partially_failed"), &json!(false))
    );
    assert_eq!(
        (&job["counts"]["total"], &job["counts"]["dead"]),
        (&json!(6), &json!(1))
    );
    assert!((job["failed_ratio"].as_f64().unwrap() - 1.0 / 6.0).abs() < 1e-9);

    let first = operator.get(&format!("/admin/jobs/{id}/items?limit=4")).await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = operator
        .get(&format!("/admin/jobs/{id}/items?cursor={cursor}"))
        .await
        .json();
    let index = |item: &Value| item["index"].as_u64().unwrap();
    let seen: Vec<_> = [&first, &rest]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap().iter().map(index))
        .collect();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    assert!(first["items"][0].get("body").is_none());

    let dead = operator.get(&format!("/admin/jobs/{id}/items?state=dead")).await.json();
    assert_eq!(dead["items"].as_array().unwrap().len(), 1);
    assert_eq!(dead["items"][0]["error"]["code"], "UPSTREAM_FAILED");

    let other = plant(&relay, "books", 1, &[Succeeded]).await;
    let astray = operator
        .get(&format!("/admin/jobs/{other}/items?cursor={cursor}"))
        .await;
    assert_eq!(astray.status, 400);
    for path in ["/admin/jobs/job_1", "/admin/jobs/job_ffffffffffffffffffffffffffffffff"] {
        assert_eq!(operator.get(path).await.status, 404);
        assert_eq!(operator.get(&format!("{path}/items")).await.status, 404);
    }
}

#[tokio::test]
async fn a_job_is_held_released_cancelled_and_tried_again_where_that_can_be() {
    use ItemState::{Failed, Queued, Succeeded};
    let relay = relay().await;
    let operator = relay.operator();
    let waits = plant(&relay, "books", 1, &[Queued, Queued]).await;
    let ended = plant(&relay, "books", 1, &[Succeeded, Failed]).await;
    let ask = async |id: &str, what: &str| {
        let reply = operator.post(&format!("/admin/jobs/{id}/{what}"), "").await;
        (reply.status.as_u16(), reply.json()["state"].as_str().map(str::to_owned))
    };

    assert_eq!(ask(&waits, "hold").await, (200, Some("held".to_owned())));
    let held = operator.get("/admin/queues/books").await.json()["items"]["held"].clone();
    assert_eq!(held, 2);
    assert_eq!(ask(&waits, "release").await, (200, Some("queued".to_owned())));
    // A release that a crash cut short is asked again: it is harmless where nothing is held.
    assert_eq!(ask(&waits, "release").await, (200, Some("queued".to_owned())));
    assert_eq!(ask(&ended, "release").await.0, 400);
    assert_eq!(ask(&waits, "cancel").await, (200, Some("cancelled".to_owned())));
    assert_eq!(ask(&waits, "retry").await.0, 400);
    assert_eq!(ask(&ended, "cancel").await.0, 400);
    assert_eq!(ask(&ended, "retry").await, (200, Some("running".to_owned())));
    assert_eq!(ask("job_ffffffffffffffffffffffffffffffff", "retry").await.0, 404);

    let counts = operator.get(&format!("/admin/jobs/{ended}")).await.json()["counts"].clone();
    assert_eq!((&counts["succeeded"], &counts["queued"]), (&json!(1), &json!(1)));
    assert_eq!(
        administered(&relay)[2..],
        [
            format!("job.hold {waits}"),
            format!("job.release {waits}"),
            format!("job.release {waits}"),
            format!("job.cancel {waits}"),
            format!("job.retry {ended}"),
        ]
    );
}

#[tokio::test]
async fn dead_letters_are_listed_by_queue_and_page_by_page() {
    use ItemState::{Dead, Succeeded};
    let relay = relay().await;
    let operator = relay.operator();
    let first = plant(&relay, "reports", 1, &[Succeeded, Dead, Dead]).await;
    let second = plant(&relay, "books", 2, &[Dead]).await;
    let letters = async |path: &str| -> Vec<(String, u64)> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..10 {
            let page = operator.get(&format!("{path}{cursor}")).await.json();
            for letter in page["items"].as_array().unwrap() {
                let index = letter["item"]["index"].as_u64().unwrap();
                found.push((letter["job"].as_str().unwrap().to_owned(), index));
            }
            let Some(next) = page["next_cursor"].as_str() else {
                return found;
            };
            cursor = format!("&cursor={next}");
        }
        panic!("it does not end")
    };

    let all = [(first.clone(), 1), (first.clone(), 2), (second.clone(), 0)];
    assert_eq!(letters("/admin/dead-letters?limit=1").await, all);
    assert_eq!(letters("/admin/dead-letters?limit=2").await, all);
    assert_eq!(letters("/admin/dead-letters?queue=reports").await, all[..2]);
    let page = operator.get("/admin/dead-letters?queue=books").await.json();
    let letter = &page["items"][0];
    assert_eq!(
        (&letter["queue"], &letter["item"]["attempts"]),
        (&json!("books"), &json!(3))
    );
    assert_eq!(letter["item"]["error"]["message"], "the upstream refused it");
}

#[tokio::test]
async fn dead_letters_are_tried_again_or_dropped_and_no_job_stops_the_others() {
    use ItemState::{Dead, Queued, Succeeded};
    let relay = relay().await;
    let operator = relay.operator();
    let runs = plant(&relay, "books", 1, &[Dead, Queued]).await;
    let ended = plant(&relay, "books", 1, &[Dead, Succeeded]).await;
    let other = plant(&relay, "reports", 1, &[Dead, Dead, Succeeded]).await;

    let retried = operator
        .post("/admin/dead-letters/retry", r#"{"queue":"books"}"#)
        .await
        .json();
    assert_eq!(retried["jobs"][0]["id"], json!(ended));
    assert_eq!(retried["jobs"][0]["counts"]["queued"], 1);
    assert_eq!(retried["skipped"][0]["id"], json!(runs));
    assert_eq!(retried["next_cursor"], Value::Null);

    let dropped = json!({ "job": other }).to_string();
    let dropped = operator.post("/admin/dead-letters/drop", &dropped).await.json();
    assert_eq!(dropped["jobs"][0]["counts"]["cancelled"], 2);
    let dropped = operator
        .post("/admin/dead-letters/drop", r#"{"queue":"books"}"#)
        .await
        .json();
    assert_eq!(dropped["jobs"][0]["id"], json!(runs));
    assert_eq!(operator.get("/admin/dead-letters").await.json()["items"], json!([]));

    for body in [
        "{}",
        r#"{"queue":"nowhere"}"#,
        r#"{"queue":"books","job":"job_1"}"#,
        r#"{"job":"seven"}"#,
    ] {
        assert_eq!(
            operator.post("/admin/dead-letters/drop", body).await.status,
            400,
            "{body}"
        );
    }
    assert_eq!(
        administered(&relay)[2..],
        [
            format!("job.retry {ended}"),
            format!("job.drop_dead {other}"),
            format!("job.drop_dead {runs}"),
        ]
    );
}
