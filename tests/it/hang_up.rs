//! A caller that hangs up: what was not sent is withdrawn, what was sent and paid finishes, the rest is cancelled.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tollgate::model::outcome::{Outcome, Reason};
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Relay, Say, Script, Wire, accepted, at_once, eventually, pass, submit_body};

const PROCESS: &str = "/?Action=CVProcess&Version=2022-08-31";
const KEYED: &str = "Idempotency-Key: order-1";

/// Longer than any test takes: what waits so long ends only by what the test does.
const LONG: Duration = Duration::from_secs(20);

/// A port that takes no connection yet: its queue holds one, which nobody accepts.
struct Busy {
    listener: TcpListener,
    _crowd: Vec<TcpStream>,
}

impl Busy {
    async fn port() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let first = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        Self {
            listener,
            _crowd: vec![first],
        }
    }
}

/// A relay whose upstream lets the next call of `action` wait.
async fn with_slow(action: &str) -> Relay {
    let relay = Relay::start().await;
    relay
        .upstream
        .faults()
        .push(Rule::on(action, Fault::None).after(LONG))
        .unwrap();
    relay
}

async fn reached(relay: &Relay, marker: &str) {
    eventually("the call reached the upstream", async || relay.seen(marker) == 1).await;
}

#[tokio::test]
async fn a_submit_that_was_not_sent_is_withdrawn_and_not_a_byte_of_it_leaves() {
    let busy = Busy::port().await;
    let relay = Relay::build()
        .upstream_at(busy.listener.local_addr().unwrap())
        .start()
        .await;
    let alice = relay.client("alice").await;
    let wire = Wire::posting(&relay, &alice, "/v1/submit", &[KEYED], &submit_body("gone")).await;
    eventually("the intent is recorded", async || relay.intents().len() == 1).await;

    drop(wire);

    let settled = relay.settled().await;
    assert_eq!((settled.outcome, settled.reason), (Outcome::NotSent, Reason::HungUp));
    // The key is free a little after its settlement can be read.
    relay.rests().await;
    let upstream = Script::on(busy.listener, [Say::Bytes(accepted("1"))]);
    let again = alice.idempotent("order-1").submit(&submit_body("fresh")).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotency-replayed")),
        (200, None)
    );
    let heard = upstream.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].body, submit_body("fresh").as_bytes());
}

#[tokio::test]
async fn a_submit_that_waits_in_the_queue_is_forgotten() {
    let relay = with_slow("CVSync2AsyncSubmitTask").await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    let first = Wire::posting(&relay, &alice, "/v1/submit", &[], &submit_body("first")).await;
    reached(&relay, "first").await;

    let queued = Wire::posting(&relay, &bob, "/v1/submit", &[KEYED], &submit_body("queued")).await;
    let depth = || {
        relay
            .services()
            .admission
            .view()
            .iter()
            .map(|gate| gate.snapshot.waiting_interactive)
            .sum::<usize>()
    };
    eventually("the second waits", async || depth() == 1).await;
    drop(queued);

    eventually("its place is free", async || depth() == 0).await;
    assert_eq!(relay.intents().len(), 1);
    drop(first);
    pass(LONG).await;
    eventually("the first is settled", async || relay.settlements().len() == 1).await;
    assert_eq!(relay.seen("queued"), 0);
}

#[tokio::test]
async fn a_submit_that_was_refused_is_not_tried_again_for_nobody() {
    let relay = Relay::start().await;
    let refusal = Answer {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: Some(50_430),
        retry_after: Some(HeaderValue::from_static("10")),
        ..Answer::default()
    };
    relay.upstream.faults().push(Rule::any(Fault::Answer(refusal))).unwrap();
    let alice = relay.client("alice").await;
    let wire = Wire::posting(&relay, &alice, "/v1/submit", &[KEYED], &submit_body("refused")).await;
    let slots = || {
        relay
            .services()
            .admission
            .view()
            .iter()
            .map(|gate| gate.snapshot.in_use)
            .sum::<usize>()
    };
    eventually("it backs off", async || relay.seen("refused") == 1 && slots() == 0).await;

    drop(wire);

    at_once("it is settled", || relay.settlements().len() == 1).await;
    assert_eq!(relay.settled().await.outcome, Outcome::Refused);
    // The key is free a little after its settlement can be read.
    relay.rests().await;
    pass(LONG).await;
    let again = alice.idempotent("order-1").submit(&submit_body("fresh")).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotency-replayed")),
        (200, None)
    );
    assert_eq!(relay.seen("refused"), 1);
}

#[tokio::test]
async fn a_submit_that_was_sent_finishes_and_a_keyed_retry_replays_it() {
    let relay = with_slow("CVSync2AsyncSubmitTask").await;
    let alice = relay.client("alice").await;
    let wire = Wire::posting(&relay, &alice, "/v1/submit", &[KEYED], &submit_body("sent")).await;
    reached(&relay, "sent").await;

    drop(wire);
    pass(LONG).await;

    let settled = relay.settled().await;
    assert_eq!(settled.outcome, Outcome::Succeeded);
    let retry = alice.idempotent("order-1").submit(&submit_body("sent")).await;
    assert_eq!(retry.header("idempotency-replayed"), Some("true"));
    assert_eq!(Some(retry.task_id()), settled.task_id);
    assert_eq!(relay.seen("sent"), 1);
}

