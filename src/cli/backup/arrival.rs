//! A backup as it arrives from the server: what is needed of it to show progress, and to know that it came whole.
//!
//! Its tags are not verified here: only who has the master key can, which `tollgate restore` does.

use bytes::{Bytes, BytesMut};

use crate::backup::BackupError;
use crate::backup::format::{Header, Kind, Rows, Splitter};
use crate::cli::error::CliError;
use crate::cli::target::Answer;

/// A backup as it arrives.
pub(super) struct Arrival {
    answer: Answer,
    splitter: Splitter,
    header: Option<Header>,
    rows: u64,
    bytes: u64,
    ended: bool,
}

/// A backup that arrived whole.
pub(super) struct Arrived {
    pub(super) bytes: u64,
    pub(super) rows: u64,
}

impl Arrival {
    pub(super) fn begin(answer: Answer) -> Self {
        Self {
            answer,
            splitter: Splitter::default(),
            header: None,
            rows: 0,
            bytes: 0,
            ended: false,
        }
    }

    /// The next piece, looked through; nothing at the end.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, CliError> {
        let Some(piece) = self.answer.piece().await? else {
            return Ok(None);
        };
        self.bytes += piece.len() as u64;
        self.splitter.push(&piece);
        while let Some(frame) = self.splitter.next_frame()? {
            match frame.kind {
                Kind::Header => self.header = postcard::from_bytes(&frame.payload).ok(),
                Kind::Rows => self.rows += Rows::of(&frame.payload).map_or(0, |rows| u64::from(rows.number)),
                Kind::Trailer => self.ended = true,
            }
        }
        Ok(Some(piece))
    }

    /// All pieces up to the one that brought the header.
    pub(super) async fn until_header(&mut self) -> Result<Bytes, CliError> {
        let mut first = BytesMut::new();
        while self.header.is_none() {
            let piece = self.piece().await?;
            first.extend_from_slice(&piece.ok_or(BackupError::Truncated { bytes: self.bytes })?);
        }
        Ok(first.freeze())
    }

    /// What it says of itself.
    pub(super) fn header(&self) -> Result<&Header, CliError> {
        Ok(self.header.as_ref().ok_or(BackupError::Foreign)?)
    }

    /// How many rows came.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether it came whole.
    pub(super) fn complete(&self) -> Result<(), CliError> {
        if self.ended && self.splitter.left() == 0 {
            Ok(())
        } else {
            Err(BackupError::Truncated { bytes: self.bytes }.into())
        }
    }

    pub(super) fn finish(self) -> Result<Arrived, CliError> {
        self.complete()?;
        Ok(Arrived {
            bytes: self.bytes,
            rows: self.rows,
        })
    }
}
