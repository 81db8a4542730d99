//! Tasks that run at the provider: followed to their end, and nobody is held up meanwhile.

use tollgate::sandbox::{Answer, Ends};

use super::*;

#[tokio::test]
async fn a_task_is_followed_to_its_end_and_its_result_kept() {
    let (relay, alice) = start().await;
    let id = accept(&alice, &task("followed")).await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");

    let item = item(&alice, &id, 0).await;
    let data = &item["result"]["body"]["data"];
    assert_eq!((&data["status"], relay.seen("followed")), (&json!("done"), 1));
    assert!(data["image_urls"][0].as_str().unwrap().starts_with("http"), "{data}");
    assert_eq!((&item["attempts"], item["task_id"].is_string()), (&json!(1), true));
}

#[tokio::test]
async fn no_worker_is_held_while_tasks_wait() {
    let (relay, _) = start_with(Relay::build().with("JOB_QUEUES", "default:1")).await;
    let alice = with_room(&relay, "alice", 50).await;
    for _ in 0..30 {
        order(&relay, Rule::on(SUBMIT, Fault::task(Ends::Never)));
    }

    let id = accept(&alice, &batch((0..30).map(|at| task(&format!("many-{at}"))))).await;

    until(&alice, &id, &["polling"; 30]).await;
    let other = accept(&alice, &call("other")).await;
    assert_eq!(ended(&alice, &other).await["state"], "succeeded");
}

#[tokio::test]
async fn a_task_that_is_done_with_an_error_code_is_failed() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(SUBMIT, Fault::task(Ends::Failed(50_511))));
    let id = accept(&alice, &task("risky")).await;

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "failed");

    let item = item(&alice, &id, 0).await;
    assert_eq!(
        (&item["state"], &item["error"]["code"]),
        (&json!("failed"), &json!("50511"))
    );
    assert_eq!(item["result"]["body"]["code"], 50_511);
}

#[tokio::test]
async fn a_task_that_expired_or_that_nobody_knows_is_failed() {
    for (ends, code) in [(Ends::Expired, "TASK_EXPIRED"), (Ends::NotFound, "TASK_NOT_FOUND")] {
        let (relay, alice) = start().await;
        order(&relay, Rule::on(SUBMIT, Fault::task(ends)));
        let id = accept(&alice, &task("gone")).await;

        assert_eq!(ended_later(&relay, &alice, &id).await["state"], "failed");

        assert_eq!(item(&alice, &id, 0).await["error"]["code"], code);
        assert_eq!(relay.seen("gone"), 1);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_never_taken_for_success() {
    let html = Fault::Answer(Answer {
        status: http::StatusCode::OK,
        body: Some("<html>".to_owned()),
        ..Answer::default()
    });
    for fault in [
        Fault::Reset,
        Fault::internal_error(),
        Fault::status(http::StatusCode::FORBIDDEN),
        html,
    ] {
        let (relay, alice) = start().await;
        order(&relay, Rule::on(QUERY, fault.clone()).always());
        let id = accept(&alice, &task("silent")).await;
        until(&alice, &id, &["polling"]).await;
        let questions = async || relay.upstream.seen().action(QUERY) >= 5;
        relay.later_until(SECOND, "it was asked", questions).await;
        assert_eq!(states(&alice, &id).await, ["polling"], "{fault:?}");

        relay.upstream.faults().clear();

        assert_eq!(
            ended_later(&relay, &alice, &id).await["state"],
            "succeeded",
            "{fault:?}"
        );
        assert_eq!(relay.seen("silent"), 1);
    }
}

#[tokio::test]
async fn a_task_that_runs_longer_than_it_may_is_failed() {
    let (relay, alice) = start().await;
    order(&relay, Rule::on(SUBMIT, Fault::task(Ends::Never)));
    let id = accept(&alice, &with(task("endless"), "limits", json!({ "task": 45 }))).await;
    let begun = relay.wall();

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "failed");

    assert_eq!(item(&alice, &id, 0).await["error"]["code"], "TASK_TIMEOUT");
    let took = relay.wall().since(begun).as_secs();
    // Long before the default of hours; on a busy machine the clock of the test runs ahead of the work.
    assert!((44..600).contains(&took), "{took} s");
}

#[tokio::test]
async fn a_result_is_kept_with_the_moment_at_which_what_it_names_is_gone() {
    for (req_key, hours) in [("jimeng_t2i_v40", 24), ("jimeng_t2v_v30", 1)] {
        let (relay, alice) = start().await;
        let mut film = task("expires");
        film["body"]["req_key"] = json!(req_key);
        let id = accept(&alice, &film).await;
        ended_later(&relay, &alice, &id).await;

        let item = item(&alice, &id, 0).await;
        let moment = |value: &Value| {
            value
                .as_str()
                .unwrap()
                .parse::<tollgate::model::clock::Timestamp>()
                .unwrap()
        };
        let lives = moment(&item["result"]["expires_at"])
            .since(moment(&item["finished_at"]))
            .as_secs_f64();
        assert!((lives / 3600.0 - f64::from(hours)).abs() < 0.01, "{req_key}: {lives} s");
    }
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_nobody_elses_timers() {
    let (relay, _) = start_with(Relay::build().with("JOB_QUEUES", "default:40")).await;
    let alice = with_room(&relay, "alice", 50).await;
    order(&relay, Rule::on(SUBMIT, Fault::task(Ends::Never)).always());
    order(&relay, Rule::on(QUERY, Fault::Hang).always());
    let hanging = accept(&alice, &batch((0..40).map(|at| task(&format!("hangs-{at}"))))).await;
    until(&alice, &hanging, &["polling"; 40]).await;
    relay.later(Duration::from_secs(3)).await;
    eventually("questions hang", async || relay.upstream.seen().action(QUERY) >= 8).await;

    let delayed = accept(&alice, &with(call("delayed"), "delay", 2)).await;
    relay.later(Duration::from_secs(3)).await;

    assert_eq!(ended(&alice, &delayed).await["state"], "succeeded");
}

#[tokio::test]
async fn a_restart_goes_on_asking_and_never_submits_again() {
    let (relay, alice) = start().await;
    let id = accept(&alice, &task("resumed")).await;
    until(&alice, &id, &["polling"]).await;

    let relay = relay.kill().await.start().await;
    let alice = alice.at(&relay.url);

    assert_eq!(ended_later(&relay, &alice, &id).await["state"], "succeeded");
    assert_eq!(relay.seen("resumed"), 1);
}
