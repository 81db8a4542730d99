//! A job's end is told to whom its submitter named: signed, again when that failed, and once.

use standardwebhooks::Webhook;
use tollgate::store::webhooks;

use super::*;
use crate::support::{Say, Script, replying};

const SECRET: &str = "callback-canary-secret-0123456789abcdef";

async fn telling(says: impl IntoIterator<Item = Say>) -> (Script, Relay, Client) {
    let receiver = Script::start(says).await;
    let builder = Relay::build()
        .with("INTERNAL_CALLBACK_SECRET", SECRET)
        .with("WEBHOOK_ALLOW", &receiver.address.to_string());
    let (relay, alice) = start_with(builder).await;
    (receiver, relay, alice)
}

fn hooked(receiver: &Script, job: Value) -> Value {
    with(
        job,
        "webhook",
        json!({ "url": format!("http://{}/hook?token=canary", receiver.address) }),
    )
}

/// How often the job's end was told, and what came of it noted.
fn attempts(relay: &Relay, id: &str) -> u32 {
    let job = id.parse().unwrap();
    let found = relay.services().store.read(|rows| webhooks::of_job(rows, job, 10));
    found.unwrap().iter().map(|(_, delivery)| delivery.attempts).sum()
}

fn taken() -> Say {
    Say::Bytes(replying("204 No Content", &[], ""))
}

#[tokio::test]
async fn a_jobs_end_is_told_once_and_can_be_verified() {
    let (receiver, relay, alice) = telling([taken()]).await;
    let job = with(
        hooked(&receiver, batch([call("told"), asking(PROCESS, "x", "fail-50411")])),
        "metadata",
        json!({ "order": 7 }),
    );
    let id = accept(&alice, &job).await;
    assert_eq!(
        show(&alice, &id).await["webhook"],
        format!("http://{}", receiver.address)
    );
    ended(&alice, &id).await;

    eventually("it is told, and that is noted", async || attempts(&relay, &id) == 1).await;

    let heard = receiver.heard().remove(0);
    let secret = alice.get("/v1/key").await.json()["webhook_secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let headers = heard
        .headers()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    Webhook::new(&secret).unwrap().verify(&heard.body, &headers).unwrap();
    let told: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(
        (&told["type"], &told["data"]["id"]),
        (&json!("job.partially_failed"), &json!(id))
    );
    assert_eq!(
        (&told["data"]["metadata"], &told["data"]["failed_ratio"]),
        (&json!({ "order": 7 }), &json!(0.5))
    );
    assert_eq!(told["data"]["counts"]["failed"], 1);
    for _ in 0..10 {
        relay.later(Duration::from_mins(30)).await;
        show(&alice, &id).await;
    }
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_under_the_same_id() {
    let failed = Say::Bytes(replying("500 Internal Server Error", &[], ""));
    let (receiver, relay, alice) = telling([failed.clone(), failed, taken()]).await;
    let id = accept(&alice, &hooked(&receiver, call("again"))).await;
    ended(&alice, &id).await;

    // Time passes only while nothing is being told: a receiver that is slow to answer is told again too.
    for told in 1..=3 {
        eventually("what it answered is noted", async || attempts(&relay, &id) == told).await;
        relay.later(Duration::from_hours(2)).await;
    }

    relay.later(Duration::from_hours(12)).await;
    let heard = receiver.heard();
    assert_eq!((heard.len(), attempts(&relay, &id)), (3, 3));
    assert!(
        heard
            .iter()
            .all(|one| one.header("webhook-id") == heard[0].header("webhook-id"))
    );
    assert!(heard.iter().all(|one| one.body == heard[0].body));
}

#[tokio::test]
async fn a_cancelled_job_is_told_of_too_and_a_retried_one_again() {
    let (receiver, relay, alice) = telling([taken()]).await;
    pause(&relay, "default").await;
    let cancelled = accept(&alice, &hooked(&receiver, call("cancelled"))).await;
    post_to(&alice, &cancelled, "cancel").await;
    resume(&relay, "default").await;
    eventually("it is told", async || receiver.heard().len() == 1).await;
    let failed = accept(&alice, &hooked(&receiver, asking(PROCESS, "failed", "fail-50411"))).await;
    eventually("it is told", async || receiver.heard().len() == 2).await;

    post_to(&alice, &failed, "retry").await;

    eventually("it is told again", async || receiver.heard().len() == 3).await;
    let types: Vec<Value> = receiver
        .heard()
        .iter()
        .map(|heard| serde_json::from_slice::<Value>(&heard.body).unwrap()["type"].clone())
        .collect();
    assert_eq!(types, ["job.cancelled", "job.failed", "job.failed"]);
}
