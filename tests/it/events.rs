//! Whoever follows a job hears everything that happens to it, once and in order, however often the line breaks.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tollgate::model::key::Scope;

use crate::support::{Client, Relay, Wire, head, pass};

const SCOPES: [Scope; 2] = [Scope::Relay, Scope::Jobs];

/// A client that follows a job.
struct Following {
    wire: Wire,
    status: StatusCode,
    headers: HeaderMap,
}

impl Following {
    async fn new(relay: &Relay, client: &Client, job: &str) -> Self {
        Self::behind(relay, client, job, None).await
    }

    async fn behind(relay: &Relay, client: &Client, job: &str, seen: Option<&str>) -> Self {
        Self::at(relay, client, &format!("/v1/jobs/{job}/events"), seen).await
    }

    /// As the operator does it.
    async fn from_above(relay: &Relay, admin: &Client, job: &str) -> Self {
        Self::at(relay, admin, &format!("/admin/jobs/{job}/events"), None).await
    }

    async fn at(relay: &Relay, client: &Client, path: &str, seen: Option<&str>) -> Self {
        let mut wire = Wire::to(relay).await;
        let mut lines = vec![client.bearer()];
        lines.extend(seen.map(|seen| format!("Last-Event-ID: {seen}")));
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        wire.send(head(relay, "GET", path, &lines)).await;
        let (status, headers) = wire.head().await;
        Self { wire, status, headers }
    }

    /// What is said next.
    async fn hears(&mut self) -> Option<String> {
        let chunk = self.wire.chunk().await?;
        Some(String::from_utf8(chunk).unwrap())
    }

    /// Every event until the end.
    async fn events(mut self) -> Vec<Event> {
        let mut text = String::new();
        while let Some(chunk) = self.hears().await {
            text.push_str(&chunk);
        }
        text.split_terminator("\n\n").filter_map(Event::read).collect()
    }
}

struct Event {
    id: u64,
    name: String,
    data: Value,
}

impl Event {
    /// Reads a frame; a comment is none.
    fn read(frame: &str) -> Option<Self> {
        let mut lines = frame.lines();
        Some(Self {
            id: lines.next()?.strip_prefix("id: ")?.parse().unwrap(),
            name: lines.next()?.strip_prefix("event: ")?.to_owned(),
            data: serde_json::from_str(lines.next()?.strip_prefix("data: ")?).unwrap(),
        })
    }
}

#[tokio::test]
async fn a_job_is_followed_from_its_first_event_to_its_last() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", SCOPES).await;
    let job = alice.job_of(3).await;
    let following = Following::new(&relay, &alice, &job).await;
    assert_eq!(following.status, 200);
    let header = |name: &str| following.headers[name].to_str().unwrap();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-cache");
    assert_eq!(header("x-accel-buffering"), "no");

    let events = following.events().await;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0].name, "job.queued");
    let last = events.last().unwrap();
    assert_eq!(
        (last.name.as_str(), &last.data["type"]),
        ("job.succeeded", &"job.succeeded".into())
    );
    assert_eq!(last.data["job"], job);
    assert_eq!(last.data["counts"]["succeeded"], 3);
    assert_eq!(last.data["counts"]["total"], 3);
    let succeeded = events.iter().filter(|event| event.name == "item.succeeded");
    assert_eq!(succeeded.count(), 3);
}

#[tokio::test]
async fn a_reader_that_comes_back_hears_the_rest_and_is_told_when_there_is_none() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", SCOPES).await;
    let job = alice.job_of(1).await;
    let all = Following::new(&relay, &alice, &job).await.events().await;
    let rest = Following::behind(&relay, &alice, &job, Some("2")).await.events().await;
    assert_eq!(rest.first().map(|event| event.id), Some(3));
    assert_eq!(rest.len(), all.len() - 2);

    let last = all.len().to_string();
    assert_eq!(Following::behind(&relay, &alice, &job, Some(&last)).await.status, 204);
    let relay = relay.stop().await.start().await;
    let after = Following::behind(&relay, &alice, &job, Some("2")).await.events().await;
    assert_eq!(after.len(), rest.len(), "the next process tells the same");
}

#[tokio::test]
async fn what_is_no_past_event_is_refused() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", SCOPES).await;
    let job = alice.sleeping_job().await;
    let path = format!("/v1/jobs/{job}/events");
    for seen in ["2", "-1", "x", "99999999999999999999999", ""] {
        let reply = alice.header("last-event-id", seen).get(&path).await;
        assert_eq!(reply.status, 400, "{seen:?}");
        assert_eq!(reply.json()["error"]["param"], "Last-Event-ID");
    }
}

