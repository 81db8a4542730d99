//! A job is its owner's: to everybody else it is not there.

use http::Method;

use super::*;

#[tokio::test]
async fn somebody_elses_job_is_not_there() {
    let (relay, alice) = start().await;
    pause(&relay, "default").await;
    let id = accept(&alice, &call("hers")).await;
    let bob = relay.client_with("bob", [Scope::Relay, Scope::Jobs]).await;
    for (method, path) in [
        (Method::GET, ""),
        (Method::GET, "/items"),
        (Method::POST, "/cancel"),
        (Method::POST, "/retry"),
        (Method::GET, "/events"),
        (Method::GET, "/logs"),
        (Method::GET, "/logs/summary"),
    ] {
        let path = format!("/v1/jobs/{id}{path}");
        let theirs = bob.send(method.clone(), &path, "").await.unwrap();
        let nobodys = path.replace(&id, "job_00000000000000000000000000000000");
        let nobodys = bob.send(method, &nobodys, "").await.unwrap();
        theirs.assert_error(404, "NOT_FOUND");
        nobodys.assert_error(404, "NOT_FOUND");
    }
    let line = json!({ "level": "info", "category": "work", "message": "x" }).to_string();
    bob.post(&format!("/v1/jobs/{id}/logs"), &line)
        .await
        .assert_error(404, "NOT_FOUND");
    assert_eq!(bob.get("/v1/jobs").await.json()["items"], json!([]));
    assert_eq!(show(&alice, &id).await["state"], "queued");
}

#[tokio::test]
async fn an_item_cannot_ask_about_somebody_elses_task() {
    let (relay, alice) = start().await;
    let bob = relay.client_with("bob", [Scope::Jobs]).await;
    let task_id = alice.submit(&crate::support::submit_body("hers")).await.task_id();
    let body = json!({ "req_key": "jimeng_t2i_v40", "task_id": task_id });
    for operation in [QUERY, "CVCancelTask"] {
        let id = accept(&bob, &json!({ "operation": operation, "body": body })).await;

        assert_eq!(ended(&bob, &id).await["state"], "failed");
        assert_eq!(item(&bob, &id, 0).await["error"]["code"], "NOT_FOUND", "{operation}");
    }
    let traffic = relay.upstream.seen().traffic;
    assert_eq!((traffic.queries, traffic.cancels), (0, 0));
}

#[tokio::test]
async fn what_is_no_id_names_no_job() {
    let (_relay, alice) = start().await;
    for id in [
        "1",
        "job_",
        "job_xyz",
        "..%2f..",
        "job_0000000000000000000000000000000g",
    ] {
        assert_eq!(alice.get(&format!("/v1/jobs/{id}")).await.code(), "NOT_FOUND", "{id}");
    }
}

#[tokio::test]
async fn a_family_shares_its_jobs() {
    let (relay, alice) = start().await;
    let id = accept(&alice, &call("family")).await;
    let path = format!("/admin/keys/{}/rotate", alice.issued().key.id);
    let rotated = relay.operator().post(&path, r#"{"grace_seconds":0}"#).await.json();
    let secret = format!("Bearer {}", rotated["secret_key"].as_str().unwrap());
    let successor = relay.stranger().header("authorization", &secret);

    assert_eq!(ended(&successor, &id).await["state"], "succeeded");
}

#[tokio::test]
async fn jobs_are_listed_newest_first_in_pages_and_by_state() {
    let (relay, alice) = start().await;
    let mut ids = Vec::new();
    for at in 0..5 {
        let id = accept(&alice, &call(&format!("list-{at}"))).await;
        ended(&alice, &id).await;
        relay.clock.forward(Duration::from_millis(2));
        ids.insert(0, id);
    }
    pause(&relay, "default").await;
    let waits = accept(&alice, &call("list-5")).await;
    let named = |page: &Value| -> Vec<String> {
        let jobs = page["items"].as_array().unwrap().iter();
        jobs.map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };

    assert_eq!(named(&alice.get("/v1/jobs?state=queued").await.json()), [waits.clone()]);
    assert_eq!(named(&alice.get("/v1/jobs?state=succeeded").await.json()), ids);
    let first = alice.get("/v1/jobs?limit=4").await.json();
    let next = format!("/v1/jobs?limit=4&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = alice.get(&next).await.json();
    assert_eq!(named(&first)[0], waits);
    assert_eq!([named(&first), named(&second)].concat()[1..], ids);
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(alice.get("/v1/jobs?state=happy").await.status, 400);
}
