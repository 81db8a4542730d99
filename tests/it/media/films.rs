//! Films: ordered, shown, listed, deleted.

use super::*;

#[tokio::test]
async fn a_film_is_ordered_polled_and_fetched() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;

    let ordered = client.post(VIDEOS, &film("whole").to_string()).await;

    let order = ordered.json();
    assert_eq!(
        (&order["object"], &order["model"]),
        (&json!("video"), &json!("t2v-720"))
    );
    assert_eq!((&order["seconds"], &order["size"]), (&json!("4"), &json!("1280x720")));
    assert_eq!(ordered.header("openai-poll-after-ms"), Some("2000"));
    let made = finished(&relay, &client, order["id"].as_str().unwrap()).await;
    assert_eq!(
        (&made["status"], &made["progress"]),
        (&json!("completed"), &json!(100)),
        "{made}"
    );
    let (completed, expires) = (
        made["completed_at"].as_i64().unwrap(),
        made["expires_at"].as_i64().unwrap(),
    );
    assert!(made["created_at"].as_i64().unwrap() <= completed && completed + 11 * 3600 < expires);
    let film = content(&client, made["id"].as_str().unwrap()).await;
    assert_eq!(
        (film.status.as_u16(), film.header("content-type")),
        (200, Some("video/mp4"))
    );
    assert_eq!(film.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        film.header("content-length"),
        Some(film.body.len().to_string().as_str())
    );
    assert_eq!(&film.body[4..8], b"ftyp");
    assert_eq!(submits(&relay, "whole"), 1);
}

#[tokio::test]
async fn a_film_is_ordered_with_a_form_too() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    let mut form = Vec::new();
    for (name, value) in [("model", "i2v-first-720"), ("prompt", "marker-form"), ("seconds", "8")] {
        form.extend_from_slice(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
        );
    }
    let head = "--b\r\nContent-Disposition: form-data; name=\"input_reference\"; filename=\"a.png\"\r\n\r\n";
    form.extend_from_slice(head.as_bytes());
    form.extend_from_slice(PNG);
    form.extend_from_slice(b"\0\r\n--b--\r\n");
    let headers = HeaderMap::from_iter([
        (
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("multipart/form-data; boundary=b"),
        ),
        (
            http::header::AUTHORIZATION,
            HeaderValue::from_str(client.bearer().trim_start_matches("Authorization: ")).unwrap(),
        ),
    ]);

    let ordered = client.post_with(VIDEOS, form, headers).await;

    assert_eq!(ordered.status, 200, "{ordered:?}");
    let id = ordered.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(finished(&relay, &client, &id).await["status"], "completed");
    assert_eq!(submits(&relay, "form"), 1);
}

#[tokio::test]
async fn a_film_that_cannot_be_is_refused_before_anything_is_sent() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    for (field, value, status) in [
        ("seconds", json!("7"), 400),
        ("seconds", json!(12), 400),
        ("size", json!("1000x1100"), 400),
        ("input_reference", json!("https://example.com/a.png"), 400),
        ("fps", json!(24), 400),
        ("model", json!("jimeng_t2i_v40"), 400),
        ("model", json!("sora-2"), 404),
    ] {
        let mut body = film("wrong");
        body[field] = value;
        let reply = client.post(VIDEOS, &body.to_string()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["error"]["param"]),
            (status, &json!(field)),
            "{reply:?}"
        );
    }
    let text = client.header("content-type", "text/plain").post(VIDEOS, "waves").await;
    text.assert_error(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(submits(&relay, "wrong"), 0);
}

#[tokio::test]
async fn an_order_that_is_repeated_with_its_idempotency_key_is_the_same_film() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await.idempotent("film-1");

    let (first, second) = (order(&client, &film("once")).await, order(&client, &film("once")).await);

    assert_eq!(first, second);
    finished(&relay, &client, &first).await;
    assert_eq!(submits(&relay, "once"), 1);
}

