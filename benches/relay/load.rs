//! The load: a closed loop on keep-alive connections, one request in flight on each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Result;

/// Whom the load is for, with which key, and what it asks.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    authorization: HeaderValue,
    call: Call,
}

/// What a load asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// A synchronous picture of Volcengine's.
    Process,
    /// A chat completion, not streamed.
    Chat,
    /// A job of one chat completion.
    Job,
    /// The same, not to be begun before the year 2099.
    LaterJob,
}

impl Call {
    const fn uri(self) -> &'static str {
        match self {
            Self::Process => "/?Action=CVProcess&Version=2022-08-31",
            Self::Chat => CHAT,
            Self::Job | Self::LaterJob => JOBS,
        }
    }

    /// What says that it went well.
    const fn status(self) -> StatusCode {
        match self {
            Self::Process | Self::Chat => StatusCode::OK,
            Self::Job | Self::LaterJob => StatusCode::ACCEPTED,
        }
    }

    /// Each that is not a job is answered with 0.45 KB. A job's item has what the Celery side enqueues.
    const fn body(self) -> &'static [u8] {
        match self {
            Self::Process => {
                br#"{"req_key":"jimeng_t2i_v40","prompt":"a lighthouse at dusk, oil on canvas","return_url":true}"#
            }
            Self::Chat => {
                br#"{"model":"gpt-bench","messages":[{"role":"user","content":"a lighthouse at dusk, please"}]}"#
            }
            Self::Job => concat!(
                r#"{"queue":"default","items":[{"operation":"chat.completions","body":"#,
                include_str!("../celery/body.json"),
                "}]}"
            )
            .as_bytes(),
            Self::LaterJob => concat!(
                r#"{"queue":"default","not_before":"2099-01-01T00:00:00Z","items":[{"operation":"chat.completions","body":"#,
                include_str!("../celery/body.json"),
                "}]}"
            )
            .as_bytes(),
        }
    }
}

/// When a run is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Passed(Duration),
    Answered(usize),
}

/// What a run measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) requests: usize,
    pub(crate) rate: f64,
    pub(crate) median: Duration,
    /// The 99th percentile.
    pub(crate) late: Duration,
}

impl Target {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Result<Self> {
        let authorization = HeaderValue::try_from(format!("Bearer {key}"))?;
        Ok(Self {
            address,
            authorization,
            call: Call::Process,
        })
    }

    /// The same with other calls than `CVProcess`.
    pub(crate) const fn asked(mut self, call: Call) -> Self {
        self.call = call;
        self
    }

    /// Loads it over so many connections.
    pub(crate) async fn load(&self, connections: usize, until: Until) -> Result<Measured> {
        let barrier = Arc::new(Barrier::new(connections + 1));
        let left = Arc::new(AtomicUsize::new(match until {
            Until::Passed(_) => usize::MAX,
            Until::Answered(number) => number,
        }));
        let mut loops = JoinSet::new();
        for _ in 0..connections {
            let (sender, connection) = self.connect().await?;
            let (target, barrier, left) = (self.clone(), Arc::clone(&barrier), Arc::clone(&left));
            loops.spawn(async move {
                let asking = async move {
                    barrier.wait().await;
                    target.ask(sender, until, &left).await
                };
                tokio::select! {
                    asked = asking => asked,
                    _ = connection => Err("a connection was closed".to_owned()),
                }
            });
        }
        barrier.wait().await;
        let begun = Instant::now();
        let mut latencies = Vec::new();
        while let Some(done) = loops.join_next().await {
            latencies.extend(done??);
        }
        let rate = requests_per_second(latencies.len(), begun.elapsed());
        latencies.sort_unstable();
        let place = |share: usize| latencies.get(latencies.len() * share / 100).copied();
        let (median, late) = place(50).zip(place(99)).ok_or("no request was answered")?;
        Ok(Measured {
            requests: latencies.len(),
            rate,
            median,
            late,
        })
    }

    /// A new connection, which works while its second half is polled.
    pub(crate) async fn connect(
        &self,
    ) -> Result<(
        SendRequest<Full<Bytes>>,
        impl Future<Output = hyper::Result<()>> + Send + use<>,
    )> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(http1::handshake(TokioIo::new(stream)).await?)
    }

    /// Reads what stands at `path` and throws it away as it comes. Returns its size in bytes.
    pub(crate) async fn download(&self, path: &str) -> Result<u64> {
        let request = Request::get(path)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, self.authorization.clone())
            .body(Full::default())?;
        let (mut sender, connection) = self.connect().await?;
        let reading = async move {
            let mut answer = sender.send_request(request).await?;
            if !answer.status().is_success() {
                return Err(format!("{path}: {}", answer.status()).into());
            }
            let mut bytes = 0;
            while let Some(frame) = answer.frame().await {
                bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
            }
            Ok(bytes)
        };
        // The connection may end as soon as its answer has come: what was read counts then.
        tokio::pin!(reading, connection);
        tokio::select! {
            biased;
            read = &mut reading => read,
            _ = &mut connection => reading.await,
        }
    }

    /// Asks once, on a connection of its own.
    pub(crate) async fn once(&self, request: Request<Full<Bytes>>) -> Result<Bytes> {
        let (mut sender, connection) = self.connect().await?;
        let asking = async move {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        };
        let (status, body) = tokio::select! {
            answered = asking => answered?,
            _ = connection => return Err("a connection was closed".into()),
        };
        if status.is_success() {
            Ok(body)
        } else {
            Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
        }
    }

    async fn ask(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        until: Until,
        left: &AtomicUsize,
    ) -> std::result::Result<Vec<Duration>, String> {
        let begun = Instant::now();
        let mut latencies = Vec::with_capacity(1 << 14);
        loop {
            let asked = Instant::now();
            let over = match until {
                Until::Passed(length) => asked - begun >= length,
                Until::Answered(_) => left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_err(),
            };
            if over {
                return Ok(latencies);
            }
            let answer = sender
                .send_request(self.request(self.call.uri(), Bytes::from_static(self.call.body())))
                .await
                .map_err(|error| error.to_string())?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
            if status != self.call.status() {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&body.to_bytes())));
            }
            latencies.push(asked.elapsed());
        }
    }

    pub(crate) fn request(&self, uri: &'static str, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(uri);
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
fn requests_per_second(requests: usize, took: Duration) -> f64 {
    requests as f64 / took.as_secs_f64()
}

/// Where chat completions are asked for.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// Where jobs are enqueued.
pub(crate) const JOBS: &str = "/v1/jobs";
