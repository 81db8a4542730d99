//! What is tried again: a submit only when it cannot have been paid, a query whenever it failed.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokio::net::TcpSocket;
use tollgate::model::outcome::{Outcome, Reason};
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Relay, Say, Script, Wire, accepted, eventually, pass, query_body, replying, submit_body};

/// A refusal that asks for patience.
fn refused_for(code: u32, seconds: &'static str) -> Fault {
    Fault::Answer(Answer {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: Some(code),
        retry_after: Some(HeaderValue::from_static(seconds)),
        ..Answer::default()
    })
}

/// A relay whose upstream does this to the next call.
async fn facing(fault: Fault) -> Relay {
    let relay = Relay::start().await;
    relay.upstream.faults().push(Rule::any(fault)).unwrap();
    relay
}

/// A port that refuses connections until somebody listens; meanwhile nobody else can have it.
fn closed_port() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

#[tokio::test]
async fn a_submit_that_was_refused_outright_is_sent_again_when_the_upstream_says() {
    for code in [50_429, 50_430] {
        let relay = facing(refused_for(code, "7")).await;
        let alice = relay.client("alice").await;
        let mut wire = Wire::posting(&relay, &alice, "/v1/submit", &[], &submit_body("again")).await;
        eventually("it was refused", async || relay.seen("again") == 1).await;
        let queues = || {
            relay
                .services()
                .admission
                .view()
                .iter()
                .map(|gate| gate.snapshot.in_use)
                .sum::<usize>()
        };
        eventually("it backs off", async || queues() == 0).await;

        pass(Duration::from_secs(6)).await;
        // Whatever could go on by now has had its turn when this is answered.
        alice.get("/v1/key").await;
        assert_eq!(relay.seen("again"), 1);
        pass(Duration::from_secs(1)).await;

        assert_eq!(wire.reply().await.status, 200);
        assert_eq!(relay.seen("again"), 2);
        let settled = relay.settled().await;
        assert_eq!((settled.outcome, settled.attempts), (Outcome::Succeeded, 2));
        assert_eq!(relay.intents().len(), 1);
    }
}

