//! What is tried again by itself, and what is not.

use std::sync::Arc;

use tollgate::sandbox::Answer;

use super::*;
use crate::support::{Brake, Stop};

/// The imitation as Volcengine says no with this code.
fn code(status: u16, code: u32) -> Fault {
    Fault::Answer(Answer {
        status: http::StatusCode::from_u16(status).unwrap(),
        code: Some(code),
        ..Answer::default()
    })
}

#[tokio::test]
async fn what_is_refused_is_tried_again_after_a_growing_wait_until_it_is_dead() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(PROCESS, Fault::concurrency_limit()).always());
    let job = with(call("refused"), "retry", json!({ "max_attempts": 3, "backoff": 20 }));
    let id = accept(&alice, &job).await;

    // Each attempt is three requests: the relay's own short retries are within it.
    for (attempts, least, most) in [(1, 10, 20), (2, 20, 40)] {
        relay
            .later_until(SECOND, "an attempt was made", async || {
                item(&alice, &id, 0).await["attempts"] == attempts
            })
            .await;
        let waits = item(&alice, &id, 0).await;
        assert_eq!(
            (&waits["state"], &waits["error"]["code"]),
            (&json!("queued"), &json!("50430"))
        );
        let due: tollgate::model::clock::Timestamp = waits["due_at"].as_str().unwrap().parse().unwrap();
        let wait = due.since(relay.wall()).as_secs_f64();
        assert!((f64::from(least) - 3.0..=f64::from(most)).contains(&wait), "{wait} s");
        assert_eq!(relay.seen("refused"), 3 * attempts);
    }
    let job = ended_later(&relay, &alice, &id).await;

    assert_eq!((&job["state"], &job["failed_ratio"]), (&json!("dead"), &json!(1.0)));
    assert_eq!(
        (item(&alice, &id, 0).await["attempts"].as_u64(), relay.seen("refused")),
        (Some(3), 9)
    );
    let letters = queue_row(&relay, "default");
    assert_eq!(letters.of(tollgate::model::job::queue::Standing::Dead), 1);
}

#[tokio::test]
async fn a_refusal_that_asks_for_patience_is_given_it() {
    let (relay, alice) = start().await;
    let patience = Answer {
        status: http::StatusCode::TOO_MANY_REQUESTS,
        code: Some(50_430),
        retry_after: Some(http::HeaderValue::from_static("300")),
        ..Answer::default()
    };
    order(&relay, Rule::any(Fault::Answer(patience)));
    let id = accept(&alice, &call("patience")).await;
    until_attempted(&alice, &id, 1).await;

    relay.later(Duration::from_secs(290)).await;
    assert_eq!(
        (&item(&alice, &id, 0).await["state"], relay.seen("patience")),
        (&json!("queued"), 1)
    );

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
}

async fn until_attempted(alice: &Client, id: &str, attempts: u64) {
    eventually("it was attempted", async || {
        item(alice, id, 0).await["attempts"] == attempts
    })
    .await;
}

#[tokio::test]
async fn of_two_retries_at_once_one_is_done() {
    let (relay, alice) = start().await;
    let id = accept(&alice, &asking(PROCESS, "twice", "fail-50411")).await;
    ended(&alice, &id).await;
    pause(&relay, "default").await;

    let replies = tokio::join!(post_to(&alice, &id, "retry"), post_to(&alice, &id, "retry"));

    let mut told = [replies.0.status.as_u16(), replies.1.status.as_u16()];
    told.sort_unstable();
    assert_eq!(told, [200, 400]);
    resume(&relay, "default").await;
    ended(&alice, &id).await;
    assert_eq!(relay.seen("twice"), 2);
}

#[tokio::test]
async fn a_query_as_an_item_is_asked_again_when_nobody_answered() {
    let (relay, alice) = start().await;
    let task_id = alice.submit(&crate::support::submit_body("asked")).await.task_id();
    order(
        &relay,
        Rule::on(QUERY, Fault::internal_error()).times(NonZeroU32::new(3).unwrap()),
    );
    let body = json!({ "req_key": "jimeng_t2i_v40", "task_id": task_id });
    let id = accept(&alice, &json!({ "operation": QUERY, "body": body })).await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert_eq!(item(&alice, &id, 0).await["result"]["body"]["code"], 10_000);
}

#[tokio::test]
async fn what_was_refused_once_goes_well_the_next_time() {
    let (relay, alice) = start().await;
    let thrice = NonZeroU32::new(3).unwrap();
    order(&relay, Rule::any(Fault::concurrency_limit()).times(thrice));
    let id = accept(&alice, &task("again")).await;

    let job = ended_later(&relay, &alice, &id).await;

    assert_eq!((&job["state"], relay.seen("again")), (&json!("succeeded"), 4));
    assert_eq!(item(&alice, &id, 0).await["attempts"], 2);
}

