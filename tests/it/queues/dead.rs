//! Dead letters.

use super::*;

#[tokio::test]
async fn dead_letters_are_listed_by_queue_and_page_by_page() {
    use ItemState::{Dead, Succeeded};
    let relay = relay().await;
    let operator = relay.operator();
    let first = plant(&relay, "reports", 1, &[Succeeded, Dead, Dead]).await;
    let second = plant(&relay, "books", 2, &[Dead]).await;
    let letters = async |path: &str| -> Vec<(String, u64)> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..10 {
            let page = operator.get(&format!("{path}{cursor}")).await.json();
            for letter in page["items"].as_array().unwrap() {
                let index = letter["item"]["index"].as_u64().unwrap();
                found.push((letter["job"].as_str().unwrap().to_owned(), index));
            }
            let Some(next) = page["next_cursor"].as_str() else {
                return found;
            };
            cursor = format!("&cursor={next}");
        }
        panic!("it does not end")
    };

    let all = [(first.clone(), 1), (first.clone(), 2), (second.clone(), 0)];
    assert_eq!(letters("/admin/dead-letters?limit=1").await, all);
    assert_eq!(letters("/admin/dead-letters?limit=2").await, all);
    assert_eq!(letters("/admin/dead-letters?queue=reports").await, all[..2]);
    let page = operator.get("/admin/dead-letters?queue=books").await.json();
    let letter = &page["items"][0];
    assert_eq!(
        (&letter["queue"], &letter["item"]["attempts"]),
        (&json!("books"), &json!(3))
    );
    assert_eq!(letter["item"]["error"]["message"], "the upstream refused it");
}

#[tokio::test]
async fn dead_letters_are_tried_again_or_dropped_and_no_job_stops_the_others() {
    use ItemState::{Dead, Queued, Succeeded};
    let relay = relay().await;
    let operator = relay.operator();
    let runs = plant(&relay, "books", 1, &[Dead, Queued]).await;
    let ended = plant(&relay, "books", 1, &[Dead, Succeeded]).await;
    let other = plant(&relay, "reports", 1, &[Dead, Dead, Succeeded]).await;

    let retried = operator
        .post("/admin/dead-letters/retry", r#"{"queue":"books"}"#)
        .await
        .json();
    assert_eq!(retried["jobs"][0]["id"], json!(ended));
    assert_eq!(retried["jobs"][0]["counts"]["queued"], 1);
    assert_eq!(retried["skipped"][0]["id"], json!(runs));
    assert_eq!(retried["next_cursor"], Value::Null);

    let dropped = json!({ "job": other }).to_string();
    let dropped = operator.post("/admin/dead-letters/drop", &dropped).await.json();
    assert_eq!(dropped["jobs"][0]["counts"]["cancelled"], 2);
    let dropped = operator
        .post("/admin/dead-letters/drop", r#"{"queue":"books"}"#)
        .await
        .json();
    assert_eq!(dropped["jobs"][0]["id"], json!(runs));
    assert_eq!(operator.get("/admin/dead-letters").await.json()["items"], json!([]));

    for body in [
        "{}",
        r#"{"queue":"nowhere"}"#,
        r#"{"queue":"books","job":"job_1"}"#,
        r#"{"job":"seven"}"#,
    ] {
        assert_eq!(
            operator.post("/admin/dead-letters/drop", body).await.status,
            400,
            "{body}"
        );
    }
    assert_eq!(
        administered(&relay)[2..],
        [
            format!("job.retry {ended}"),
            format!("job.drop_dead {other}"),
            format!("job.drop_dead {runs}"),
        ]
    );
}