#[tokio::test]
async fn a_submit_that_may_have_been_taken_is_never_sent_again() {
    for fault in [
        Fault::internal_error(),
        Fault::status(StatusCode::BAD_GATEWAY),
        Fault::status(StatusCode::SERVICE_UNAVAILABLE),
        Fault::Answer(Answer {
            status: StatusCode::OK,
            code: Some(50_500),
            ..Answer::default()
        }),
        Fault::Answer(Answer {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: Some(50_501),
            ..Answer::default()
        }),
        Fault::Reset,
        Fault::ResetMidBody,
        Fault::Truncate,
        Fault::Html,
    ] {
        let relay = facing(fault.clone()).await;
        let alice = relay.client("alice").await;

        alice.submit(&submit_body("once")).await;

        let settled = relay.settled().await;
        assert_eq!((settled.outcome, settled.attempts), (Outcome::Unknown, 1), "{fault:?}");
        assert_eq!(relay.seen("once"), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_submit_that_the_client_got_wrong_is_not_sent_again() {
    for (code, status, outcome) in [
        (50_411, 400, Outcome::Rejected),
        (50_412, 400, Outcome::Rejected),
        (50_400, 401, Outcome::Refused),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let relay = facing(Fault::Answer(Answer {
            status,
            code: Some(code),
            ..Answer::default()
        }))
        .await;
        let alice = relay.client("alice").await;

        let reply = alice.submit(&submit_body("wrong")).await;

        assert_eq!(
            (reply.status, reply.json()["code"].as_u64()),
            (status, Some(code.into()))
        );
        assert_eq!((relay.settled().await.outcome, relay.seen("wrong")), (outcome, 1));
    }
}

#[tokio::test]
async fn a_refusal_that_lasts_is_passed_on_after_three_attempts() {
    let relay = Relay::start().await;
    relay
        .upstream
        .faults()
        .push(Rule::any(Fault::concurrency_limit()).always())
        .unwrap();
    let alice = relay.client("alice").await.idempotent("order-1");

    let reply = alice.submit(&submit_body("refused")).await;

    assert_eq!(
        (reply.status.as_u16(), reply.json()["code"].as_u64()),
        (429, Some(50_430))
    );
    let settled = relay.settled().await;
    assert_eq!(
        (settled.outcome, settled.attempts, relay.seen("refused")),
        (Outcome::Refused, 3, 3)
    );
}

#[tokio::test]
async fn a_wait_that_outlasts_the_deadline_is_not_begun() {
    let relay = facing(refused_for(50_430, "3600")).await;
    let alice = relay.client("alice").await;

    let reply = alice.submit(&submit_body("late")).await;

    assert_eq!(
        (reply.status.as_u16(), reply.header("retry-after")),
        (429, Some("3600"))
    );
    assert_eq!(relay.seen("late"), 1);
}

#[tokio::test]
async fn a_submit_that_found_no_connection_is_not_sent_and_its_key_is_free() {
    let port = closed_port();
    let relay = Relay::build().upstream_at(port.local_addr().unwrap()).start().await;
    let alice = relay.client("alice").await.idempotent("order-1");

    let reply = alice.submit(&submit_body("x")).await;

    reply.assert_error(502, "UPSTREAM_FAILED");
    let settled = relay.settled().await;
    assert_eq!(
        (settled.outcome, settled.reason, settled.attempts),
        (Outcome::NotSent, Reason::Connect, 3)
    );
    let upstream = Script::on(port.listen(16).unwrap(), [Say::Bytes(accepted("1"))]);
    assert_eq!(alice.submit(&submit_body("x")).await.task_id(), "1");
    assert_eq!(upstream.heard().len(), 1);
}

#[tokio::test]
async fn a_submit_goes_through_once_a_connection_can_be_made() {
    let port = closed_port();
    let relay = Relay::build().upstream_at(port.local_addr().unwrap()).start().await;
    let alice = relay.client("alice").await;
    let mut wire = Wire::posting(&relay, &alice, "/v1/submit", &[], &submit_body("x")).await;
    eventually("the intent is recorded", async || relay.intents().len() == 1).await;

    let upstream = Script::on(port.listen(16).unwrap(), [Say::Bytes(accepted("1"))]);

    assert_eq!(wire.reply().await.status, 200);
    assert_eq!(upstream.heard().len(), 1);
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_meanwhile_costs_no_submit() {
    let upstream = Script::start([Say::Last(accepted("1"))]).await;
    let relay = Relay::build().upstream_at(upstream.address).start().await;
    let alice = relay.client("alice").await;

    for _ in 0..20 {
        assert_eq!(alice.submit(&submit_body("x")).await.status, 200);
    }

    assert_eq!((upstream.heard().len(), upstream.connections()), (20, 20));
    assert!(
        relay
            .settlements()
            .iter()
            .all(|settled| (settled.outcome, settled.attempts) == (Outcome::Succeeded, 1))
    );
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let upstream = Script::start([Say::Bytes(accepted("1"))]).await;
    let relay = Relay::build().upstream_at(upstream.address).start().await;
    let alice = relay.client("alice").await;

    for _ in 0..5 {
        assert_eq!(alice.submit(&submit_body("x")).await.status, 200);
    }

    assert_eq!((upstream.heard().len(), upstream.connections()), (5, 1));
}

#[tokio::test]
async fn slots_are_given_back_while_a_submit_backs_off() {
    let relay = facing(refused_for(50_430, "7")).await;
    let alice = relay.client("alice").await;
    let mut first = Wire::posting(&relay, &alice, "/v1/submit", &[], &submit_body("first")).await;
    eventually("the first was refused", async || relay.seen("first") == 1).await;

    // One slot for the key and one for the account: the second needs both. Until the first steps aside it is told so.
    eventually("the second goes through", async || {
        alice.submit(&submit_body("second")).await.status == 200
    })
    .await;

    assert_eq!(relay.seen("first"), 1);
    pass(Duration::from_secs(7)).await;
    assert_eq!(first.reply().await.status, 200);
    assert_eq!((relay.seen("first"), relay.seen("second")), (2, 1));
}

#[tokio::test]
async fn a_query_is_asked_again_after_any_failure() {
    for fault in [
        Fault::internal_error(),
        Fault::Reset,
        Fault::ResetMidBody,
        Fault::concurrency_limit(),
    ] {
        let relay = Relay::start().await;
        let alice = relay.client("alice").await;
        let task = alice.submit(&submit_body("x")).await.task_id();
        relay
            .upstream
            .faults()
            .push(Rule::any(fault.clone()).times(NonZeroU32::new(2).unwrap()))
            .unwrap();

        let reply = alice.query(&query_body(&task)).await;

        assert_eq!(
            (reply.status.as_u16(), reply.json()["code"].as_u64()),
            (200, Some(10_000)),
            "{fault:?}"
        );
        assert_eq!(relay.upstream.seen().action("CVSync2AsyncGetResult"), 3);
    }
}

#[tokio::test]
async fn a_query_that_keeps_failing_passes_the_failure_on() {
    let body = r#"{"code":50500,"message":"Internal Error","data":null}"#;
    let failing = replying("500 Internal Server Error", &["Content-Type: application/json"], body);
    let upstream = Script::start([Say::Bytes(accepted("1")), Say::Bytes(failing)]).await;
    let relay = Relay::build().upstream_at(upstream.address).start().await;
    let alice = relay.client("alice").await;
    alice.submit(&submit_body("x")).await;

    let reply = alice.query(&query_body("1")).await;

    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (500, body));
    assert_eq!(reply.header("x-should-retry"), None);
    assert_eq!(upstream.heard().len(), 4);
}
