//! The main path: a submit goes out once, its result comes back, and the log book tells both.

use tollgate::model::outcome::Outcome;
use tollgate::model::record::Event;

use crate::support::{Relay, query_body, submit_body};

#[tokio::test]
async fn a_signed_submit_passes_through_and_its_result_is_fetched() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;

    let submitted = alice
        .post_signed(
            "/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31",
            &submit_body("path-1"),
        )
        .await;
    let queried = alice.query(&query_body(&submitted.task_id())).await;

    assert_eq!(submitted.status, 200);
    assert_eq!(queried.status, 200);
    assert_eq!(queried.json()["code"], 10_000);
    assert_eq!(relay.seen("path-1"), 1);
}

#[tokio::test]
async fn the_log_book_has_the_intent_before_the_settlement() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;

    alice.submit(&submit_body("path-2")).await;

    let book = relay.log_book();
    let intent = book
        .iter()
        .find(|(_, entry)| matches!(entry.event, Event::Intent(_)))
        .unwrap()
        .0;
    let settled = book.iter().find_map(|(seq, entry)| match &entry.event {
        Event::Settlement(settlement) => Some((*seq, settlement.intent, settlement.outcome)),
        _ => None,
    });
    assert_eq!(settled, Some((intent + 1, intent, Outcome::Succeeded)));
}

#[tokio::test]
async fn a_repeat_of_an_idempotency_key_is_replayed_and_not_sent_again() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-42");

    let first = alice.submit(&submit_body("path-3")).await;
    let again = alice.submit(&submit_body("path-3")).await;

    assert_eq!(first.body, again.body);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(relay.seen("path-3"), 1);
}
