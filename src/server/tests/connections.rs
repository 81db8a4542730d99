use std::sync::{Mutex, OnceLock};

use bytes::Bytes;
use futures_util::future::join_all;
use poem::http::StatusCode;
use poem::{IntoResponse, Request};
use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn a_connection_serves_one_request_after_another_and_pipelined_ones() {
    let (_server, port) = start(hello(), patient());
    let mut client = connect(port).await;

    for _ in 0..2 {
        client.write_all(GET).await.unwrap();
        assert!(read_until(&mut client, "hello").await.starts_with("HTTP/1.1 200"));
    }
    client.write_all(&[GET, GET, LAST_GET].concat()).await.unwrap();

    assert_eq!(read_to_close(&mut client).await.matches("hello").count(), 3);
}

#[tokio::test]
async fn a_slow_head_is_closed_without_an_answer() {
    let (_server, port) = start(
        hello(),
        Limits {
            header_timeout: Duration::from_millis(50),
            ..patient()
        },
    );
    let mut client = connect(port).await;

    client.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();

    assert_eq!(read_to_close(&mut client).await, "");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let (_server, port) = start(
        hello(),
        Limits {
            header_timeout: Duration::from_millis(50),
            ..patient()
        },
    );

    assert_eq!(read_to_close(&mut connect(port).await).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_last_answer() {
    let (_server, port) = start(
        hello(),
        Limits {
            idle: Duration::from_millis(50),
            ..patient()
        },
    );
    let mut client = connect(port).await;

    client.write_all(GET).await.unwrap();

    assert!(read_to_close(&mut client).await.ends_with("hello"));
}

#[tokio::test]
async fn a_peer_that_never_reads_its_answer_is_cut() {
    let (dropped, mut was_dropped) = mpsc::unbounded_channel();
    let endpoint = make_sync(move |_| {
        let guard = Dropped(dropped.clone());
        let endless = futures_util::stream::repeat_with(move || {
            let _held = &guard;
            Ok::<_, io::Error>(Bytes::from_static(&[0; 16_384]))
        });
        Response::builder().body(poem::Body::from_bytes_stream(endless))
    });
    let (_server, port) = start(
        endpoint,
        Limits {
            stall: Duration::from_millis(50),
            ..patient()
        },
    );
    let mut client = connect(port).await;

    client.write_all(GET).await.unwrap();

    was_dropped.recv().await.unwrap();
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused_with_431() {
    let (_server, port) = start(
        hello(),
        Limits {
            max_head_bytes: 8192,
            ..patient()
        },
    );
    let mut client = connect(port).await;

    let bomb = format!("GET / HTTP/1.1\r\nX-Bomb: {}\r\n\r\n", "x".repeat(20_000));
    client.write_all(bomb.as_bytes()).await.unwrap();

    assert!(read_until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn never_more_connections_are_open_than_the_cap_and_all_get_their_turn() {
    let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
    let gauge: Arc<OnceLock<Connections>> = Arc::default();
    let endpoint = make({
        let (seen, gauge) = (Arc::clone(&seen), Arc::clone(&gauge));
        move |_| {
            let (seen, gauge) = (Arc::clone(&seen), Arc::clone(&gauge));
            async move {
                tokio::task::yield_now().await;
                seen.lock().unwrap().push(gauge.get().unwrap().open());
                Response::from("hello")
            }
        }
    });
    let (server, port) = start(
        endpoint,
        Limits {
            connections: 2,
            ..patient()
        },
    );
    gauge.set(server.connections()).unwrap();

    let answers = join_all((0..8).map(|_| async {
        let mut client = connect(port).await;
        client.write_all(LAST_GET).await.unwrap();
        read_to_close(&mut client).await
    }))
    .await;

    assert!(answers.iter().all(|answer| answer.ends_with("hello")));
    assert!(
        seen.lock().unwrap().iter().all(|open| (1..=2).contains(open)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_drops_its_handler() {
    let (endpoint, mut has_begun, mut was_dropped) = stuck();
    let (_server, port) = start(endpoint, patient());
    let mut client = connect(port).await;
    client.write_all(GET).await.unwrap();
    has_begun.recv().await.unwrap();

    drop(client);

    was_dropped.recv().await.unwrap();
}

#[tokio::test]
async fn an_error_of_the_endpoint_becomes_its_response() {
    let endpoint = make_sync(|_| Err::<Response, _>(poem::Error::from_status(StatusCode::IM_A_TEAPOT)));
    let (_server, port) = start(endpoint, patient());
    let mut client = connect(port).await;

    client.write_all(LAST_GET).await.unwrap();

    assert!(read_to_close(&mut client).await.starts_with("HTTP/1.1 418"));
}

#[tokio::test]
async fn a_handler_sees_an_ipv4_peer_of_a_dual_stack_socket_as_ipv4() {
    let endpoint = make_sync(|request: Request| {
        let origin = request.extensions().get::<Origin>().copied();
        let ip = request.remote_addr().as_socket_addr().unwrap().ip();
        format!("{origin:?} {ip}").into_response()
    });
    let listener = bind("::", 0).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::new(Arc::new(endpoint), patient());
    server.listen(listener).unwrap();
    let mut client = connect(port).await;

    client.write_all(LAST_GET).await.unwrap();

    assert!(read_to_close(&mut client).await.ends_with("Some(Tcp) 127.0.0.1"));
}

#[tokio::test]
async fn a_live_endpoint_is_swapped_on_an_open_connection() {
    let live = Arc::new(LiveEndpoint::new(make_sync(|_| Response::from("starting"))));
    let (_server, port) = start(Arc::clone(&live), patient());
    let mut client = connect(port).await;
    client.write_all(GET).await.unwrap();
    read_until(&mut client, "starting").await;

    live.replace(hello());
    client.write_all(GET).await.unwrap();

    read_until(&mut client, "hello").await;
}
