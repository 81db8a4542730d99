use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

type H2Client = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

/// An HTTP/2 client with prior knowledge, and the connection to be driven beside it.
async fn connect_h2(port: u16) -> (H2Client, impl Future<Output = hyper::Result<()>>) {
    let io = TokioIo::new(connect(port).await);
    hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap()
}

fn h2_get(port: u16) -> http::Request<Empty<Bytes>> {
    http::Request::get(format!("http://127.0.0.1:{port}/"))
        .body(Empty::new())
        .unwrap()
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_served_and_drained() {
    let (server, port) = start(hello(), patient());
    let (mut client, connection) = connect_h2(port).await;
    let hurry = CancellationToken::new();

    let (ended, drained) = tokio::join!(connection, async {
        let response = client.send_request(h2_get(port)).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
        server.drain(HOUR, &hurry).await
    });

    assert!(ended.is_ok());
    assert_eq!(drained, Drained::Finished);
}

#[tokio::test]
async fn an_http_2_client_that_hangs_up_drops_its_handlers() {
    let (endpoint, mut has_begun, mut was_dropped) = stuck();
    let (_server, port) = start(endpoint, patient());
    let (mut client, connection) = connect_h2(port).await;

    tokio::select! {
        _ = connection => {}
        _ = client.send_request(h2_get(port)) => {}
        _ = has_begun.recv() => {}
    }
    drop(client);

    was_dropped.recv().await.unwrap();
}

#[tokio::test]
async fn a_cut_drops_http_2_handlers_too() {
    let (endpoint, mut has_begun, mut was_dropped) = stuck();
    let (server, port) = start(endpoint, patient());
    let (mut client, connection) = connect_h2(port).await;
    let hurry = CancellationToken::new();

    tokio::select! {
        _ = async { tokio::join!(connection, client.send_request(h2_get(port))) } => {}
        drained = async {
            has_begun.recv().await.unwrap();
            server.drain(Duration::from_millis(20), &hurry).await
        } => assert_eq!(drained, Drained::Cut { connections: 1 }),
    }

    was_dropped.recv().await.unwrap();
}