#[tokio::test]
async fn a_film_that_failed_says_why_in_the_providers_words() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    for (code, words) in [(50412, "Text Risk Not Pass"), (50516, "Post Video Risk Not Pass")] {
        let mut body = film("failed");
        body["prompt"] = json!(format!("fail-{code}"));
        let id = order(&client, &body).await;

        let failed = finished(&relay, &client, &id).await;

        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["error"], json!({ "code": code.to_string(), "message": words }));
        content(&client, &id).await.assert_error(400, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn nobody_finds_anybody_elses_film() {
    let (relay, _, id) = made("mine").await;
    let stranger = relay.client("stranger").await;
    let path = format!("{VIDEOS}/{id}");
    for reply in [
        stranger.get(&path).await,
        content(&stranger, &id).await,
        stranger.send(Method::DELETE, &path, "").await.unwrap(),
        stranger.get(&format!("{VIDEOS}/video_nonsense")).await,
    ] {
        reply.assert_error(404, "NOT_FOUND");
    }
    assert_eq!(stranger.get(VIDEOS).await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_job_that_is_no_film_is_no_video() {
    let relay = Relay::start().await;
    let client = relay.client("painter").await;
    let reply = draw(&relay, &client, &picture("no-film", &json!({}))).await;
    let digits = reply
        .header("tollgate-job")
        .unwrap()
        .trim_start_matches("job_")
        .to_owned();
    client
        .get(&format!("{VIDEOS}/video_{digits}"))
        .await
        .assert_error(404, "NOT_FOUND");
    assert_eq!(client.get(VIDEOS).await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_film_that_was_deleted_is_not_found() {
    let (relay, client, id) = made("deleted").await;
    let path = format!("{VIDEOS}/{id}");

    let deleted = client.send(Method::DELETE, &path, "").await.unwrap();

    assert_eq!(
        deleted.json(),
        json!({ "id": id, "object": "video.deleted", "deleted": true })
    );
    client.get(&path).await.assert_error(404, "NOT_FOUND");
    content(&client, &id).await.assert_error(404, "NOT_FOUND");
    assert_eq!(client.get(VIDEOS).await.json()["data"], json!([]));
    drop(relay);
}

#[tokio::test]
async fn a_film_that_is_deleted_before_it_is_made_is_cancelled() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    let id = order(&client, &film("early")).await;
    eventually("it is submitted", async || submits(&relay, "early") == 1).await;

    let deleted = client
        .send(Method::DELETE, &format!("{VIDEOS}/{id}"), "")
        .await
        .unwrap();

    assert_eq!(deleted.status, 200, "{deleted:?}");
    client
        .get(&format!("{VIDEOS}/{id}"))
        .await
        .assert_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn films_are_listed_page_by_page_in_either_order() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(order(&client, &film(&format!("listed-{number}"))).await);
        // Ids of one millisecond have no order.
        relay.clock.forward(Duration::from_millis(5));
    }
    let listed = async |query: String| client.get(&format!("{VIDEOS}?{query}")).await.json();
    let named = |page: &Value| -> Vec<String> {
        let films = page["data"].as_array().unwrap().iter();
        films.map(|film| film["id"].as_str().unwrap().to_owned()).collect()
    };

    let first = listed("limit=2".to_owned()).await;
    let rest = listed(format!("limit=2&after={}", first["last_id"].as_str().unwrap())).await;
    let rising = listed(format!("order=asc&after={}", ids[0])).await;

    assert_eq!(
        (named(&first), &first["has_more"]),
        (vec![ids[2].clone(), ids[1].clone()], &json!(true))
    );
    assert_eq!((named(&rest), &rest["has_more"]), (vec![ids[0].clone()], &json!(false)));
    assert_eq!(
        (named(&rising), &rising["first_id"]),
        (vec![ids[1].clone(), ids[2].clone()], &json!(ids[1]))
    );
    for query in ["limit=0", "limit=101", "order=up", "after=film"] {
        let reply = client.get(&format!("{VIDEOS}?{query}")).await;
        reply.assert_error(400, "VALIDATION_FAILED");
    }
}
