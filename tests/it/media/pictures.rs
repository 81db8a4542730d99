//! Pictures, for which somebody holds a connection open.

use super::*;

#[tokio::test]
async fn each_picture_is_a_submit_of_its_own_and_comes_as_a_url() {
    let relay = Relay::start().await;
    let client = relay.client("painter").await;

    let body = picture("three", &json!({ "n": 3, "size": "1024x1024" }));
    let reply = draw(&relay, &client, &body).await;

    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = reply.json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 3);
    assert!(
        answer["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|image| image["url"].is_string())
    );
    assert_eq!(answer["size"], "1024x1024");
    assert!(reply.header("tollgate-job").unwrap().starts_with("job_"));
    assert_eq!(submits(&relay, "three"), 3);
}

#[tokio::test]
async fn a_picture_comes_in_base64_if_that_is_asked_for() {
    let relay = Relay::start().await;
    let client = relay.client("painter").await;

    let body = picture("inline", &json!({ "response_format": "b64_json" }));
    let reply = draw(&relay, &client, &body).await;

    let image = &reply.json()["data"][0];
    let file = BASE64.decode(image["b64_json"].as_str().unwrap().as_bytes()).unwrap();
    assert!(file.starts_with(PNG) && image.get("url").is_none(), "{reply:?}");
}

#[tokio::test]
async fn pictures_that_take_too_long_are_a_504_that_names_the_job_which_goes_on() {
    let relay = Relay::build().task_duration(Duration::from_mins(2)).start().await;
    let client = relay.client_with("painter", [Scope::Relay, Scope::Jobs]).await;

    let reply = draw(&relay, &client, &picture("slow", &json!({}))).await;

    reply.assert_error(504, "UPSTREAM_TIMEOUT");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    let job = reply.header("tollgate-job").unwrap().to_owned();
    assert!(reply.text().contains(&job), "{reply:?}");
    assert_eq!(client.get(&format!("/v1/jobs/{job}")).await.json()["kind"], "images");
    for _ in 0..10 {
        relay.later(Duration::from_secs(20)).await;
    }
    let ended = async || client.get(&format!("/v1/jobs/{job}")).await.json()["state"] == "succeeded";
    eventually("the job ends without its client", ended).await;
    assert_eq!(submits(&relay, "slow"), 1);
}

#[tokio::test]
async fn a_repeat_with_its_idempotency_key_is_answered_by_the_same_job() {
    let relay = Relay::start().await;
    let client = relay.client("painter").await.idempotent("poster-1");
    let body = picture("repeated", &json!({}));

    let first = draw(&relay, &client, &body).await;
    let second = draw(&relay, &client, &body).await;
    let other = draw(&relay, &client, &picture("other", &json!({}))).await;

    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    other.assert_error(409, "IDEMPOTENCY_CONFLICT");
    assert_eq!((submits(&relay, "repeated"), submits(&relay, "other")), (1, 0));
}

#[tokio::test]
async fn what_the_provider_rejects_is_a_bad_request_in_its_own_words() {
    let relay = Relay::start().await;
    let client = relay.client("painter").await;
    for (code, words) in [(50412, "Text Risk Not Pass"), (50511, "Post Img Risk Not Pass")] {
        let marker = format!("rejected-{code}");
        let body = picture(&marker, &json!({ "prompt": format!("fail-{code}, marker-{marker}") }));

        let reply = draw(&relay, &client, &body).await;

        reply.assert_error(400, "VALIDATION_FAILED");
        assert_eq!(reply.json()["message"], format!("{code}: {words}"));
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        assert_eq!(submits(&relay, &marker), 1);
    }
}

#[tokio::test]
async fn a_submit_that_the_provider_fails_is_not_sent_again() {
    let relay = Relay::start().await;
    let client = relay.client("painter").await;
    relay
        .upstream
        .faults()
        .push(Rule::on(SUBMIT, Fault::internal_error()))
        .unwrap();

    let reply = draw(&relay, &client, &picture("broken", &json!({}))).await;

    reply.assert_error(502, "UPSTREAM_FAILED");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(submits(&relay, "broken"), 1);
}

