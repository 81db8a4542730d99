use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::upstream::error::Fault;

const FILM: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom-and-then-a-film";

/// A provider that answers one scripted reply to each connection, and keeps what it was asked.
struct Provider {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Provider {
    async fn answering(replies: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::moving(0, replies).await
    }

    /// The same, after it has sent the first few to another of its own paths.
    async fn moving(times: usize, replies: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let moved = reply(
            "302 Found",
            &["Connection: close", &format!("Location: http://{address}/moved")],
            b"",
        );
        let replies: Vec<_> = vec![moved; times].into_iter().chain(replies).collect();
        let kept = Arc::clone(&asked);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = Vec::new();
            for reply in replies {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
                kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                socket.write_all(&reply).await.unwrap();
                // A connection that closed would end a body that stalls.
                open.push(socket);
            }
            std::future::pending::<()>().await;
        });
        Self {
            address,
            asked,
            _serving: serving,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/media/1.mp4", self.address)
    }

    fn hosts(&self) -> MediaHosts {
        let own: Authority = self.address.to_string().parse().unwrap();
        MediaHosts::new(&["byteimg.com".to_owned()], Scheme::HTTP, own)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn fetch(&self, kind: MediaKind, range: Option<&'static str>, max_bytes: u64) -> Result<Media, MediaError> {
        let (url, range) = (self.url(), range.map(HeaderValue::from_static));
        let request = MediaRequest {
            url: &url,
            kind,
            range: range.as_ref(),
            max_bytes,
        };
        source(&[]).fetch(&self.hosts(), request).await
    }
}

/// A source whose resolver knows every name by the same addresses.
fn source(addresses: &'static [&'static str]) -> MediaSource {
    let lookup: Lookup =
        Box::new(|_, _| Box::pin(async { Ok(addresses.iter().map(|address| address.parse().unwrap()).collect()) }));
    MediaSource::with_lookup(Network::new().unwrap(), lookup)
}

fn reply(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

async fn all(mut body: MediaBody) -> Result<Bytes, MediaError> {
    let mut whole = Vec::new();
    while let Some(bytes) = body.next().await? {
        whole.extend_from_slice(&bytes);
    }
    Ok(whole.into())
}

#[tokio::test]
async fn a_film_comes_whole_with_its_type_and_nothing_else_of_the_providers() {
    let headers = [
        "Content-Type: video/mp4",
        "ETag: \"1\"",
        "Set-Cookie: a=b",
        "Server: tos",
        "X-Tos: 1",
    ];
    let provider = Provider::answering([reply("200 OK", &headers, FILM)]).await;

    let media = provider.fetch(MediaKind::Video, None, 1000).await.unwrap();

    let mut names: Vec<_> = media.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "etag"]);
    assert_eq!(media.headers[CONTENT_TYPE], "video/mp4");
    assert_eq!(all(media.body).await.unwrap(), FILM);
    let asked = provider.asked().concat().to_ascii_lowercase();
    assert!(asked.starts_with("get /media/1.mp4 http/1.1\r\n"), "{asked}");
    assert!(!asked.contains("authorization") && !asked.contains("range:"), "{asked}");
}

#[tokio::test]
async fn what_has_no_type_is_known_by_its_first_bytes_which_are_not_lost() {
    for headers in [&["Content-Type: application/octet-stream"][..], &[]] {
        let provider = Provider::answering([reply("200 OK", headers, FILM)]).await;
        let media = provider.fetch(MediaKind::Video, None, 1000).await.unwrap();
        assert_eq!(media.headers[CONTENT_TYPE], "video/mp4");
        assert_eq!(all(media.body).await.unwrap(), FILM);
    }
}

