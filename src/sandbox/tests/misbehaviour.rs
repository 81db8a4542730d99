use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A raw call, for what a well-behaved client hides.
async fn raw_call(scene: &Scene) -> TcpStream {
    let mut line = TcpStream::connect(scene.imitation.addr()).await.unwrap();
    let body = r#"{"model":"m","input":"marker-raw"}"#;
    let head = format!(
        "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk_one\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    line.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    line
}

async fn embed(scene: &Scene) -> Reply {
    scene
        .bearer("/v1/embeddings", &json!({"model": "m", "input": "x"}))
        .await
}

#[tokio::test]
async fn bodies_are_counted_by_marker_even_without_an_answer() {
    let scene = Scene::new().await;
    scene
        .imitation
        .faults()
        .push(Rule::on("/v1/embeddings", Fault::Hang))
        .unwrap();
    let line = raw_call(&scene).await;
    scene
        .until(|seen| seen.marker("marker-raw") == 1 && seen.in_flight == 1)
        .await;
    drop(line);
    scene.until(|seen| seen.abandoned == 1 && seen.in_flight == 0).await;
    scene
        .signed("two", "CVProcess", &json!({"req_key": "k", "marker": "m-2"}))
        .await;

    let seen = scene.get(&format!("http://{}/__seen", scene.host())).await;
    assert_eq!(seen.json()["total"], 2);
    assert_eq!(seen.json()["actions"], json!({"/v1/embeddings": 1, "CVProcess": 1}));
    assert_eq!(
        seen.json()["markers"]["marker-raw"],
        json!({"count": 1, "account": "ak_one"})
    );
    assert_eq!(seen.json()["markers"]["m-2"], json!({"count": 1, "account": "ak_two"}));
    assert_eq!(seen.json()["recent"][0]["body_bytes"], 34);
    assert_eq!(
        seen.json()["recent"][0]["headers"],
        json!(["host", "authorization", "content-length"])
    );
    assert!(!seen.text().contains("sk_") && !seen.text().contains("Signature="));
}

#[tokio::test]
async fn an_answer_can_be_replaced_for_some_calls_of_one_account() {
    let scene = Scene::new().await;
    let twice = NonZeroU32::new(2).unwrap();
    let answer = Answer {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: Some(50429),
        retry_after: Some(HeaderValue::from_static("7")),
        ..Answer::default()
    };
    scene
        .imitation
        .faults()
        .push(Rule::on("CVProcess", Fault::Answer(answer)).by("ak_two").times(twice))
        .unwrap();
    let call = json!({"req_key": "k"});
    assert_eq!(scene.signed("one", "CVProcess", &call).await.status, StatusCode::OK);
    for _ in 0..2 {
        let refused = scene.signed("two", "CVProcess", &call).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            (&refused.headers["retry-after"], &refused.json()["code"]),
            (&HeaderValue::from(7), &json!(50429))
        );
    }
    assert_eq!(scene.signed("two", "CVProcess", &call).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_usual_errors_have_short_names() {
    let scene = Scene::new().await;
    for (fault, status, code) in [
        (Fault::concurrency_limit(), 429, 50430),
        (Fault::internal_error(), 500, 50500),
        (Fault::status(StatusCode::FORBIDDEN), 403, 50400),
    ] {
        scene.imitation.faults().push(Rule::any(fault)).unwrap();
        let reply = scene.signed("one", "CVSubmitTask", &json!({"req_key": "k"})).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (status, &json!(code)));
    }
    scene
        .imitation
        .faults()
        .push(Rule::any(Fault::status(StatusCode::BAD_GATEWAY)))
        .unwrap();
    assert_eq!(embed(&scene).await.json()["error"]["type"], "server_error");
}

#[tokio::test]
async fn a_connection_can_be_reset_before_the_answer() {
    let scene = Scene::new().await;
    scene.imitation.faults().push(Rule::any(Fault::Reset)).unwrap();
    let mut line = raw_call(&scene).await;
    let error = line.read(&mut [0; 64]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(scene.imitation.seen().marker("marker-raw"), 1);
    assert_eq!(scene.imitation.seen().abandoned, 0);
}

#[tokio::test]
async fn a_connection_can_be_reset_or_closed_in_the_middle_of_the_answer() {
    let scene = Scene::new().await;
    for fault in [Fault::ResetMidBody, Fault::Truncate] {
        scene.imitation.faults().push(Rule::any(fault.clone())).unwrap();
        let mut line = raw_call(&scene).await;
        let mut received = Vec::new();
        let end = line.read_to_end(&mut received).await;
        let text = String::from_utf8(received).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"));
        let promised = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        assert_eq!(body.len(), promised.parse::<usize>().unwrap() / 2);
        assert_eq!(end.is_err(), fault == Fault::ResetMidBody);
    }
}

#[tokio::test]
async fn an_answer_can_come_piece_by_piece() {
    let scene = Scene::new().await;
    let whole = embed(&scene).await;
    scene
        .imitation
        .faults()
        .push(Rule::any(Fault::Drip { bytes: 50, pause_ms: 0 }))
        .unwrap();
    let dripped = embed(&scene).await;
    assert_eq!(dripped.body, whole.body);
    assert!(!dripped.headers.contains_key("content-length"));
    assert_eq!(scene.imitation.seen().abandoned, 0);
}

#[tokio::test]
async fn an_answer_can_be_unusable() {
    let scene = Scene::new().await;
    let faults = scene.imitation.faults();
    faults.push(Rule::any(Fault::Html)).unwrap();
    faults
        .push(Rule::any(Fault::Redirect {
            to: HeaderValue::from_static("/elsewhere"),
        }))
        .unwrap();
    faults.push(Rule::any(Fault::Gzip)).unwrap();
    faults.push(Rule::any(Fault::Oversize { bytes: 1_000_000 })).unwrap();

    let page = embed(&scene).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let redirect = embed(&scene).await;
    assert_eq!(
        (redirect.status, &redirect.headers["location"]),
        (StatusCode::TEMPORARY_REDIRECT, &HeaderValue::from_static("/elsewhere"))
    );
    let gzip = embed(&scene).await;
    assert_eq!(gzip.headers["content-encoding"], "gzip");
    assert!(gzip.json().is_object());
    let huge = embed(&scene).await;
    assert_eq!(huge.body.len(), 1_000_000);
    assert!(huge.json().is_object());
}

#[tokio::test]
async fn faults_are_ordered_and_cleared_over_http_too() {
    let scene = Scene::new().await;
    let rule = json!({"on": "/v1/embeddings", "times": null, "then": {"kind": "answer", "status": 503, "body": "busy", "content_type": "text/plain"}});
    assert_eq!(scene.bearer("/__faults", &rule).await.json(), json!({"pending": 1}));
    let reply = embed(&scene).await;
    assert_eq!((reply.status, reply.text()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
    let clear = Request::delete(format!("http://{}/__faults", scene.host()))
        .body(Full::default())
        .unwrap();
    assert_eq!(scene.send(clear).await.json(), json!({"pending": 0}));
    assert_eq!(embed(&scene).await.status, StatusCode::OK);
    let mistake = scene.bearer("/__faults", &json!({"then": {"kind": "explode"}})).await;
    assert_eq!(mistake.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn latency_and_delay_are_waited_for_together() {
    let scene = Scene::with(|settings| settings.latency = Duration::from_secs(2)).await;
    scene
        .imitation
        .faults()
        .push(Rule::any(Fault::None).after(Duration::from_secs(3)))
        .unwrap();
    let start = Instant::now();
    embed(&scene).await;
    assert!(start.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn stopping_cuts_even_a_call_that_hangs() {
    let scene = Scene::new().await;
    scene.imitation.faults().push(Rule::any(Fault::Hang)).unwrap();
    let mut line = raw_call(&scene).await;
    scene.until(|seen| seen.in_flight == 1).await;
    scene.imitation.stop().await;
    assert_eq!(line.read(&mut [0; 64]).await.unwrap(), 0);
}
