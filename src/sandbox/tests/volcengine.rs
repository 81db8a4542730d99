use data_encoding::BASE64;

use super::*;

#[tokio::test]
async fn a_submitted_task_waits_then_runs_then_delivers_a_picture() {
    let scene = Scene::new().await;
    let submitted = scene
        .signed(
            "one",
            "CVSync2AsyncSubmitTask",
            &json!({"req_key": "jimeng_t2i_v40", "prompt": "a cat"}),
        )
        .await;
    assert_eq!(submitted.status, StatusCode::OK);
    assert!(submitted.headers.contains_key("x-tt-logid"));
    let answer = submitted.json();
    assert_eq!((&answer["code"], &answer["status"]), (&json!(10000), &json!(10000)));
    assert!(answer["time_elapsed"].as_str().unwrap().ends_with("ms"));
    let id = answer["data"]["task_id"].as_str().unwrap();
    assert_eq!(id.len(), 19);

    let query = json!({"req_key": "jimeng_t2i_v40", "task_id": id, "req_json": r#"{"return_url":true}"#});
    let state = || async { scene.signed("one", "CVSync2AsyncGetResult", &query).await.json()["data"].clone() };
    assert_eq!(state().await["status"], "in_queue");
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(state().await["status"], "generating");
    scene.clock.advance(Duration::from_secs(2));
    let done = state().await;
    assert_eq!(done["status"], "done");
    let picture = scene.get(done["image_urls"][0].as_str().unwrap()).await;
    assert_eq!(picture.headers["content-type"], "image/png");
    assert!(picture.body.starts_with(b"\x89PNG\r\n"));

    let inline = json!({"req_key": "jimeng_t2i_v40", "task_id": id});
    let done = scene.signed("one", "CVSync2AsyncGetResult", &inline).await.json();
    let base64 = done["data"]["binary_data_base64"][0].as_str().unwrap();
    assert_eq!(BASE64.decode(base64.as_bytes()).unwrap(), picture.body);
}

#[tokio::test]
async fn a_task_of_a_film_model_delivers_an_mp4() {
    let scene = Scene::with(|settings| settings.task_duration = Duration::ZERO).await;
    let film = json!({"req_key": "jimeng_ti2v_v30_pro", "prompt": "a cat"});
    let id = scene.signed("one", "CVSubmitTask", &film).await.json()["data"]["task_id"].clone();
    let query = json!({"req_key": "jimeng_ti2v_v30_pro", "task_id": id});
    let data = scene.signed("one", "CVGetResult", &query).await.json()["data"].clone();
    assert_eq!(
        (&data["status"], &data["aigc_meta_tagged"]),
        (&json!("done"), &json!(false))
    );
    let film = scene.get(data["video_url"].as_str().unwrap()).await;
    assert_eq!(film.headers["content-type"], "video/mp4");
    assert_eq!(&film.body[4..8], b"ftyp");
}

#[tokio::test]
async fn a_synchronous_call_delivers_a_link_if_asked_for_and_base64_if_not() {
    let scene = Scene::new().await;
    let link = scene
        .signed(
            "one",
            "CVProcess",
            &json!({"req_key": "jimeng_t2i_v30", "return_url": true}),
        )
        .await;
    assert!(
        link.json()["data"]["image_urls"][0]
            .as_str()
            .unwrap()
            .contains("/media/")
    );
    assert!((400..600).contains(&link.body.len()), "{}", link.body.len());
    let inline = scene
        .signed("one", "CVProcess", &json!({"req_key": "jimeng_t2i_v30"}))
        .await;
    assert!(inline.json()["data"]["binary_data_base64"][0].is_string());
}

#[tokio::test]
async fn nobody_sees_the_task_of_another_account() {
    let scene = Scene::new().await;
    let id = scene
        .signed("one", "CVSubmitTask", &json!({"req_key": "k"}))
        .await
        .json()["data"]["task_id"]
        .clone();
    let query = json!({"req_key": "k", "task_id": id});
    assert_eq!(
        scene.signed("two", "CVGetResult", &query).await.json()["data"]["status"],
        "not_found"
    );
    assert_eq!(
        scene.signed("one", "CVGetResult", &query).await.json()["data"]["status"],
        "in_queue"
    );
    let other_key = json!({"req_key": "other", "task_id": id});
    assert_eq!(
        scene.signed("one", "CVGetResult", &other_key).await.json()["code"],
        50400
    );
    let unknown = json!({"req_key": "k", "task_id": "1"});
    assert_eq!(
        scene.signed("one", "CVGetResult", &unknown).await.json()["data"]["status"],
        "not_found"
    );
}

#[tokio::test]
async fn a_task_can_be_cancelled_until_it_runs() {
    let scene = Scene::new().await;
    let submit = json!({"req_key": "k"});
    let id = scene.signed("one", "CVSubmitTask", &submit).await.json()["data"]["task_id"].clone();
    let task = json!({"req_key": "k", "task_id": id});
    assert_eq!(scene.signed("one", "CVCancelTask", &task).await.json()["code"], 10000);
    assert_eq!(
        scene.signed("one", "CVGetResult", &task).await.json()["data"]["status"],
        "cancelled"
    );

    let id = scene.signed("one", "CVSubmitTask", &submit).await.json()["data"]["task_id"].clone();
    scene.clock.advance(Duration::from_secs(1));
    let late = scene
        .signed("one", "CVCancelTask", &json!({"req_key": "k", "task_id": id}))
        .await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_prompt_can_ask_for_a_documented_failure() {
    let scene = Scene::with(|settings| settings.task_duration = Duration::ZERO).await;
    let submit = |prompt: &str| json!({"req_key": "jimeng_t2i_v40", "prompt": prompt});
    let refused = scene.signed("one", "CVSubmitTask", &submit("a forbidden cat")).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (StatusCode::BAD_REQUEST, &json!(50412))
    );
    let busy = scene.signed("one", "CVSubmitTask", &submit("fail-50430")).await;
    assert_eq!(
        (busy.status, &busy.json()["status"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!(50430))
    );

    let taken = scene.signed("one", "CVSubmitTask", &submit("fail-50511 later")).await;
    assert_eq!(taken.status, StatusCode::OK);
    let query = json!({"req_key": "jimeng_t2i_v40", "task_id": taken.json()["data"]["task_id"]});
    let ended = scene.signed("one", "CVGetResult", &query).await;
    assert_eq!(
        (ended.status, &ended.json()["code"]),
        (StatusCode::BAD_REQUEST, &json!(50511))
    );
    assert_eq!(ended.json()["data"], Value::Null);
}

#[tokio::test]
async fn a_call_that_is_not_signed_right_is_refused_in_the_gateways_envelope() {
    let scene = Scene::new().await;
    let query = "Action=CVProcess&Version=2022-08-31";
    let code = |reply: &Reply| reply.json()["ResponseMetadata"]["Error"]["Code"].clone();

    let mut tampered = scene.sign("one", query, r#"{"req_key":"k"}"#.to_owned());
    *tampered.body_mut() = Full::from(r#"{"req_key":"j"}"#);
    let reply = scene.send(tampered).await;
    assert_eq!(
        (reply.status, code(&reply)),
        (StatusCode::UNAUTHORIZED, json!("SignatureDoesNotMatch"))
    );

    let stranger = scene.send(scene.sign("three", query, "{}".to_owned())).await;
    assert_eq!(
        (stranger.status, code(&stranger)),
        (StatusCode::UNAUTHORIZED, json!("InvalidAccessKey"))
    );

    let old = scene.sign("one", query, "{}".to_owned());
    scene.clock.advance(Duration::from_secs(301));
    let reply = scene.send(old).await;
    assert_eq!(
        (reply.status, code(&reply)),
        (StatusCode::BAD_REQUEST, json!("InvalidTimestamp"))
    );

    let bare = Request::post(format!("http://{}/?{query}", scene.host()))
        .body(Full::default())
        .unwrap();
    let reply = scene.send(bare).await;
    assert_eq!(
        (reply.status, code(&reply)),
        (StatusCode::UNAUTHORIZED, json!("MissingAuthenticationToken"))
    );
}

#[tokio::test]
async fn an_unknown_action_or_version_is_refused() {
    let scene = Scene::new().await;
    for query in [
        "Action=CVDream&Version=2022-08-31",
        "Action=CVCancelTask&Version=2022-08-31",
        "Action=CVProcess",
    ] {
        let reply = scene.send(scene.sign("one", query, "{}".to_owned())).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{query}");
        assert_eq!(
            reply.json()["ResponseMetadata"]["Error"]["Code"],
            "InvalidActionOrVersion"
        );
    }
}

#[tokio::test]
async fn a_body_without_a_req_key_is_refused() {
    let scene = Scene::new().await;
    assert_eq!(
        scene
            .signed("one", "CVSubmitTask", &json!({"prompt": "x"}))
            .await
            .json()["code"],
        50400
    );
    let broken = scene.sign("one", "Action=CVSubmitTask&Version=2022-08-31", "{".to_owned());
    assert_eq!(scene.send(broken).await.json()["code"], 50215);
}

#[tokio::test]
async fn null_is_neither_text_nor_a_list_and_a_list_is_of_texts() {
    let scene = Scene::new().await;
    let wrong = [
        ("prompt", json!(null)),
        ("req_json", json!(null)),
        ("image_urls", json!(null)),
        ("image_urls", json!([{}])),
        ("binary_data_base64", json!([null])),
    ];
    for (field, value) in wrong {
        let mut body = json!({"req_key": "jimeng_t2i_v40"});
        body[field] = value;
        let reply = scene.signed("one", "CVSubmitTask", &body).await;
        assert_eq!(reply.json()["code"], 50215, "{field}");
    }
}

#[tokio::test]
async fn a_trusting_imitation_asks_for_no_signature() {
    let scene = Scene::with(|settings| settings.verification = Verification::Trusted).await;
    let bare = Request::post(format!("http://{}/?Action=CVProcess&Version=2022-08-31", scene.host()));
    let reply = scene.send(bare.body(Full::from(r#"{"req_key":"k"}"#)).unwrap()).await;
    assert_eq!(reply.json()["code"], 10000);
}
