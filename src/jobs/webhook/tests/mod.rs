//! What webhooks promise, over a store in memory and receivers on this machine.

mod courier;
mod egress;
mod schedule;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::egress::{Guard, Resolve, Resolving};
use super::{Outbox, RootSecret, Surroundings};
use crate::crypto::entropy::OsEntropy;
use crate::model::clock::{Clock, SystemClock};
use crate::model::id::{DeliveryId, JobId, OwnerId};
use crate::model::secret::Secret;
use crate::model::webhook::{Delivery, WebhookUrl};
use crate::store::error::StoreError;
use crate::store::fixture::{File, open};
use crate::store::{Change, Store, Tables, webhooks};

const ROOT: &str = "canary-root-secret-of-32-characters";
const PAYLOAD: &str = r#"{"type":"job.finished","data":{"id":"job_1"}}"#;

/// A table of names. It tells of every name that it is asked for.
struct Names {
    known: HashMap<String, Vec<IpAddr>>,
    asked: UnboundedSender<String>,
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        // A test that no longer listens has ended.
        drop(self.asked.send(name.to_owned()));
        let found = self.known.get(name).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn names<const N: usize>(known: [(&str, &[&str]); N]) -> (Arc<Names>, UnboundedReceiver<String>) {
    let (asked, heard) = unbounded_channel();
    let entry = |(name, addresses): (&str, &[&str])| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        (name.to_owned(), addresses.collect())
    };
    let known = known.into_iter().map(entry).collect();
    (Arc::new(Names { known, asked }), heard)
}

fn guard<const N: usize>(resolver: Arc<dyn Resolve>, allow: [&str; N]) -> Guard {
    Guard::new(resolver, allow.iter().map(|item| item.parse().unwrap()).collect())
}

/// An outbox that carries out what is due, until it is dropped.
struct Running {
    outbox: Arc<Outbox>,
    store: Store,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    /// One that may reach this machine.
    fn start() -> Self {
        let (resolver, _) = names([("hooks.example", &["127.0.0.1"])]);
        Self::with(guard(resolver, ["127.0.0.0/8"]))
    }

    fn with(guard: Guard) -> Self {
        Self::over(&File::default(), Arc::new(SystemClock), guard)
    }

    fn over(file: &File, clock: Arc<dyn Clock>, guard: Guard) -> Self {
        let running = Self::idle(file, clock, guard);
        let (outbox, stop) = (Arc::clone(&running.outbox), running.stop.clone());
        running.tracker.spawn(outbox.run(stop));
        running
    }

    /// One that carries nothing out.
    fn idle(file: &File, clock: Arc<dyn Clock>, guard: Guard) -> Self {
        let store = open(file, Arc::clone(&clock));
        let outbox = Arc::new(Outbox::new(Surroundings {
            store: store.clone(),
            clock,
            entropy: Arc::new(OsEntropy),
            root: Some(RootSecret::new(Secret::new(ROOT.to_owned()))),
            guard,
        }));
        Self {
            outbox,
            store,
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Commits a delivery of a job of this number, as the end of a job does.
    async fn tell(&self, owner: u64, job: u128, url: &str) -> DeliveryId {
        let url: WebhookUrl = url.parse().unwrap();
        let (owner, job) = (OwnerId::from_bits(owner), JobId::from_bits(job << 64));
        let (id, delivery) = self.outbox.prepare(owner, job, &url, PAYLOAD.into()).unwrap();
        self.store.change(Put(id, delivery)).await.unwrap();
        self.outbox.wake();
        id
    }

    fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.read(|rows| webhooks::get(rows, id)).unwrap().unwrap()
    }

    /// How a delivery stands once so many attempts are recorded.
    async fn after(&self, id: DeliveryId, attempts: u32) -> Delivery {
        // The writer is a thread of its own, which no paused clock waits for.
        for _ in 0..5_000_000 {
            let delivery = self.delivery(id);
            if delivery.attempts >= attempts {
                return delivery;
            }
            tokio::task::yield_now().await;
        }
        panic!("there were never {attempts} attempts");
    }

    async fn end(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        self.store.close();
    }
}

struct Put(DeliveryId, Delivery);

impl Change for Put {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.put_delivery(self.0, &self.1)
    }
}

/// What a receiver was sent.
struct Received {
    line: String,
    headers: HeaderMap,
    body: String,
}

/// A receiver on this machine. It tells of every request, and answers each with the same bytes; without any it never
/// answers.
struct Receiver {
    address: SocketAddr,
    received: UnboundedReceiver<Received>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Receiver {
    async fn answering(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, received) = unbounded_channel();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (connections, ending) = (tasks.clone(), stop.clone());
        let accepting = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, ending) = (tell.clone(), ending.clone());
                connections.spawn(async move { ending.run_until_cancelled(receive(stream, answer, tell)).await });
            }
        };
        let ending = stop.clone();
        tasks.spawn(async move { ending.run_until_cancelled(accepting).await });
        Self {
            address,
            received,
            tasks,
            stop,
        }
    }

    async fn ok() -> Self {
        Self::answering(Some("HTTP/1.1 204 No Content\r\n\r\n")).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn next(&mut self) -> Received {
        self.received.recv().await.unwrap()
    }

    /// How many requests came that the test has not looked at.
    fn unread(&self) -> usize {
        self.received.len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.close();
    }
}

async fn receive(mut stream: TcpStream, answer: Option<&'static str>, tell: UnboundedSender<Received>) {
    let mut bytes = Vec::new();
    let received = loop {
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return;
        }
        if let Some(received) = read_request(&bytes) {
            break received;
        }
    };
    drop(tell.send(received));
    match answer {
        Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
        None => std::future::pending().await,
    }
}

/// A request, once all of it has come.
fn read_request(bytes: &[u8]) -> Option<Received> {
    let text = str::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (line, fields) = head.split_once("\r\n").unwrap();
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = fields.split("\r\n").map(field).collect();
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    (body.len() == length).then(|| Received {
        line: line.to_owned(),
        headers,
        body: body.to_owned(),
    })
}
