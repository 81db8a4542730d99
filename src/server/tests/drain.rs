use poem::Request;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn a_drain_closes_idle_and_silent_connections_and_lets_a_busy_one_finish() {
    let (began, mut has_begun) = mpsc::unbounded_channel();
    let release = Arc::new(Notify::new());
    let endpoint = make({
        let release = Arc::clone(&release);
        move |request: Request| {
            let (began, release) = (began.clone(), Arc::clone(&release));
            async move {
                if request.uri().path() == "/slow" {
                    began.send(()).ok();
                    release.notified().await;
                }
                Response::from("hello")
            }
        }
    });
    let (server, port) = start(endpoint, patient());
    let mut silent = connect(port).await;
    let mut idle = connect(port).await;
    idle.write_all(GET).await.unwrap();
    read_until(&mut idle, "hello").await;
    let mut busy = connect(port).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    has_begun.recv().await.unwrap();

    let hurry = CancellationToken::new();
    let (drained, ()) = tokio::join!(server.drain(HOUR, &hurry), async {
        assert_eq!(read_to_close(&mut silent).await, "");
        assert_eq!(read_to_close(&mut idle).await, "");
        release.notify_one();
        assert!(read_to_close(&mut busy).await.ends_with("hello"));
    });

    assert_eq!(drained, Drained::Finished);
    assert_eq!(
        TcpStream::connect(("127.0.0.1", port)).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn a_drain_cuts_what_still_runs_at_its_bound() {
    let (endpoint, mut has_begun, mut was_dropped) = stuck();
    let (server, port) = start(endpoint, patient());
    let mut client = connect(port).await;
    client.write_all(GET).await.unwrap();
    has_begun.recv().await.unwrap();

    let drained = server.drain(Duration::from_millis(20), &CancellationToken::new()).await;

    assert_eq!(drained, Drained::Cut { connections: 1 });
    was_dropped.recv().await.unwrap();
    assert_eq!(read_to_close(&mut client).await, "");
}

#[tokio::test]
async fn a_hurried_drain_waits_for_nobody() {
    let (endpoint, mut has_begun, _was_dropped) = stuck();
    let (server, port) = start(endpoint, patient());
    let mut client = connect(port).await;
    client.write_all(GET).await.unwrap();
    has_begun.recv().await.unwrap();
    let hurry = CancellationToken::new();
    hurry.cancel();

    assert_eq!(server.drain(HOUR, &hurry).await, Drained::Cut { connections: 1 });
}

#[tokio::test]
async fn a_dropped_server_leaves_no_connection_behind() {
    let (endpoint, mut has_begun, mut was_dropped) = stuck();
    let (server, port) = start(endpoint, patient());
    let mut client = connect(port).await;
    client.write_all(GET).await.unwrap();
    has_begun.recv().await.unwrap();

    drop(server);

    was_dropped.recv().await.unwrap();
    assert_eq!(read_to_close(&mut client).await, "");
}
