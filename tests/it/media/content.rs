//! The file of a film, fetched from where the provider keeps it.

use super::*;

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
