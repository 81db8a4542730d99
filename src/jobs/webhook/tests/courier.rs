//! Deliveries on their way: what receivers see, and what their answers mean.

use standardwebhooks::Webhook;

use super::*;
use crate::model::webhook::{DeliveryState, Failure};
use crate::store::webhooks::Counts;

#[tokio::test]
async fn a_receiver_can_verify_what_it_is_sent() {
    let mut receiver = Receiver::ok().await;
    let running = Running::start();
    let url = format!("http://hooks.example:{}/a/b?token=x", receiver.address.port());
    let id = running.tell(7, 1, &url).await;

    let told = receiver.next().await;
    assert_eq!(told.line, "POST /a/b?token=x HTTP/1.1");
    assert_eq!(told.body, PAYLOAD);
    let header = |name: &str| told.headers[name].to_str().unwrap();
    assert_eq!(header("host"), format!("hooks.example:{}", receiver.address.port()));
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("Tollgate/"));
    assert_eq!(header("webhook-id"), id.to_string());
    let secret = running.outbox.secret_of(OwnerId::from_bits(7)).unwrap();
    let verifier = Webhook::new(secret.expose()).unwrap();
    verifier.verify(told.body.as_bytes(), &told.headers).unwrap();
    let another = running.outbox.secret_of(OwnerId::from_bits(8)).unwrap();
    let another = Webhook::new(another.expose()).unwrap();
    assert!(another.verify(told.body.as_bytes(), &told.headers).is_err());

    let delivery = running.after(id, 1).await;
    assert!(matches!(delivery.state, DeliveryState::Delivered { .. }));
    assert_eq!(delivery.last.unwrap().result, Ok(204));
    let counts = running.store.read(webhooks::counts).unwrap();
    assert_eq!(
        counts,
        Counts {
            delivered: 1,
            ..Counts::default()
        }
    );
    running.end().await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Receiver::ok().await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url("/")
    );
    let receiver = Receiver::answering(Some(answer.leak())).await;
    let running = Running::start();
    let id = running.tell(1, 1, &receiver.url("/")).await;
    let delivery = running.after(id, 1).await;
    assert!(matches!(delivery.state, DeliveryState::Pending { .. }));
    assert_eq!(delivery.last.unwrap().result, Ok(302));
    assert_eq!(elsewhere.unread(), 0);
    running.end().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let receiver = Receiver::answering(Some("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")).await;
    let running = Running::start();
    let id = running.tell(1, 1, &receiver.url("/")).await;
    let delivery = running.after(id, 1).await;
    assert!(matches!(delivery.state, DeliveryState::GivenUp { .. }));
    running.end().await;
}

#[tokio::test]
async fn an_endless_answer_is_not_read() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nthe beginning";
    let receiver = Receiver::answering(Some(answer)).await;
    let running = Running::start();
    let id = running.tell(1, 1, &receiver.url("/")).await;
    assert_eq!(running.after(id, 1).await.last.unwrap().result, Ok(200));
    running.end().await;
}

#[tokio::test]
async fn what_no_receiver_answers_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let breaking = Receiver::answering(Some("")).await;
    let running = Running::start();
    for (number, url, failure) in [
        (1, closed, Failure::Connect),
        (2, breaking.url("/"), Failure::Broken),
        (3, "http://nowhere.example/".to_owned(), Failure::Unresolved),
    ] {
        let id = running.tell(1, number, &url).await;
        assert_eq!(running.after(id, 1).await.last.unwrap().result, Err(failure));
    }
    running.end().await;
}

#[tokio::test]
async fn a_name_is_tried_at_each_of_its_addresses() {
    let receiver = Receiver::ok().await;
    // Nobody listens at the first one.
    let (resolver, _) = names([("hooks.example", &["127.0.0.9", "127.0.0.1"])]);
    let running = Running::with(guard(resolver, ["127.0.0.0/8"]));
    let url = format!("http://hooks.example:{}/", receiver.address.port());
    let id = running.tell(1, 1, &url).await;
    assert_eq!(running.after(id, 1).await.last.unwrap().result, Ok(204));
    running.end().await;
}

/// The name that a certificate must be for travels in the first message of a TLS connection.
#[tokio::test]
async fn a_certificate_is_asked_for_by_the_name_of_the_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running::start();
    let port = listener.local_addr().unwrap().port();
    let id = running.tell(1, 1, &format!("https://hooks.example:{port}/")).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut hello = vec![0; 4096];
    let length = stream.read(&mut hello).await.unwrap();
    drop(stream);
    let name = b"hooks.example";
    assert!(hello[..length].windows(name.len()).any(|bytes| bytes == name));
    assert_eq!(running.after(id, 1).await.last.unwrap().result, Err(Failure::Connect));
    running.end().await;
}

#[tokio::test]
async fn a_receiver_that_lags_holds_up_its_own_owner_alone() {
    let slow = Receiver::answering(None).await;
    let mut quick = Receiver::ok().await;
    let running = Running::start();
    for number in 0..20 {
        running.tell(1, number, &slow.url("/")).await;
    }
    let id = running.tell(2, 99, &quick.url("/")).await;
    quick.next().await;
    running.after(id, 1).await;
    assert!(slow.unread() <= 2, "{}", slow.unread());
    running.end().await;
}

#[tokio::test]
async fn no_delivery_is_on_its_way_twice() {
    let mut slow = Receiver::answering(None).await;
    let running = Running::start();
    running.tell(1, 1, &slow.url("/")).await;
    slow.next().await;
    // Each of these makes the outbox look at its rows again.
    let mut quick = Receiver::ok().await;
    for number in 2..10 {
        let id = running.tell(1, number, &quick.url("/")).await;
        quick.next().await;
        running.after(id, 1).await;
    }
    assert_eq!(slow.unread(), 0);
    running.end().await;
}

#[tokio::test]
async fn what_was_not_delivered_is_delivered_by_the_next_process() {
    let mut receiver = Receiver::ok().await;
    let file = File::default();
    let (resolver, _) = names([]);
    let before = Running::idle(&file, Arc::new(SystemClock), guard(resolver.clone(), []));
    let id = before.tell(1, 1, &receiver.url("/")).await;
    before.end().await;

    let running = Running::over(&file, Arc::new(SystemClock), guard(resolver, ["127.0.0.1"]));
    assert_eq!(receiver.next().await.headers["webhook-id"], id.to_string().as_str());
    let delivery = running.after(id, 1).await;
    assert!(matches!(delivery.state, DeliveryState::Delivered { .. }));
    running.end().await;
}

#[tokio::test]
async fn address_and_payload_are_sealed_to_their_row() {
    let file = File::default();
    let running = Running::idle(&file, Arc::new(SystemClock), guard(names([]).0, []));
    let id = running.tell(1, 1, "https://hooks.example/canary").await;
    let delivery = running.delivery(id);
    for secret in ["canary", "job.finished"] {
        assert!(!file.contains(secret), "{secret}");
    }
    assert_eq!(running.outbox.open(id, &delivery).unwrap().payload, PAYLOAD);
    let moved = Delivery {
        owner: OwnerId::from_bits(2),
        ..delivery.clone()
    };
    assert!(running.outbox.open(id, &moved).is_err());
    let elsewhere = DeliveryId::from_bits(id.bits() + 1);
    assert!(running.outbox.open(elsewhere, &delivery).is_err());
    running.end().await;
}
