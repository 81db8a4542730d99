//! As much of S3's interface as uploads, downloads, lists and deletions need, over a map in memory.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// A server with one bucket, named `bucket`, until it is dropped.
pub(super) struct S3Server {
    address: std::net::SocketAddr,
    bucket: Arc<Mutex<Bucket>>,
    _accepting: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Bytes>,
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    begun: u32,
    refusal: Option<(StatusCode, &'static str)>,
    refused: Option<Refused>,
    last_seen: (String, String),
}

/// What is refused of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Parts from this number on.
    PartsFrom(u32),
    /// To make one object of them.
    Completion,
}

impl S3Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bucket = Arc::new(Mutex::new(Bucket::default()));
        let served = Arc::clone(&bucket);
        let accepting = TaskTracker::new().spawn(async move {
            let connections = TaskTracker::new();
            while let Ok((stream, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                let service = service_fn(move |request| answer(Arc::clone(&served), request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            bucket,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.bucket.lock().unwrap().objects.keys().cloned().collect()
    }

    pub(super) fn uploads_under_way(&self) -> usize {
        self.bucket.lock().unwrap().uploads.len()
    }

    /// From now on every request is refused.
    pub(super) fn refuse_with(&self, status: StatusCode, code: &'static str) {
        self.bucket.lock().unwrap().refusal = Some((status, code));
    }

    /// From now on this is refused of every upload.
    pub(super) fn refuse(&self, refused: Refused) {
        self.bucket.lock().unwrap().refused = Some(refused);
    }

    /// The path and the `Authorization` of the last request.
    pub(super) fn last_seen(&self) -> (String, String) {
        self.bucket.lock().unwrap().last_seen.clone()
    }
}

async fn answer(bucket: Arc<Mutex<Bucket>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let mut bucket = bucket.lock().unwrap();
    bucket.last_seen = (head.uri.path().to_owned(), authorization.unwrap_or_default().to_owned());
    if let Some((status, code)) = bucket.refusal {
        let error = format!("<Error><Code>{code}</Code><Message>as the test says</Message></Error>");
        return Ok(respond(status, error));
    }
    Ok(bucket.answer(&head.method, &head.uri, body))
}

impl Bucket {
    fn answer(&mut self, method: &Method, uri: &Uri, body: Bytes) -> Response<Full<Bytes>> {
        let key = uri
            .path()
            .strip_prefix("/bucket")
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned();
        let query = |name: &str| {
            let pairs = uri.query().unwrap_or_default().split('&');
            pairs
                .filter_map(|pair| pair.split_once('=').or(Some((pair, ""))))
                .find_map(|(found, value)| (found == name).then(|| value.replace("%2F", "/")))
        };
        let part: Option<u32> = query("partNumber").and_then(|number| number.parse().ok());
        let is_refused = match self.refused {
            Some(Refused::PartsFrom(first)) => part.is_some_and(|part| part >= first),
            Some(Refused::Completion) => method == Method::POST && query("uploadId").is_some(),
            None => false,
        };
        if is_refused {
            return respond(StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>");
        }
        match (method.as_str(), query("uploadId")) {
            ("POST", None) if query("uploads").is_some() => {
                self.begun += 1;
                let id = format!("upload-{}", self.begun);
                self.uploads.insert(id.clone(), BTreeMap::new());
                let text = format!(
                    "<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>{key}</Key>\
                     <UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                respond(StatusCode::OK, text)
            }
            ("POST", None) if query("delete").is_some() => self.delete_many(&body),
            ("PUT", Some(id)) => match self.uploads.get_mut(&id) {
                Some(parts) => {
                    parts.insert(part.unwrap(), body);
                    respond(StatusCode::OK, "")
                }
                None => respond(StatusCode::NOT_FOUND, ""),
            },
            ("POST", Some(id)) => match self.uploads.remove(&id) {
                Some(parts) => {
                    let whole: Vec<Bytes> = parts.into_values().collect();
                    self.objects.insert(key, whole.concat().into());
                    let text = "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";
                    respond(StatusCode::OK, text)
                }
                None => respond(StatusCode::NOT_FOUND, ""),
            },
            ("DELETE", Some(id)) => {
                self.uploads.remove(&id);
                respond(StatusCode::NO_CONTENT, "")
            }
            ("PUT", None) => {
                self.objects.insert(key, body);
                respond(StatusCode::OK, "")
            }
            ("DELETE", None) => {
                self.objects.remove(&key);
                respond(StatusCode::NO_CONTENT, "")
            }
            ("GET", None) if query("list-type").is_some() => self.list(&query("prefix").unwrap_or_default()),
            (_, None) => match self.objects.get(&key) {
                Some(object) => respond(StatusCode::OK, object.clone()),
                None => respond(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>"),
            },
            _ => respond(StatusCode::METHOD_NOT_ALLOWED, ""),
        }
    }

    /// What stands directly below `prefix`, as with `delimiter=/`.
    fn list(&self, prefix: &str) -> Response<Full<Bytes>> {
        let found = self
            .objects
            .iter()
            .filter(|(key, _)| key.strip_prefix(prefix).is_some_and(|name| !name.contains('/')));
        let contents = found.fold(String::new(), |mut text, (key, object)| {
            let bytes = object.len();
            write!(
                text,
                "<Contents><Key>{key}</Key><LastModified>2026-11-21T00:00:00.000Z</LastModified>\
                 <ETag>\"x\"</ETag><Size>{bytes}</Size></Contents>"
            )
            .unwrap();
            text
        });
        let text = format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>");
        respond(StatusCode::OK, text)
    }

    fn delete_many(&mut self, body: &[u8]) -> Response<Full<Bytes>> {
        let text = String::from_utf8_lossy(body);
        let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        let deleted = keys.fold(String::new(), |mut deleted, (key, _)| {
            self.objects.remove(key);
            write!(deleted, "<Deleted><Key>{key}</Key></Deleted>").unwrap();
            deleted
        });
        respond(StatusCode::OK, format!("<DeleteResult>{deleted}</DeleteResult>"))
    }
}

fn respond(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let body = body.into();
    Response::builder()
        .status(status)
        .header(ETAG, "\"x\"")
        .header(LAST_MODIFIED, "Sat, 21 Nov 2026 00:00:00 GMT")
        .header(CONTENT_LENGTH, body.len())
        .body(Full::new(body))
        .unwrap()
}
