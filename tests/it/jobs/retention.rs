//! Forgetting: jobs that ended long ago, or that are too many, go with all that belongs to them.

use tollgate::jobs::Retention;

use super::*;

/// How many rows the tables of jobs hold, but for the queues' counts.
fn rows(relay: &Relay) -> u64 {
    let counts = relay
        .services()
        .store
        .read(|reader: &mut tollgate::store::Reader| reader.row_counts())
        .unwrap();
    let ours = counts
        .iter()
        .filter(|(name, _)| name.contains("job") || name.contains("dead"));
    ours.filter(|(name, _)| !name.contains("queue"))
        .map(|(_, rows)| rows)
        .sum()
}

async fn forget(relay: &Relay, age: Duration, most: u64) {
    let retention = Retention { age, most };
    relay.services().jobs.retain(retention, relay.wall()).await.unwrap();
}

/// Every kind of end there is, with lines of a log.
async fn mixed(relay: &Relay, alice: &Client) -> Vec<String> {
    order(
        relay,
        Rule::on("/v1/chat/completions", Fault::concurrency_limit()).always(),
    );
    order(relay, Rule::on(SUBMIT, Fault::Reset));
    serve(relay, "gpt-4o").await;
    let dead = chat("gpt-4o", "dead");
    let job = with(
        batch([call("r-0"), task("r-1"), asking(PROCESS, "r-2", "fail-50411"), dead]),
        "retry",
        json!({ "max_attempts": 1 }),
    );
    let deadline = relay.wall().plus(Duration::from_hours(1)).to_string();
    let first = accept(&alice.idempotent("order-1"), &with(job, "deadline", deadline)).await;
    ended_later(relay, alice, &first).await;
    let second = accept(alice, &task("r-3")).await;
    ended_later(relay, alice, &second).await;
    let third = accept(alice, &with(call("r-4"), "delay", 600)).await;
    post_to(alice, &third, "cancel").await;
    vec![first, second, third]
}

#[tokio::test]
async fn a_job_that_ended_long_ago_is_forgotten_with_all_that_is_its() {
    let (relay, alice) = start().await;
    assert_eq!(rows(&relay), 0);
    let ids = mixed(&relay, &alice).await;
    let logs = json!({ "level": "info", "category": "work", "message": "a line" }).to_string();
    let logged = alice.post(&format!("/v1/jobs/{}/logs", ids[0]), &logs).await;
    assert!(logged.status.is_success(), "{logged:?}");
    relay.later(Duration::from_secs(5)).await;
    assert!(rows(&relay) > 20);

    forget(&relay, Duration::from_hours(1), 1000).await;
    assert_eq!(show(&alice, &ids[0]).await["id"], ids[0]);
    relay.clock.forward(Duration::from_mins(61));
    forget(&relay, Duration::from_hours(1), 1000).await;

    for id in &ids {
        assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.status, 404);
    }
    assert_eq!(rows(&relay), 0);
    let row = queue_row(&relay, "default");
    let standing: u64 = tollgate::model::job::queue::Standing::ALL
        .into_iter()
        .map(|standing| row.of(standing))
        .sum();
    assert_eq!(standing, 0, "{row:?}");
}

#[tokio::test]
async fn when_too_many_have_ended_the_oldest_go_and_what_runs_stays() {
    let (relay, alice) = start().await;
    let mut ids = Vec::new();
    for at in 0..5 {
        let id = accept(&alice, &call(&format!("many-{at}"))).await;
        ended(&alice, &id).await;
        ids.push(id);
    }
    pause(&relay, "default").await;
    let waits = accept(&alice, &call("waits")).await;

    forget(&relay, Duration::from_hours(1), 2).await;

    let mut there = Vec::new();
    for id in &ids {
        there.push(alice.get(&format!("/v1/jobs/{id}")).await.status == 200);
    }
    assert_eq!(there, [false, false, false, true, true]);
    assert_eq!(show(&alice, &waits).await["state"], "queued");
}

#[tokio::test]
async fn the_process_forgets_by_itself() {
    let (relay, alice) = start_with(Relay::build().with("JOB_RETENTION", "1h")).await;
    let id = accept(&alice, &call("by-itself")).await;
    ended(&alice, &id).await;

    let is_forgotten = async || alice.get(&format!("/v1/jobs/{id}")).await.status == 404;
    relay
        .later_until(Duration::from_mins(2), "it is forgotten", is_forgotten)
        .await;
}
