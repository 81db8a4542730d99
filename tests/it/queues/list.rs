//! Jobs, found by whoever looks for them.

use super::*;

#[tokio::test]
async fn jobs_are_found_newest_first_by_every_filter_page_by_page() {
    use ItemState::{Queued, Running, Succeeded};
    let relay = relay().await;
    let operator = relay.operator();
    let mut planted = Vec::new();
    for (queue, owner, state) in [
        ("books", 1, Queued),
        ("reports", 1, Running),
        ("books", 2, Running),
        ("reports", 2, Succeeded),
        ("books", 1, Running),
    ] {
        planted.push(plant(&relay, queue, owner, &[state]).await);
    }
    let owner = |number: u64| OwnerId::from_bits(number).to_string();

    for (filter, expected) in [
        (String::new(), vec![4, 3, 2, 1, 0]),
        ("&queue=books".to_owned(), vec![4, 2, 0]),
        ("&state=running".to_owned(), vec![4, 2, 1]),
        ("&queue=books&state=running".to_owned(), vec![4, 2]),
        (format!("&owner={}", owner(1)), vec![4, 1, 0]),
        (format!("&owner={}&state=running&queue=books", owner(1)), vec![4]),
        (format!("&owner={}", owner(9)), vec![]),
        ("&queue=media".to_owned(), vec![]),
        ("&queue=nowhere".to_owned(), vec![]),
    ] {
        let expected: Vec<_> = expected.iter().map(|index: &usize| planted[*index].clone()).collect();
        for limit in [1, 2, 100] {
            let found = walked(&operator, &format!("/admin/jobs?limit={limit}{filter}")).await;
            assert_eq!(found, expected, "{filter}, {limit} a page");
        }
    }
}

#[tokio::test]
async fn a_rare_state_among_an_owners_jobs_gives_a_short_page_that_goes_on() {
    let relay = relay().await;
    let mut forest = vec![Planted::new(&relay, "books", 7, &[ItemState::Failed])];
    forest.extend((0..1100).map(|_| Planted::new(&relay, "books", 7, &[ItemState::Succeeded])));
    let failed = forest[0].id.to_string();
    relay.services().store.change(Forest(forest)).await.unwrap();
    let path = format!("/admin/jobs?state=failed&owner={}", OwnerId::from_bits(7));

    let first = relay.operator().get(&path).await;
    assert_eq!(ids(&first), [""; 0]);
    assert!(first.json()["next_cursor"].is_string());
    assert_eq!(walked(&relay.operator(), &path).await, [failed]);
}

#[tokio::test]
async fn a_filter_that_cannot_be_and_a_cursor_of_another_list_are_refused() {
    let relay = relay().await;
    let operator = relay.operator();
    for _ in 0..2 {
        plant(&relay, "books", 1, &[ItemState::Dead, ItemState::Dead]).await;
    }
    let other = operator.get("/admin/dead-letters?limit=1").await.json()["next_cursor"].clone();
    for (query, param) in [
        ("state=done", "state"),
        ("queue=No", "queue"),
        ("owner=alice", "owner"),
        ("limit=0", "limit"),
        ("cursor=AAAA", "cursor"),
        (&format!("cursor={}", other.as_str().unwrap()), "cursor"),
    ] {
        let reply = operator.get(&format!("/admin/jobs?{query}")).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["error"]["param"]),
            (400, &json!(param)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_job_shows_its_items_by_state_and_nothing_of_what_they_ask() {
    use ItemState::{Dead, Succeeded, Unknown};
    let relay = relay().await;
    let operator = relay.operator();
    let id = plant(
        &relay,
        "books",
        1,
        &[Succeeded, Dead, Succeeded, Unknown, Succeeded, Succeeded],
    )
    .await;

    let job = operator.get(&format!("/admin/jobs/{id}")).await.json();
    assert_eq!(
        (&job["state"], &job["held"]),
        (&json!("partially_failed"), &json!(false))
    );
    assert_eq!(
        (&job["counts"]["total"], &job["counts"]["dead"]),
        (&json!(6), &json!(1))
    );
    assert!((job["failed_ratio"].as_f64().unwrap() - 1.0 / 6.0).abs() < 1e-9);

    let first = operator.get(&format!("/admin/jobs/{id}/items?limit=4")).await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = operator
        .get(&format!("/admin/jobs/{id}/items?cursor={cursor}"))
        .await
        .json();
    let index = |item: &Value| item["index"].as_u64().unwrap();
    let seen: Vec<_> = [&first, &rest]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap().iter().map(index))
        .collect();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    assert!(first["items"][0].get("body").is_none());

    let dead = operator.get(&format!("/admin/jobs/{id}/items?state=dead")).await.json();
    assert_eq!(dead["items"].as_array().unwrap().len(), 1);
    assert_eq!(dead["items"][0]["error"]["code"], "UPSTREAM_FAILED");

    let other = plant(&relay, "books", 1, &[Succeeded]).await;
    let astray = operator
        .get(&format!("/admin/jobs/{other}/items?cursor={cursor}"))
        .await;
    assert_eq!(astray.status, 400);
    for path in ["/admin/jobs/job_1", "/admin/jobs/job_ffffffffffffffffffffffffffffffff"] {
        assert_eq!(operator.get(path).await.status, 404);
        assert_eq!(operator.get(&format!("{path}/items")).await.status, 404);
    }
}
