//! The submits of a client, listed.

use super::*;

#[tokio::test]
async fn submits_are_listed_newest_first_in_pages() {
    let relay = Relay::start().await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    let mut tasks = Vec::new();
    for number in 0..5 {
        tasks.push(alice.submit(&submit_body(&format!("alice-{number}"))).await.task_id());
        bob.submit(&submit_body(&format!("bob-{number}"))).await;
    }
    tasks.reverse();

    let mut listed = Vec::new();
    let mut path = "/v1/tasks?limit=2".to_owned();
    let mut sizes = Vec::new();
    loop {
        let page = alice.get(&path).await.json();
        let items = page["items"].as_array().unwrap();
        sizes.push(items.len());
        listed.extend(items.iter().map(|item| item["task_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/tasks?limit=2&cursor={cursor}");
    }

    assert_eq!((listed, sizes), (tasks, vec![2, 2, 1]));
}

#[tokio::test]
async fn a_listed_submit_tells_what_came_of_it() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let reply = alice.submit(&submit_body("x")).await;
    relay.upstream.faults().push(Rule::any(Fault::Reset)).unwrap();
    alice.submit(&submit_body("y")).await;

    let page = alice.get("/v1/tasks").await.json();

    let (lost, kept) = (&page["items"][0], &page["items"][1]);
    assert_eq!((&lost["outcome"], lost.get("task_id")), (&"unknown".into(), None));
    assert_eq!(kept["outcome"], "succeeded");
    assert_eq!(kept["task_id"], reply.task_id());
    assert_eq!(kept["request_id"].as_str(), reply.header("x-request-id"));
    assert_eq!(kept["req_key"], "jimeng_t2i_v40");
    assert_eq!(kept["audit_id"], relay.intents()[0].0);
}

#[tokio::test]
async fn a_cursor_leads_through_no_list_but_its_own() {
    let relay = Relay::start().await;
    let (alice, bob, admin) = (
        relay.client("alice").await,
        relay.client("bob").await,
        relay.admin().await,
    );
    for marker in ["a", "b"] {
        alice.submit(&submit_body(marker)).await;
        bob.submit(&submit_body(marker)).await;
    }
    let cursor = alice.get("/v1/tasks?limit=1").await.json()["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();

    assert_eq!(alice.get(&format!("/v1/tasks?cursor={cursor}")).await.status, 200);
    bob.get(&format!("/v1/tasks?cursor={cursor}"))
        .await
        .assert_error(400, "VALIDATION_FAILED");
    for path in ["/admin/tasks", "/admin/audit"] {
        admin
            .get(&format!("{path}?cursor={cursor}"))
            .await
            .assert_error(400, "VALIDATION_FAILED");
    }
    let mut forged = cursor.into_bytes();
    forged[3] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    for wrong in [
        "cursor=",
        "cursor=nonsense",
        &format!("cursor={forged}"),
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
    ] {
        alice
            .get(&format!("/v1/tasks?{wrong}"))
            .await
            .assert_error(400, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn the_operator_sees_everybodys_submits_or_those_of_one() {
    let relay = Relay::start().await;
    let (alice, bob, admin) = (
        relay.client("alice").await,
        relay.client("bob").await,
        relay.admin().await,
    );
    alice.submit(&submit_body("a")).await;
    bob.submit(&submit_body("b")).await;
    let owner = alice.issued().key.owner.to_string();

    let all = admin.get("/admin/tasks").await.json();
    let hers = admin.get(&format!("/admin/tasks?owner={owner}")).await.json();

    assert_eq!(
        (
            all["items"].as_array().unwrap().len(),
            hers["items"].as_array().unwrap().len()
        ),
        (2, 1)
    );
    assert_eq!(hers["items"][0]["owner"], owner);
    alice.get("/admin/tasks").await.assert_error(403, "SCOPE_DENIED");
    admin
        .get("/admin/tasks?owner=own_x")
        .await
        .assert_error(400, "VALIDATION_FAILED");
}
