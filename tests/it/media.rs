//! Pictures and films of Jimeng's in OpenAI's shapes, from outside.

use std::num::NonZeroU32;
use std::time::Duration;

use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tollgate::auth::KeySpec;
use tollgate::model::key::Scope;
use tollgate::sandbox::{Course, Ends, Fault, Rule};

use crate::support::{Client, Relay, Reply, Say, Script, accepted, eventually, key_spec, pass, replying};

const SECOND: Duration = Duration::from_secs(1);
const IMAGES: &str = "/v1/images/generations";
const VIDEOS: &str = "/v1/videos";
const SUBMIT: &str = "CVSync2AsyncSubmitTask";
const QUERY: &str = "CVSync2AsyncGetResult";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn picture(marker: &str, fields: &Value) -> Value {
    let mut body = json!({ "model": "jimeng_t2i_v40", "prompt": format!("a lighthouse, marker-{marker}") });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn film(marker: &str) -> Value {
    json!({ "model": "t2v-720", "prompt": format!("waves, marker-{marker}"), "seconds": "4", "size": "1280x720" })
}

/// How often a body with this marker was submitted.
fn submits(relay: &Relay, marker: &str) -> u64 {
    relay.seen(&format!("marker-{marker}"))
}

/// Asks for pictures beside the test.
fn drawing(client: &Client, body: &Value) -> JoinHandle<Reply> {
    let (client, body) = (client.clone(), body.to_string());
    TaskTracker::new().spawn(async move { client.post(IMAGES, &body).await })
}

/// Asks for pictures, and lets time pass until they are answered.
async fn draw(relay: &Relay, client: &Client, body: &Value) -> Reply {
    let before = relay.upstream.seen().action(SUBMIT);
    let drawing = drawing(client, body);
    let sent = async || drawing.is_finished() || relay.upstream.seen().action(SUBMIT) > before;
    eventually("it is submitted or answered", sent).await;
    relay
        .later_until(SECOND, "it is answered", async || drawing.is_finished())
        .await;
    drawing.await.unwrap()
}

/// Orders a film, and says under which id.
async fn order(client: &Client, body: &Value) -> String {
    let reply = client.post(VIDEOS, &body.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn show(client: &Client, id: &str) -> Value {
    let reply = client.get(&format!("{VIDEOS}/{id}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// A film once it is made, or has failed.
async fn finished(relay: &Relay, client: &Client, id: &str) -> Value {
    let sent = async || show(client, id).await["status"] != "queued";
    eventually("its turn has come", sent).await;
    let is_over = async || ["completed", "failed"].contains(&show(client, id).await["status"].as_str().unwrap());
    relay.later_until(SECOND, "it is made, or has failed", is_over).await;
    show(client, id).await
}

async fn content(client: &Client, id: &str) -> Reply {
    client.get(&format!("{VIDEOS}/{id}/content")).await
}

/// A relay, a client of it, and a film that was made.
async fn made(marker: &str) -> (Relay, Client, String) {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    let id = order(&client, &film(marker)).await;
    let film = finished(&relay, &client, &id).await;
    assert_eq!(film["status"], "completed", "{film}");
    (relay, client, id)
}

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
async fn a_part_of_a_film_is_fetched_with_a_range() {
    let (_relay, client, id) = made("part").await;

    let part = content(&client.header("range", "bytes=4-7"), &id).await;
    let beyond = content(&client.header("range", "bytes=99999999-"), &id).await;

    assert_eq!((part.status.as_u16(), part.body.as_slice()), (206, b"ftyp".as_slice()));
    assert!(
        part.header("content-range").unwrap().starts_with("bytes 4-7/"),
        "{part:?}"
    );
    assert_eq!(
        (beyond.status.as_u16(), beyond.code().as_str()),
        (416, "VALIDATION_FAILED")
    );
}

#[tokio::test]
async fn only_the_film_itself_can_be_fetched() {
    let (_relay, client, id) = made("variants").await;
    for variant in ["thumbnail", "spritesheet"] {
        let reply = client.get(&format!("{VIDEOS}/{id}/content?variant={variant}")).await;
        reply.assert_error(400, "VALIDATION_FAILED");
    }
    let reply = client.get(&format!("{VIDEOS}/{id}/content?variant=video")).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_film_that_is_not_made_cannot_be_fetched_yet() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    let never = Course {
        ends: Ends::Never,
        after: None,
    };
    relay
        .upstream
        .faults()
        .push(Rule::on(SUBMIT, Fault::Task(never)))
        .unwrap();
    let id = order(&client, &film("unmade")).await;
    content(&client, &id).await.assert_error(400, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_url_that_has_died_is_asked_for_anew() {
    let relay = Relay::start().await;
    let client = relay.client("maker").await;
    relay
        .upstream
        .faults()
        .push(Rule::on(QUERY, Fault::dead_links()).times(NonZeroU32::new(2).unwrap()))
        .unwrap();
    let id = order(&client, &film("dead")).await;
    finished(&relay, &client, &id).await;
    relay.upstream.faults().clear();
    let before = relay.upstream.seen().action(QUERY);

    let (first, second) = (content(&client, &id).await, content(&client, &id).await);

    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200), "{first:?}");
    assert_eq!(relay.upstream.seen().action(QUERY), before + 1, "the fresh one is kept");
    assert_eq!(submits(&relay, "dead"), 1);
}

#[tokio::test]
async fn a_url_whose_hour_is_over_is_not_tried() {
    let (relay, client, id) = made("hour").await;
    relay.clock.forward(Duration::from_hours(2));
    let before = relay.upstream.seen();

    let film = content(&client, &id).await;

    let after = relay.upstream.seen();
    assert_eq!(film.status, 200, "{film:?}");
    assert_eq!(after.action(QUERY), before.action(QUERY) + 1);
    assert_eq!(after.action("/media"), before.action("/media") + 1);
}

#[tokio::test]
async fn what_the_provider_keeps_no_longer_is_gone() {
    let (relay, client, id) = made("gone").await;
    relay.clock.forward(Duration::from_hours(13));
    pass(Duration::from_hours(13)).await;

    content(&client, &id).await.assert_error(410, "GONE");

    assert_eq!(show(&client, &id).await["status"], "completed");
}

#[tokio::test]
async fn nothing_is_fetched_from_anybody_elses_host() {
    let stranger = Script::start([Say::Bytes(replying("200 OK", &["Content-Type: video/mp4"], "film"))]).await;
    let url = format!("http://{}/film.mp4", stranger.address);
    let done = format!(r#"{{"code":10000,"data":{{"status":"done","video_url":"{url}"}},"message":"Success"}}"#);
    let done = replying("200 OK", &["Content-Type: application/json"], done);
    let upstream = Script::start([Say::Bytes(accepted("7392616336519610409")), Say::Bytes(done)]).await;
    let relay = Relay::build().upstream_at(upstream.address).start().await;
    let client = relay.client("maker").await;
    let id = order(&client, &film("foreign")).await;
    assert_eq!(finished(&relay, &client, &id).await["status"], "completed");

    content(&client, &id).await.assert_error(502, "UPSTREAM_FAILED");

    assert_eq!(stranger.connections(), 0);
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
