//! The built-in imitation of the upstreams: Volcengine's visual API and an OpenAI-compatible API on one loopback port.
//!
//! `tollgate sandbox` puts it behind a relay so that the main job runs without an account or a network; the tests and
//! the benches use the same one. It checks signatures as Volcengine does, moves tasks `in_queue → generating → done`
//! by the clock it is given, serves a real picture and a real film by links that die, counts what reached it ([`Seen`]),
//! and misbehaves when told to ([`Faults`]). It charges nothing and keeps nothing: all state is in memory and bounded.
//!
//! A prompt with the word `forbidden`, or `fail-` and one of the codes that Volcengine documents (`fail-50511`), makes
//! a call or task fail with that code.

mod accounts;
mod answer;
mod aside;
mod call;
mod course;
mod events;
mod failure;
mod fault;
mod faults;
mod film;
mod gzip;
mod line;
mod link;
mod mangle;
mod manner;
mod marker;
mod media;
mod openai;
mod pace;
mod portion;
mod reply;
mod seen;
mod server;
mod tasks;
mod volcengine;
mod witness;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::accounts::Accounts;
use self::media::Picture;
use self::tasks::Tasks;
use self::witness::Witness;
use crate::model::clock::Clock;
use crate::model::secret::Secret;

pub use self::answer::Answer;
pub use self::course::{Course, Ends};
pub use self::fault::Fault;
pub use self::faults::{Faults, FaultsFull, Rule};
pub use self::pace::Pace;
pub use self::seen::{Load, Marked, Seen, Sighting, Streams, Tally, Traffic};

/// How an [`Imitation`] behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Access key and secret key of every account. A signed call must be signed by one of them; the OpenAI-compatible
    /// routes take each secret key as a bearer token too.
    pub accounts: Vec<(String, Secret)>,
    /// Further bearer tokens for the OpenAI-compatible routes, each with the name it is counted under.
    pub bearer_keys: Vec<(String, Secret)>,
    /// The region that a signature must name.
    pub region: String,
    /// Whether signatures and bearer tokens are checked.
    pub verification: Verification,
    /// How long every call waits before its answer begins.
    pub latency: Duration,
    /// The pause between two frames of a streamed answer.
    pub frame_interval: Duration,
    /// How many frames of a streamed answer carry content; `None`: as many as it has words.
    pub stream_words: Option<usize>,
    /// How long a task takes from submit to `done`; for the first third of it the task is `in_queue`.
    pub task_duration: Duration,
    /// How long a link to a picture lives. Volcengine's: 24 hours.
    pub picture_link_lifetime: Duration,
    /// How long a link to a film lives. Volcengine's: one hour.
    pub film_link_lifetime: Duration,
}

impl Settings {
    /// An imitation that knows `accounts`, answers at once, and finishes a task in three seconds.
    #[must_use]
    pub fn new(accounts: Vec<(String, Secret)>) -> Self {
        Self {
            accounts,
            bearer_keys: Vec::new(),
            region: DEFAULT_REGION.to_owned(),
            verification: Verification::Checked,
            latency: Duration::ZERO,
            frame_interval: Duration::ZERO,
            stream_words: None,
            task_duration: DEFAULT_TASK_DURATION,
            picture_link_lifetime: PICTURE_LINK_LIFETIME,
            film_link_lifetime: FILM_LINK_LIFETIME,
        }
    }

    /// The pace of a stream for which no [`Fault::Pace`] sets another.
    const fn pace(&self) -> Pace {
        Pace {
            words: self.stream_words,
            interval: self.frame_interval,
        }
    }
}

/// Whether an [`Imitation`] checks credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Wrong credentials are refused, as the upstreams do.
    Checked,
    /// Every call passes. For benches that measure something else.
    Trusted,
}

/// A running imitation. It stops when dropped; [`Imitation::stop`] waits for it too.
pub struct Imitation {
    addr: SocketAddr,
    world: Arc<World>,
    connections: TaskTracker,
    stop: CancellationToken,
}

impl Imitation {
    /// Serves on `listener` from now on; call it inside a tokio runtime.
    ///
    /// # Errors
    /// If the listener has no address, or the picture cannot be made.
    pub fn start(listener: TcpListener, settings: Settings, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let world = Arc::new(World {
            accounts: Accounts::new(&settings),
            faults: Faults::default(),
            witness: Arc::default(),
            tasks: Tasks::new(clock.wall()),
            picture: Picture::draw()?,
            origin: format!("http://{addr}"),
            serial: AtomicU64::new(clock.wall().as_micros().unsigned_abs()),
            settings,
            clock,
        });
        let connections = TaskTracker::new();
        let stop = CancellationToken::new();
        let accepting = server::accept(listener, Arc::clone(&world), connections.clone(), stop.clone());
        connections.spawn(accepting);
        Ok(Self {
            addr,
            world,
            connections,
            stop,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What reached it so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.world.witness.snapshot()
    }

    /// The misbehaviour it has been told, to which more can be added while it runs.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// Cuts every connection and waits until all of its tasks have ended.
    ///
    /// Cancel-safe: dropped early it still stops, but nobody waits.
    pub async fn stop(self) {
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

impl Drop for Imitation {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// All that the answers are made from.
struct World {
    settings: Settings,
    clock: Arc<dyn Clock>,
    accounts: Accounts,
    faults: Faults,
    witness: Arc<Witness>,
    tasks: Tasks,
    picture: Picture,
    /// Scheme, address and port, the beginning of every link to a picture or film.
    origin: String,
    /// The number of the last answer; it starts at the wall clock so that two runs do not repeat each other's ids.
    serial: AtomicU64,
}

impl World {
    /// A number that no other answer has.
    fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

/// The region of the visual API in mainland China.
const DEFAULT_REGION: &str = "cn-north-1";
const DEFAULT_TASK_DURATION: Duration = Duration::from_secs(3);
const PICTURE_LINK_LIFETIME: Duration = Duration::from_hours(24);
const FILM_LINK_LIFETIME: Duration = Duration::from_hours(1);
