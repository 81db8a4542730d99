//! Entries of the log book as the bytes of a file, read and written a little at a time.

use crate::store::Store;
use crate::store::audit::{self, Order};
use crate::store::error::StoreError;

use super::encoder::Encoder;
use super::parquet::ParquetError;
use super::root::Root;
use super::row::Row;
use crate::model::export::Format;

/// Why an export stops.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rows cannot be written.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    /// Retention was faster.
    #[error("entry {0} was removed from the log book while it was exported")]
    Removed(u64),
}

/// The bytes of one file, from the first of its entries to the last. It holds one page of entries, and in Parquet one
/// group of rows.
pub struct Reading {
    store: Store,
    state: Option<State>,
}

/// What moves into each step and out of it.
struct State {
    encoder: Encoder,
    root: Root,
    next: u64,
    last: u64,
}

/// A piece of a file.
pub enum Piece {
    /// Bytes, and more follow.
    Bytes(Vec<u8>),
    /// The last bytes, and what stands for all rows.
    Last(Vec<u8>, Root),
}

impl Reading {
    /// The entries `first` to `last`, both included; none where `last` is smaller.
    ///
    /// # Errors
    /// As `Encoder::new`.
    pub fn new(store: Store, format: Format, first: u64, last: u64) -> Result<Self, ParquetError> {
        let state = State {
            encoder: Encoder::new(format)?,
            root: Root::new(),
            next: first,
            last,
        };
        Ok(Self {
            store,
            state: Some(state),
        })
    }

    /// The next piece, or `None` after the last.
    ///
    /// # Errors
    /// [`ReadingError`]; there is nothing more to read after it.
    ///
    /// # Cancel safety
    /// A future that was dropped took the rest with it: the next call says `None`.
    pub async fn next(&mut self) -> Result<Option<Piece>, ReadingError> {
        while let Some(state) = self.state.take() {
            let stepped = self.store.read_aside(move |rows| Ok(state.step(rows))).await??;
            match stepped {
                Step::More(bytes, state) => {
                    self.state = Some(state);
                    if !bytes.is_empty() {
                        return Ok(Some(Piece::Bytes(bytes)));
                    }
                }
                Step::End(bytes, root) => return Ok(Some(Piece::Last(bytes, root))),
            }
        }
        Ok(None)
    }

    /// What stands for all rows, without their bytes.
    ///
    /// # Errors
    /// As [`Reading::next`].
    ///
    /// # Cancel safety
    /// As [`Reading::next`].
    pub async fn root(mut self) -> Result<Root, ReadingError> {
        let mut root = Root::new();
        while let Some(piece) = self.next().await? {
            if let Piece::Last(_, all) = piece {
                root = all;
            }
        }
        Ok(root)
    }
}

enum Step {
    More(Vec<u8>, State),
    End(Vec<u8>, Root),
}

impl State {
    fn step(mut self, rows: &mut crate::store::Reader) -> Result<Step, ReadingError> {
        let left = self.last.saturating_add(1).saturating_sub(self.next);
        let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        for logged in audit::page(rows, self.next, Order::Rising, limit)? {
            if logged.seq != self.next {
                return Err(ReadingError::Removed(self.next));
            }
            let row = Row::of(&logged);
            let line = row.line();
            self.encoder.add(&row, &line)?;
            self.root.add(&line);
            self.next += 1;
        }
        if left > limit as u64 {
            return Ok(Step::More(self.encoder.take(), self));
        }
        if self.next <= self.last {
            return Err(ReadingError::Removed(self.next));
        }
        Ok(Step::End(self.encoder.finish()?, self.root))
    }
}

/// Entries read in one go.
const PAGE: usize = 1000;