#[tokio::test]
async fn what_no_connection_took_is_tried_again_and_then_dead() {
    let brake = Arc::new(Brake::new(Stop::NoConnection));
    let (relay, alice) = start_with(Relay::build().transport(brake.clone())).await;
    let twice = json!({ "max_attempts": 2, "backoff": 1 });
    let unsent = accept(
        &alice,
        &with(batch([task("unsent-0"), call("unsent-1")]), "retry", twice),
    )
    .await;

    let job = ended_later(&relay, &alice, &unsent).await;

    assert_eq!(
        (&job["state"], states(&alice, &unsent).await),
        (&json!("dead"), vec!["dead".to_owned(); 2])
    );
    for item in items(&alice, &unsent).await {
        assert_eq!(item["attempts"], 2, "{item}");
    }
    brake.stop_at(Stop::Nowhere);
    post_to(&alice, &unsent, "retry").await;
    assert_eq!(ended_later(&relay, &alice, &unsent).await["state"], "succeeded");
    assert_eq!((relay.seen("unsent-0"), relay.seen("unsent-1")), (1, 1));
}

#[tokio::test]
async fn what_the_client_got_wrong_is_failed_at_once() {
    for (status, number) in [(400, 50_411), (400, 50_412)] {
        let (relay, alice) = start().await;
        order(&relay, Rule::any(code(status, number)).always());
        let id = accept(&alice, &batch([call("wrong-call"), task("wrong-task")])).await;

        let job = ended(&alice, &id).await;

        assert_eq!(
            (&job["state"], states(&alice, &id).await),
            (&json!("failed"), vec!["failed".to_owned(); 2])
        );
        assert_eq!((relay.seen("wrong-call"), relay.seen("wrong-task")), (1, 1), "{number}");
        for item in items(&alice, &id).await {
            assert_eq!(
                (&item["error"]["code"], &item["attempts"]),
                (&json!(number.to_string()), &json!(1))
            );
        }
    }
}

#[tokio::test]
async fn an_openai_rejection_keeps_its_answer() {
    let (relay, alice) = start().await;
    order(&relay, Rule::any(crate::support::error(400)).always());
    serve(&relay, "gpt-4o").await;
    let id = accept(&alice, &chat("gpt-4o", "no")).await;

    assert_eq!(ended(&alice, &id).await["state"], "failed");

    let item = item(&alice, &id, 0).await;
    assert_eq!(
        (&item["state"], &item["result"]["status"]),
        (&json!("failed"), &json!(400))
    );
    assert_eq!(item["result"]["body"]["error"]["code"], "invalid_value");
    assert_eq!(relay.seen("marker-no"), 1);
}

#[tokio::test]
async fn what_has_not_ended_at_the_deadline_is_failed() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(PROCESS, Fault::concurrency_limit()).always());
    let deadline = relay.wall().plus(Duration::from_secs(30)).to_string();
    let job = with(
        batch([call("late-0"), task("late-1")]),
        "retry",
        json!({ "max_attempts": 20, "backoff": 20 }),
    );
    order(&relay, Rule::on(SUBMIT, Fault::task(tollgate::sandbox::Ends::Never)));
    let id = accept(&alice, &with(job, "deadline", deadline)).await;

    let job = ended_later(&relay, &alice, &id).await;

    assert_eq!(job["state"], "failed");
    for item in items(&alice, &id).await {
        assert_eq!(
            (&item["state"], &item["error"]["code"]),
            (&json!("failed"), &json!("DEADLINE_EXCEEDED"))
        );
    }
    assert_eq!(relay.seen("late-1"), 1);
}

#[tokio::test]
async fn a_task_that_is_made_after_the_deadline_is_not_waited_for() {
    let (relay, alice) = start().await;
    order(
        &relay,
        Rule::on(SUBMIT, Fault::task(tollgate::sandbox::Ends::Never)).after(Duration::from_secs(15)),
    );
    let deadline = relay.wall().plus(Duration::from_secs(8)).to_string();
    let id = accept(&alice, &with(task("made-late"), "deadline", deadline)).await;
    eventually("it is upstream", async || relay.seen("made-late") == 1).await;

    let job = ended_later(&relay, &alice, &id).await;

    assert_eq!(job["state"], "failed");
    let item = item(&alice, &id, 0).await;
    assert_eq!(item["error"]["code"], "DEADLINE_EXCEEDED");
    assert!(!item["task_id"].is_null(), "{item}");
}

#[tokio::test]
async fn a_task_that_outlived_the_deadline_is_followed_by_a_retry_and_not_paid_again() {
    let (relay, alice) = start_with(Relay::build().task_duration(Duration::from_mins(1))).await;
    let deadline = relay.wall().plus(Duration::from_secs(20)).to_string();
    let id = accept(&alice, &with(task("outlived"), "deadline", deadline)).await;
    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "failed");

    post_to(&alice, &id, "retry").await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert_eq!(relay.seen("outlived"), 1);
}