#[tokio::test]
async fn a_submit_without_a_key_finishes_too_and_its_owner_finds_it() {
    let relay = with_slow("CVSync2AsyncSubmitTask").await;
    let alice = relay.client("alice").await;
    let wire = Wire::posting(&relay, &alice, "/v1/submit", &[], &submit_body("sent")).await;
    reached(&relay, "sent").await;

    drop(wire);
    pass(LONG).await;

    let settled = relay.settled().await;
    let tasks = alice.get("/v1/tasks").await.json();
    assert_eq!(tasks["items"][0]["task_id"].as_str(), settled.task_id.as_deref());
    assert_eq!(tasks["items"][0]["outcome"], "succeeded");
}

#[tokio::test]
async fn an_unkeyed_call_is_cancelled_upstream_without_waiting_for_anything() {
    let relay = with_slow("CVProcess").await;
    let alice = relay.client("alice").await;
    let wire = Wire::posting(&relay, &alice, PROCESS, &[], &submit_body("cancelled")).await;
    reached(&relay, "cancelled").await;

    drop(wire);

    at_once("the upstream's caller hung up", || relay.upstream.seen().abandoned == 1).await;
    let settled = relay.settled().await;
    assert_eq!((settled.outcome, settled.reason), (Outcome::Unknown, Reason::HungUp));
}

#[tokio::test]
async fn a_keyed_call_finishes_and_a_retry_replays_it() {
    let relay = with_slow("CVProcess").await;
    let alice = relay.client("alice").await;
    let wire = Wire::posting(&relay, &alice, PROCESS, &[KEYED], &submit_body("kept")).await;
    reached(&relay, "kept").await;

    drop(wire);
    pass(LONG).await;

    assert_eq!(relay.settled().await.outcome, Outcome::Succeeded);
    let retry = alice.idempotent("order-1").process(&submit_body("kept")).await;
    assert_eq!(
        (retry.status.as_u16(), retry.header("idempotency-replayed")),
        (200, Some("true"))
    );
    assert_eq!((relay.seen("kept"), relay.upstream.seen().abandoned), (1, 0));
}

#[tokio::test]
async fn a_query_is_cancelled_upstream() {
    let relay = with_slow("CVSync2AsyncGetResult").await;
    let alice = relay.client("alice").await;
    let body = r#"{"req_key":"jimeng_t2i_v40","task_id":"1","marker":"query"}"#;
    let wire = Wire::posting(&relay, &alice, "/v1/get-result", &[], body).await;
    reached(&relay, "query").await;

    drop(wire);

    at_once("the upstream's caller hung up", || relay.upstream.seen().abandoned == 1).await;
    assert_eq!(relay.intents().len(), 0);
}

#[tokio::test]
async fn a_submit_answers_504_at_its_deadline_and_finishes_in_the_background() {
    let relay = Relay::build().with("VOLC_DEADLINE", "15s").start().await;
    relay
        .upstream
        .faults()
        .push(Rule::any(Fault::None).after(LONG))
        .unwrap();
    let alice = relay.client("alice").await;
    let mut wire = Wire::posting(&relay, &alice, "/v1/submit", &[KEYED], &submit_body("late")).await;
    reached(&relay, "late").await;

    pass(Duration::from_secs(15)).await;

    let answer = wire.reply().await;
    answer.assert_error(504, "UPSTREAM_TIMEOUT");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.json()["error"]["audit_id"], relay.intents()[0].0);
    assert_eq!(relay.settlements().len(), 0);
    pass(Duration::from_secs(5)).await;
    assert_eq!(relay.settled().await.outcome, Outcome::Succeeded);
    let retry = alice.idempotent("order-1").submit(&submit_body("late")).await;
    assert_eq!(retry.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn an_unkeyed_call_is_cancelled_at_its_deadline() {
    let relay = Relay::build().with("VOLC_DEADLINE", "15s").start().await;
    relay.upstream.faults().push(Rule::any(Fault::Hang)).unwrap();
    let alice = relay.client("alice").await;
    let mut wire = Wire::posting(&relay, &alice, PROCESS, &[], &submit_body("late")).await;
    reached(&relay, "late").await;

    pass(Duration::from_secs(15)).await;

    let answer = wire.reply().await;
    answer.assert_error(504, "UPSTREAM_TIMEOUT");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    eventually("the upstream's caller hung up", async || {
        relay.upstream.seen().abandoned == 1
    })
    .await;
    let settled = relay.settled().await;
    assert_eq!((settled.outcome, settled.reason), (Outcome::Unknown, Reason::Timeout));
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_given_up_and_nobody_knows_what_it_did() {
    let relay = Relay::build().with("VOLC_TIMEOUT", "10s").start().await;
    relay.upstream.faults().push(Rule::any(Fault::Hang)).unwrap();
    let alice = relay.client("alice").await;
    let mut wire = Wire::posting(&relay, &alice, "/v1/submit", &[KEYED], &submit_body("silent")).await;
    reached(&relay, "silent").await;

    pass(Duration::from_secs(10)).await;

    let answer = wire.reply().await;
    answer.assert_error(504, "UPSTREAM_TIMEOUT");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let settled = relay.settled().await;
    assert_eq!((settled.outcome, settled.reason), (Outcome::Unknown, Reason::Timeout));
    assert_eq!(relay.seen("silent"), 1);
}