#[tokio::test]
async fn a_range_passes_through() {
    let headers = [
        "Content-Type: video/mp4",
        "Content-Range: bytes 4-7/40",
        "Accept-Ranges: bytes",
    ];
    let provider = Provider::answering([reply("206 Partial Content", &headers, b"ftyp")]).await;

    let media = provider.fetch(MediaKind::Video, Some("bytes=4-7"), 1000).await.unwrap();

    assert_eq!(media.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(media.headers[CONTENT_RANGE], "bytes 4-7/40");
    assert_eq!(all(media.body).await.unwrap(), "ftyp");
    assert!(provider.asked()[0].contains("range: bytes=4-7\r\n"));
}

#[tokio::test]
async fn the_middle_of_something_untyped_has_no_type() {
    let headers = ["Content-Range: bytes 4-7/40"];
    let provider = Provider::answering([reply("206 Partial Content", &headers, b"<htm")]).await;
    let media = provider.fetch(MediaKind::Video, Some("bytes=4-7"), 1000).await.unwrap();
    assert_eq!(media.headers[CONTENT_TYPE], "application/octet-stream");
}

#[tokio::test]
async fn what_is_not_the_media_that_was_asked_for_is_refused() {
    for (headers, body) in [
        (&["Content-Type: text/html"][..], b"<script>".as_slice()),
        (&["Content-Type: image/svg+xml"], b"<svg>"),
        (&["Content-Type: image/png"], b"\x89PNG\r\n\x1a\n"),
        (&["Content-Type: application/octet-stream"], b"<script>"),
        (&["Content-Type: application/octet-stream"], b"\x89PNG\r\n\x1a\n"),
        (&["Content-Type: video/mp4", "Content-Encoding: gzip"], FILM),
        (&[], b""),
    ] {
        let provider = Provider::answering([reply("200 OK", headers, body)]).await;
        let error = provider.fetch(MediaKind::Video, None, 1000).await.unwrap_err();
        assert_eq!(error, MediaError::NotMedia, "{headers:?}");
    }
}

#[tokio::test]
async fn the_status_tells_a_dead_url_from_a_failure() {
    for (status, error) in [
        ("403 Forbidden", MediaError::Gone),
        ("404 Not Found", MediaError::Gone),
        ("410 Gone", MediaError::Gone),
        ("416 Range Not Satisfiable", MediaError::Range),
        (
            "500 Internal Server Error",
            MediaError::Status(StatusCode::INTERNAL_SERVER_ERROR),
        ),
        ("206 Partial Content", MediaError::Status(StatusCode::PARTIAL_CONTENT)),
        ("204 No Content", MediaError::Status(StatusCode::NO_CONTENT)),
    ] {
        let provider = Provider::answering([reply(status, &["Content-Type: video/mp4"], b"")]).await;
        assert_eq!(provider.fetch(MediaKind::Video, None, 1000).await.unwrap_err(), error);
    }
}

#[tokio::test]
async fn media_that_says_it_is_too_large_is_refused_at_its_head() {
    let provider = Provider::answering([reply("200 OK", &["Content-Type: video/mp4"], FILM)]).await;
    let most = FILM.len() as u64 - 1;
    assert_eq!(
        provider.fetch(MediaKind::Video, None, most).await.unwrap_err(),
        MediaError::TooLarge
    );
}

#[tokio::test]
async fn media_that_does_not_say_how_large_it_is_is_cut_off() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = b"4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n";
    let provider = Provider::answering([[head.as_slice(), chunks].concat()]).await;
    let media = provider.fetch(MediaKind::Video, None, 7).await.unwrap();
    assert_eq!(all(media.body).await.unwrap_err(), MediaError::TooLarge);
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 100\r\n\r\nbegin";
    let provider = Provider::answering([head.to_vec()]).await;
    let mut media = provider.fetch(MediaKind::Video, None, 1000).await.unwrap();
    assert_eq!(media.body.next().await.unwrap().unwrap(), "begin");

    tokio::time::pause();

    let MediaError::Transport(error) = media.body.next().await.unwrap_err() else {
        panic!("it is the connection's fault");
    };
    assert_eq!(error.fault, Fault::Timeout);
}

#[tokio::test]
async fn one_redirect_at_the_same_host_is_followed() {
    let film = reply("200 OK", &["Content-Type: video/mp4"], FILM);
    let provider = Provider::moving(1, [film]).await;
    let media = provider.fetch(MediaKind::Video, None, 1000).await.unwrap();
    assert_eq!(all(media.body).await.unwrap(), FILM);
    assert!(provider.asked()[1].starts_with("GET /moved HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_second_redirect_is_not() {
    let provider = Provider::moving(2, []).await;
    assert_eq!(
        provider.fetch(MediaKind::Video, None, 1000).await.unwrap_err(),
        MediaError::Redirects
    );
}

#[tokio::test]
async fn a_redirect_leads_to_no_strangers() {
    let stranger = Provider::answering([reply("200 OK", &["Content-Type: video/mp4"], FILM)]).await;
    for (location, error) in [
        (stranger.url(), MediaError::ForeignHost),
        ("http://p3.byteimg.com/a".to_owned(), MediaError::ForeignHost),
        ("/relative".to_owned(), MediaError::BadUrl),
    ] {
        let moved = reply("302 Found", &[&format!("Location: {location}")], b"");
        let provider = Provider::answering([moved]).await;
        assert_eq!(
            provider.fetch(MediaKind::Video, None, 1000).await.unwrap_err(),
            error,
            "{location}"
        );
    }
    assert!(stranger.asked().is_empty());
}

#[tokio::test]
async fn a_name_of_the_providers_that_leads_inside_is_refused_before_any_socket() {
    for addresses in [
        &["10.0.0.8"][..],
        &["127.0.0.1"],
        &["169.254.169.254"],
        &["1.1.1.1", "192.168.0.1"],
        &["::1"],
        &["::ffff:10.0.0.1"],
        &["64:ff9b::a00:1"],
    ] {
        assert_eq!(
            fetch_by_name(source(addresses)).await,
            MediaError::NotPublic,
            "{addresses:?}"
        );
    }
    assert_eq!(fetch_by_name(source(&[])).await, MediaError::Unresolved);
}

#[tokio::test]
async fn a_strangers_name_is_not_even_looked_up() {
    let looked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&looked);
    let lookup: Lookup = Box::new(move |_, _| {
        counting.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Vec::new()) })
    });
    let source = MediaSource::with_lookup(Network::new().unwrap(), lookup);
    let provider = Provider::answering([]).await;
    let request = MediaRequest {
        url: "https://evil.example/a.mp4",
        kind: MediaKind::Video,
        range: None,
        max_bytes: 1,
    };
    let error = source.fetch(&provider.hosts(), request).await.unwrap_err();
    assert_eq!((error, looked.load(Ordering::Relaxed)), (MediaError::ForeignHost, 0));
}

async fn fetch_by_name(source: MediaSource) -> MediaError {
    let hosts = MediaHosts::new(
        &["byteimg.com".to_owned()],
        Scheme::HTTPS,
        Authority::from_static("visual.volcengineapi.com"),
    );
    let request = MediaRequest {
        url: "https://p3.byteimg.com/a.mp4",
        kind: MediaKind::Video,
        range: None,
        max_bytes: 1,
    };
    source.fetch(&hosts, request).await.unwrap_err()
}
