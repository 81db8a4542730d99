//! Tasks that take long, end badly or are asked about at a bad moment, and links that die.

use super::*;

const PICTURE: &str = "jimeng_t2i_v40";
const FILM: &str = "jimeng_t2v_v30";

/// Begins a task and tells its id.
async fn submit(scene: &Scene, req_key: &str) -> String {
    let body = json!({"req_key": req_key, "prompt": "a cat"});
    let answer = scene.signed("one", "CVSync2AsyncSubmitTask", &body).await.json();
    answer["data"]["task_id"].as_str().unwrap().to_owned()
}

/// Asks about a task, for links.
async fn query(scene: &Scene, req_key: &str, id: &str) -> Reply {
    let body = json!({"req_key": req_key, "task_id": id, "req_json": r#"{"return_url":true}"#});
    scene.signed("one", "CVSync2AsyncGetResult", &body).await
}

/// The state of a picture's task.
async fn status(scene: &Scene, id: &str) -> Value {
    query(scene, PICTURE, id).await.json()["data"]["status"].clone()
}

/// The link to a film that is done.
async fn film_link(scene: &Scene, id: &str) -> String {
    let data = query(scene, FILM, id).await.json()["data"].clone();
    data["video_url"].as_str().unwrap().to_owned()
}

async fn order(scene: &Scene, rule: Value) {
    let url = format!("http://{}/__faults", scene.host());
    let request = Request::post(url).body(Full::from(rule.to_string())).unwrap();
    assert_eq!(scene.send(request).await.status, StatusCode::OK, "{rule}");
}

async fn scene_of_quick_tasks() -> Scene {
    Scene::with(|settings| settings.task_duration = Duration::ZERO).await
}

#[tokio::test]
async fn a_link_dies_after_its_time_and_a_new_query_brings_another() {
    let scene = scene_of_quick_tasks().await;
    let id = submit(&scene, FILM).await;
    let old = film_link(&scene, &id).await;
    assert!(old.starts_with(&format!("http://{}/media/", scene.host())));

    scene.clock.advance(Duration::from_secs(3_599));
    assert_eq!(scene.get(&old).await.status, StatusCode::OK);
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.get(&old).await.status, StatusCode::FORBIDDEN);

    let new = film_link(&scene, &id).await;
    assert_ne!(new, old);
    assert_eq!(scene.get(&new).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_picture_lives_for_a_day_and_what_never_lived_is_refused() {
    let scene = scene_of_quick_tasks().await;
    let id = submit(&scene, PICTURE).await;
    let data = query(&scene, PICTURE, &id).await.json()["data"].clone();
    let link = data["image_urls"][0].as_str().unwrap();

    scene.clock.advance(Duration::from_hours(23));
    assert_eq!(scene.get(link).await.status, StatusCode::OK);
    scene.clock.advance(Duration::from_hours(1));
    assert_eq!(scene.get(link).await.status, StatusCode::FORBIDDEN);
    let (bare, _) = link.split_once('?').unwrap();
    assert_eq!(scene.get(bare).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_links_of_one_answer_can_be_dead_on_arrival() {
    let scene = scene_of_quick_tasks().await;
    let id = submit(&scene, FILM).await;
    order(
        &scene,
        json!({"on": "CVSync2AsyncGetResult", "then": {"kind": "links", "lifetime_ms": 0}}),
    )
    .await;
    let dead = film_link(&scene, &id).await;
    let alive = film_link(&scene, &id).await;
    assert_eq!(scene.get(&dead).await.status, StatusCode::FORBIDDEN);
    assert_eq!(scene.get(&alive).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_film_is_fetched_whole_or_in_parts() {
    let scene = scene_of_quick_tasks().await;
    let link = film_link(&scene, &submit(&scene, FILM).await).await;
    let whole = scene.get(&link).await;
    assert_eq!(whole.headers["accept-ranges"], "bytes");

    let part = |range: &'static str| {
        let request = Request::get(&link).header("range", range).body(Full::default());
        scene.send(request.unwrap())
    };
    let length = whole.body.len();
    let middle = part("bytes=4-7").await;
    assert_eq!((middle.status, middle.text()), (StatusCode::PARTIAL_CONTENT, "ftyp"));
    assert_eq!(middle.headers["content-range"], format!("bytes 4-7/{length}"));
    let behind = part("bytes=999999-").await;
    assert_eq!(behind.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(behind.headers["content-range"], format!("bytes */{length}"));
}

#[tokio::test]
async fn a_submit_can_be_told_how_its_task_ends() {
    let scene = Scene::new().await;
    let mut ids = Vec::new();
    for ends in [
        json!({"failed": 50411}),
        json!({"failed": 50500}),
        json!("expired"),
        json!("not_found"),
        json!("never"),
    ] {
        order(
            &scene,
            json!({"on": "CVSync2AsyncSubmitTask", "then": {"kind": "task", "ends": ends, "after_ms": 600}}),
        )
        .await;
        ids.push(submit(&scene, PICTURE).await);
    }
    for id in &ids {
        assert_eq!(status(&scene, id).await, "in_queue");
    }
    scene.clock.advance(Duration::from_millis(600));

    for (id, http, code) in [(&ids[0], 400, 50411), (&ids[1], 500, 50500)] {
        let failed = query(&scene, PICTURE, id).await;
        assert_eq!(
            (failed.status.as_u16(), &failed.json()["code"]),
            (http, &json!(code)),
            "{id}"
        );
        assert_eq!(failed.json()["data"], Value::Null);
    }
    assert_eq!(status(&scene, &ids[2]).await, "expired");
    assert_eq!(status(&scene, &ids[3]).await, "not_found");
    assert_eq!(status(&scene, &ids[4]).await, "generating");
    scene.clock.advance(Duration::from_hours(11));
    assert_eq!(status(&scene, &ids[4]).await, "generating");
}

#[tokio::test]
async fn a_film_that_the_documents_do_not_know_is_refused() {
    let scene = Scene::new().await;
    for body in [
        json!({"req_key": FILM, "prompt": "a cat", "frames": 96}),
        json!({"req_key": "jimeng_i2v_first_v30", "prompt": "a cat"}),
        json!({"req_key": "jimeng_i2v_first_v30", "prompt": "a cat", "image_urls": ["a", "b"]}),
    ] {
        let refused = scene.signed("one", "CVSync2AsyncSubmitTask", &body).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (StatusCode::BAD_REQUEST, &json!(50215))
        );
    }
    let body = json!({"req_key": "jimeng_i2v_first_v30", "frames": 241, "binary_data_base64": ["AAAA"]});
    let taken = scene.signed("one", "CVSync2AsyncSubmitTask", &body).await;
    assert_eq!(taken.status, StatusCode::OK);
}

#[tokio::test]
async fn a_query_can_fail_for_a_while_without_harm_to_the_task() {
    let scene = scene_of_quick_tasks().await;
    let id = submit(&scene, PICTURE).await;
    order(
        &scene,
        json!({"on": "CVSync2AsyncGetResult", "times": 2, "then": {"kind": "answer", "status": 502}}),
    )
    .await;
    for _ in 0..2 {
        assert_eq!(query(&scene, PICTURE, &id).await.status, StatusCode::BAD_GATEWAY);
    }
    assert_eq!(query(&scene, PICTURE, &id).await.json()["data"]["status"], "done");
}

#[tokio::test]
async fn what_is_fetched_can_be_spoiled_like_any_call() {
    let scene = scene_of_quick_tasks().await;
    let link = film_link(&scene, &submit(&scene, FILM).await).await;
    for then in [
        json!({"kind": "html"}),
        json!({"kind": "oversize", "bytes": 100_000}),
        json!({"kind": "redirect", "to": "http://127.0.0.1:1/"}),
    ] {
        order(&scene, json!({"on": "/media", "then": then})).await;
    }
    assert!(scene.get(&link).await.text().starts_with("<!doctype html>"));
    let large = scene.get(&link).await;
    assert_eq!(
        (large.headers["content-type"].to_str().unwrap(), large.body.len()),
        ("video/mp4", 100_000)
    );
    assert_eq!(scene.get(&link).await.status, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn submits_queries_and_fetches_are_counted_apart() {
    let scene = scene_of_quick_tasks().await;
    let id = submit(&scene, FILM).await;
    scene.signed("one", "CVSubmitTask", &json!({"req_key": FILM})).await;
    let link = film_link(&scene, &id).await;
    for _ in 0..3 {
        scene.get(&link).await;
    }
    let task = json!({"req_key": FILM, "task_id": id});
    scene.signed("one", "CVCancelTask", &task).await;

    let traffic = Traffic {
        submits: 2,
        queries: 1,
        cancels: 1,
        media: 3,
    };
    assert_eq!(scene.imitation.seen().traffic, traffic);
    let seen = scene.get(&format!("http://{}/__seen", scene.host())).await.json();
    assert_eq!(
        seen["traffic"],
        json!({"submits": 2, "queries": 1, "cancels": 1, "media": 3})
    );
}
