//! What the operator sees and changes of jobs: queues, lists, dead letters. The jobs are put into the store as they stand.

mod dead;
mod list;

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tollgate::model::clock::{Clock, Timestamp};
use tollgate::model::id::{JobId, OwnerId};
use tollgate::model::job::item::ItemError;
use tollgate::model::job::{Item, ItemState, Job};
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
        let (now, number) = (relay.clock.wall(), u32::try_from(items.len()).unwrap());
        Self {
            id: JobId::from_bits(u128::from(NUMBER.fetch_add(1, Ordering::Relaxed))),
            job: Job::new(OwnerId::from_bits(owner), queue.parse().unwrap(), number, now),
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