#[tokio::test]
async fn pictures_go_on_without_a_client_that_hangs_up() {
    let relay = Relay::start().await;
    let client = relay.client_with("painter", [Scope::Relay, Scope::Jobs]).await;

    let drawing = drawing(&client, &picture("alone", &json!({})));
    eventually("it is submitted", async || submits(&relay, "alone") == 1).await;
    drawing.abort();

    for _ in 0..10 {
        relay.later(SECOND).await;
    }
    let jobs = async || client.get("/v1/jobs").await.json()["items"][0]["state"] == "succeeded";
    eventually("the job ends", jobs).await;
    assert_eq!(submits(&relay, "alone"), 1);
}

#[tokio::test]
async fn who_waits_for_pictures_when_the_process_ends_is_told_which_job_goes_on() {
    let relay = Relay::build().task_duration(Duration::from_mins(2)).start().await;
    let client = relay.client("painter").await;
    let drawing = drawing(&client, &picture("ending", &json!({})));
    eventually("it is submitted", async || submits(&relay, "ending") == 1).await;

    relay.drain();

    let reply = drawing.await.unwrap();
    reply.assert_error(503, "DRAINING");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert!(
        reply.text().contains(reply.header("tollgate-job").unwrap()),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_picture_that_cannot_be_is_refused_before_anything_is_sent() {
    let relay = Relay::start().await;
    let client = relay.client("painter").await;
    for (fields, param) in [
        (json!({ "size": "7x7" }), "size"),
        (json!({ "n": 11 }), "n"),
        (json!({ "stream": true }), "stream"),
        (json!({ "model": "t2v-720" }), "model"),
    ] {
        let reply = client.post(IMAGES, &picture("wrong", &fields).to_string()).await;
        reply.assert_error(400, "VALIDATION_FAILED");
        assert_eq!(reply.json()["error"]["param"], param);
    }
    assert_eq!(submits(&relay, "wrong"), 0);
}

#[tokio::test]
async fn a_keys_list_is_asked_for_the_name_that_its_client_uses() {
    let relay = Relay::start().await;
    let alias = json!({ "targets": [{ "upstream": "volcengine", "model": "jimeng_t2i_v40" }] });
    let put = relay
        .operator()
        .send(Method::PUT, "/admin/models/poster", &alias.to_string())
        .await;
    assert_eq!(put.unwrap().status, 200);
    let bound = async |model: &str| {
        let spec = KeySpec {
            models: Some([model.to_owned()].into_iter().collect()),
            ..key_spec(model, [Scope::Relay])
        };
        relay.client_of(relay.issue(spec).await)
    };
    let (named, unnamed) = (bound("poster").await, bound("jimeng_t2i_v40").await);
    let body = picture("alias", &json!({ "model": "poster" }));

    let reply = draw(&relay, &named, &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let refused = unnamed.post(IMAGES, &body.to_string()).await;
    refused.assert_error(403, "MODEL_DENIED");
    let direct = named.post(IMAGES, &picture("alias", &json!({})).to_string()).await;
    direct.assert_error(403, "MODEL_DENIED");
    let film = named.post(VIDEOS, &film("alias").to_string()).await;
    film.assert_error(403, "MODEL_DENIED");

    let chat = json!({ "model": "poster", "messages": [{ "role": "user", "content": "hello" }] });
    let chat = named.post("/v1/chat/completions", &chat.to_string()).await;
    chat.assert_error(404, "MODEL_NOT_FOUND");

    assert_eq!(submits(&relay, "alias"), 1);
    let models = named.get("/v1/models").await.json();
    assert_eq!(models["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&models["data"][0]["id"], &models["data"][0]["owned_by"]),
        (&json!("poster"), &json!("volcengine"))
    );
}