#[tokio::test]
async fn a_job_of_somebody_elses_is_not_there_and_a_key_without_the_scope_comes_not_so_far() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", SCOPES).await;
    let (mallory, narrow) = (relay.client_with("mallory", SCOPES).await, relay.client("narrow").await);
    let path = format!("/v1/jobs/{}/events", alice.sleeping_job().await);
    assert_eq!(mallory.get(&path).await.status, 404);
    assert_eq!(alice.get("/v1/jobs/nonsense/events").await.status, 404);
    assert_eq!(narrow.get(&path).await.status, 403);
    assert_eq!(relay.stranger().get(&path).await.status, 401);
}

#[tokio::test]
async fn the_operator_follows_anybodys_job_and_hears_what_its_owner_hears() {
    let relay = Relay::start().await;
    let (alice, admin) = (relay.client_with("alice", SCOPES).await, relay.admin().await);
    let job = alice.job_of(2).await;
    let told = |events: Vec<Event>| -> Vec<_> { events.into_iter().map(|event| (event.id, event.name)).collect() };
    let heard = told(Following::from_above(&relay, &admin, &job).await.events().await);
    assert_eq!(heard, told(Following::new(&relay, &alice, &job).await.events().await));
    let path = format!("/admin/jobs/{job}/events");
    assert_eq!(alice.get(&path).await.status, 403);
    assert_eq!(admin.get("/admin/jobs/nonsense/events").await.status, 404);
}

#[tokio::test]
async fn an_operator_whose_key_is_revoked_hears_an_error_and_no_more() {
    let relay = Relay::start().await;
    let (alice, admin) = (relay.client_with("alice", SCOPES).await, relay.admin().await);
    let job = alice.sleeping_job().await;
    let mut following = Following::from_above(&relay, &admin, &job).await;
    assert!(following.hears().await.unwrap().contains("job.queued"));
    let path = format!("/admin/keys/{}/revoke", admin.issued().key.id);
    relay.operator().post(&path, "{}").await;
    pass(Duration::from_secs(15)).await;
    assert!(following.hears().await.unwrap().starts_with("event: error\n"));
    assert_eq!(following.hears().await, None);
}

#[tokio::test]
async fn a_quiet_stream_lives_for_minutes() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", SCOPES).await;
    let job = alice.sleeping_job().await;
    let mut following = Following::new(&relay, &alice, &job).await;
    assert!(following.hears().await.unwrap().contains("job.queued"));
    for _ in 0..12 {
        pass(Duration::from_secs(15)).await;
        assert_eq!(following.hears().await.unwrap(), ": heartbeat\n\n");
    }
}

#[tokio::test]
async fn a_revoked_key_hears_an_error_at_the_next_heartbeat_and_no_more() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", SCOPES).await;
    let job = alice.sleeping_job().await;
    let mut following = Following::new(&relay, &alice, &job).await;
    assert!(following.hears().await.unwrap().contains("job.queued"));
    let path = format!("/admin/keys/{}/revoke", alice.issued().key.id);
    let revoked = relay.operator().post(&path, "{}").await;
    assert!(revoked.status.is_success(), "{revoked:?}");
    pass(Duration::from_secs(15)).await;
    let said = following.hears().await.unwrap();
    assert!(said.starts_with("event: error\ndata: {"), "{said}");
    assert_eq!(following.hears().await, None);
}

#[tokio::test]
async fn an_owner_follows_eight_streams_at_a_time() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", SCOPES).await;
    let job = alice.sleeping_job().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Following::new(&relay, &alice, &job).await);
    }
    assert!(streams.iter().all(|following| following.status == 200));
    let ninth = Following::new(&relay, &alice, &job).await;
    assert_eq!(ninth.status, 429);
    assert!(ninth.headers.contains_key("retry-after"));

    drop(streams.pop());
    let room = async || Following::new(&relay, &alice, &job).await.status == 200;
    crate::support::eventually("a place is free again", room).await;
}

#[tokio::test]
async fn a_drain_waits_for_nobody_who_only_watches() {
    let relay = Relay::start().await;
    let alice = relay.client_with("alice", SCOPES).await;
    let job = alice.sleeping_job().await;
    let mut following = Following::new(&relay, &alice, &job).await;
    assert!(following.hears().await.unwrap().contains("job.queued"));
    relay.drain();
    assert!(following.hears().await.unwrap().starts_with(": the process ends"));
    assert_eq!(following.hears().await, None);
}
