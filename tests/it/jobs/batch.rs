//! Many items in one job: each has its own end, and the job's follows from theirs.

use std::num::NonZeroU32;

use tollgate::sandbox::Answer;

use super::*;

/// Six calls, of which the third is one that the upstream rejects.
fn six(prefix: &str) -> Value {
    batch((0..6).map(|at| {
        let prompt = if at == 2 { "fail-50411" } else { "a cat" };
        asking(PROCESS, &format!("{prefix}-{at}"), prompt)
    }))
}

#[tokio::test]
async fn one_of_six_that_failed_is_a_sixth_and_retry_runs_it_alone_again() {
    let (relay, alice) = start().await;
    let id = accept(&alice, &six("six")).await;

    let job = ended(&alice, &id).await;

    assert_eq!(job["state"], "partially_failed");
    assert!(
        (job["failed_ratio"].as_f64().unwrap() * 100.0 - 16.7).abs() < 0.05,
        "{job}"
    );
    assert_eq!(
        (&job["counts"]["failed"], &job["counts"]["succeeded"]),
        (&json!(1), &json!(5))
    );
    let failed = item(&alice, &id, 2).await;
    assert_eq!(
        (&failed["state"], &failed["error"]["code"]),
        (&json!("failed"), &json!("50411"))
    );
    assert_eq!(failed["result"]["body"]["code"], 50_411);

    let again = post_to(&alice, &id, "retry").await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["failed_ratio"]),
        (200, &json!(0.0)),
        "{again:?}"
    );
    let job = ended(&alice, &id).await;

    assert_eq!(job["state"], "partially_failed");
    let seen: Vec<u64> = (0..6).map(|at| relay.seen(&format!("six-{at}"))).collect();
    assert_eq!(seen, [1, 1, 2, 1, 1, 1]);
}

#[tokio::test]
async fn a_retried_item_that_goes_well_ends_the_job_well() {
    let (relay, alice) = start().await;
    let rejected = Answer {
        status: http::StatusCode::BAD_REQUEST,
        code: Some(50_411),
        ..Answer::default()
    };
    order(&relay, Rule::any(Fault::Answer(rejected)));
    let id = accept(&alice, &batch([call("well")])).await;
    assert_eq!(ended(&alice, &id).await["state"], "failed");

    post_to(&alice, &id, "retry").await;

    let job = ended(&alice, &id).await;
    assert_eq!(
        (&job["state"], &job["failed_ratio"]),
        (&json!("succeeded"), &json!(0.0))
    );
    assert_eq!(relay.seen("well"), 2);
    assert_eq!(item(&alice, &id, 0).await["error"], Value::Null);
}

#[tokio::test]
async fn a_retried_item_does_not_show_what_it_was_answered_before() {
    let (relay, alice) = start().await;
    let id = accept(&alice, &batch([asking(PROCESS, "stale", "fail-50411")])).await;
    ended(&alice, &id).await;
    pause(&relay, "default").await;

    post_to(&alice, &id, "retry").await;

    let item = item(&alice, &id, 0).await;
    assert_eq!(
        (&item["state"], &item["result"], &item["error"]),
        (&json!("queued"), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn results_are_there_as_each_item_ends() {
    let (relay, alice) = start_with(Relay::build().with("JOB_QUEUES", "default:2")).await;
    order(&relay, Rule::on(PROCESS, Fault::Hang));
    let id = accept(&alice, &batch([call("one"), call("two"), call("three")])).await;

    // Whichever of the first two is sent first is the one that hangs.
    eventually("two have ended", async || {
        let mut states = states(&alice, &id).await;
        states.sort();
        states == ["running", "succeeded", "succeeded"]
    })
    .await;

    let job = show(&alice, &id).await;
    assert_eq!((&job["state"], &job["finished_at"]), (&json!("running"), &Value::Null));
    for item in items(&alice, &id).await {
        match item["state"].as_str() {
            Some("succeeded") => assert_eq!(item["result"]["body"]["code"], 10_000),
            _ => assert_eq!(item["result"], Value::Null),
        }
    }
}

#[tokio::test]
async fn a_poison_item_is_dead_after_its_attempts_and_the_others_are_unharmed() {
    let (relay, alice) = start().await;
    serve(&relay, "gpt-4o").await;
    let poison = chat("gpt-4o", "poison");
    order(
        &relay,
        Rule::on("/v1/chat/completions", Fault::concurrency_limit())
            .of_model("gpt-4o")
            .always(),
    );
    let job = with(
        batch([call("sound-0"), poison, call("sound-1")]),
        "retry",
        json!({ "max_attempts": 2, "backoff": 1 }),
    );
    let id = accept(&alice, &job).await;

    let job = ended_later(&relay, &alice, &id).await;

    assert_eq!(states(&alice, &id).await, ["succeeded", "dead", "succeeded"]);
    assert_eq!(
        (&job["state"], &job["counts"]["dead"]),
        (&json!("partially_failed"), &json!(1))
    );
    let dead = item(&alice, &id, 1).await;
    assert_eq!(dead["attempts"], 2, "{dead}");
    assert!(
        !dead["error"]["code"].is_null() && !dead["error"]["message"].is_null(),
        "{dead}"
    );
    assert_eq!((relay.seen("sound-0"), relay.seen("sound-1")), (1, 1));
}

#[tokio::test]
async fn a_dead_item_can_be_tried_again() {
    let (relay, alice) = start().await;
    let thrice = NonZeroU32::new(3).unwrap();
    order(&relay, Rule::any(Fault::concurrency_limit()).times(thrice));
    let id = accept(&alice, &with(call("raised"), "retry", json!({ "max_attempts": 1 }))).await;
    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "dead");

    post_to(&alice, &id, "retry").await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert_eq!(relay.seen("raised"), 4);
}

#[tokio::test]
async fn a_job_that_succeeded_or_still_runs_is_not_retried() {
    let (relay, alice) = start().await;
    let done = accept(&alice, &call("done")).await;
    ended(&alice, &done).await;
    post_to(&alice, &done, "retry")
        .await
        .assert_error(400, "VALIDATION_FAILED");
    order(&relay, Rule::any(Fault::Hang));
    let runs = accept(&alice, &call("runs")).await;
    until(&alice, &runs, &["running"]).await;
    post_to(&alice, &runs, "retry")
        .await
        .assert_error(400, "VALIDATION_FAILED");
    assert_eq!(relay.seen("done"), 1);
}

#[tokio::test]
async fn items_come_in_pages_in_their_order() {
    let (_relay, alice) = start().await;
    let id = accept(&alice, &batch((0..7).map(|at| call(&format!("page-{at}"))))).await;
    ended(&alice, &id).await;

    let mut path = format!("/v1/jobs/{id}/items?limit=3");
    let mut indexes = Vec::new();
    for _ in 0..4 {
        let page = alice.get(&path).await.json();
        let of_page = page["items"].as_array().unwrap().iter();
        indexes.extend(of_page.map(|item| item["index"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/jobs/{id}/items?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(indexes, [0, 1, 2, 3, 4, 5, 6]);
}
