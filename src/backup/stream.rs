//! A backup as it is made: one read of the store, frame by frame, no faster than its taker.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::error::BackupError;
use super::format::{Block, Encoder, Header, Kind, Trailer};
use crate::crypto::backup::BackupKey;
use crate::crypto::entropy::{Entropy, random};
use crate::model::clock::Clock;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::raw::Snapshot;

/// A backup's bytes, as a thread of its own reads them from one picture of the store. Dropped, the thread ends.
pub struct BackupStream {
    header: Header,
    pieces: mpsc::Receiver<Result<Bytes, BackupError>>,
    /// There is one backup at a time.
    _turn: OwnedSemaphorePermit,
}

impl BackupStream {
    pub(super) fn begin(
        store: &Store,
        key: BackupKey,
        clock: &Arc<dyn Clock>,
        entropy: &dyn Entropy,
        turn: OwnedSemaphorePermit,
    ) -> Result<Self, BackupError> {
        let snapshot = store.snapshot()?;
        let header = Header {
            facts: snapshot.facts(),
            at: clock.wall(),
            name: random(entropy)?,
            check: key.check(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let mut out = Out {
            encoder: Encoder::new(key, header.name),
            pace: Pace::new(Arc::clone(clock)),
            sender,
        };
        let begun = header.clone();
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = dump(&snapshot, &begun, &mut out) {
                // Whoever is gone needs no reason.
                drop(out.sender.blocking_send(Err(error)));
            }
        }));
        Ok(Self {
            header,
            pieces,
            _turn: turn,
        })
    }

    /// What it says of itself before its rows.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }
}

impl Stream for BackupStream {
    type Item = Result<Bytes, BackupError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_recv(cx)
    }
}

struct Out {
    encoder: Encoder,
    pace: Pace,
    sender: mpsc::Sender<Result<Bytes, BackupError>>,
}

impl Out {
    fn frame(&mut self, kind: Kind, payload: &[u8]) -> Result<(), BackupError> {
        let frame = self.encoder.frame(kind, payload);
        self.send(frame)
    }

    fn send(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.pace.wait(bytes.len());
        let sent = self.sender.blocking_send(Ok(bytes.into()));
        sent.map_err(|_| BackupError::Interrupted)
    }
}

fn dump(snapshot: &Snapshot, header: &Header, out: &mut Out) -> Result<(), BackupError> {
    out.send(Encoder::preamble())?;
    out.frame(Kind::Header, &encode(header)?)?;
    let mut block = Block::default();
    let mut rows = 0;
    snapshot.each_row(|table, key, value| {
        rows += 1;
        match block.add(table, key, value) {
            Some(full) => out.frame(Kind::Rows, &full),
            None => Ok(()),
        }
    })?;
    if let Some(last) = block.take() {
        out.frame(Kind::Rows, &last)?;
    }
    out.frame(Kind::Trailer, &encode(&Trailer { rows })?)
}

fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>, BackupError> {
    let encoded = postcard::to_stdvec(value);
    encoded.map_err(|error| StoreError::Io(error.to_string()).into())
}

/// Holds a backup to a rate, so that calls keep most of the processor and of the disk.
struct Pace {
    clock: Arc<dyn Clock>,
    begun: Instant,
    bytes: u64,
}

impl Pace {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let begun = clock.monotonic();
        Self { clock, begun, bytes: 0 }
    }

    fn wait(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        let due = Duration::from_micros(self.bytes.saturating_mul(1_000_000) / BYTES_A_SECOND);
        let passed = self.clock.monotonic().saturating_duration_since(self.begun);
        let early = due.saturating_sub(passed);
        if early > LEAST_SLEEP {
            std::thread::sleep(early);
        }
    }
}

/// The most that a backup reads in a second.
const BYTES_A_SECOND: u64 = 52_000_000;
/// Shorter sleeps are saved up.
const LEAST_SLEEP: Duration = Duration::from_millis(2);
/// Frames that may wait for their taker.
const PIECES_AHEAD: usize = 2;
