//! The bytes of a backup.
//!
//! `magic (16) ‖ format (2) ‖ frames`, and a frame is `kind (1) ‖ length (4) ‖ payload ‖ tag (32)`, numbers big-endian.
//! The first frame is the header, the last one the trailer, those between hold rows of one table each. A tag is an
//! HMAC-SHA256 over the backup's own random name, the frame's number, its kind and its payload: so nothing can be
//! changed, left out, moved or added, and the trailer proves that everything came.

use serde::{Deserialize, Serialize};

use super::error::BackupError;
use crate::crypto::backup::BackupKey;
use crate::crypto::digest::Digest;
use crate::model::clock::Timestamp;
use crate::store::raw::Facts;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A [`Header`].
    Header,
    /// A [`Block`] of rows.
    Rows,
    /// A [`Trailer`].
    Trailer,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Header => b'H',
            Self::Rows => b'R',
            Self::Trailer => b'T',
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            b'H' => Some(Self::Header),
            b'R' => Some(Self::Rows),
            b'T' => Some(Self::Trailer),
            _ => None,
        }
    }
}

/// What a backup says of itself before its rows. In the clear: it holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The store at that moment.
    pub facts: Facts,
    /// When it was made.
    pub at: Timestamp,
    /// The backup's own random name.
    pub name: [u8; 16],
    /// [`BackupKey::check`] of the key that its tags were made with.
    pub check: [u8; 8],
    /// The version of the program that made it.
    pub program: String,
}

/// What a backup says of itself after its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// How many rows there are.
    pub rows: u64,
}

/// Rows of one table on their way into a frame: `length (1) ‖ name ‖ number of rows (4) ‖ rows`, and a row is
/// `length of key (4) ‖ length of value (4) ‖ key ‖ value`.
#[derive(Debug, Default)]
pub struct Block {
    table: &'static str,
    rows: u32,
    bytes: Vec<u8>,
}

impl Block {
    /// Takes a row; where it belongs to another table or the block is full, the block before it is handed back whole.
    pub fn add(&mut self, table: &'static str, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let full = self.rows > 0 && (self.table != table || self.bytes.len() >= BLOCK_BYTES);
        let done = full.then(|| self.take()).flatten();
        self.table = table;
        self.rows += 1;
        for part in [key, value] {
            // redb takes no key or value of 4 GiB.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(&length.to_be_bytes());
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        done
    }

    /// What is in it, as a payload; nothing where it is empty.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        if self.rows == 0 {
            return None;
        }
        let mut payload = Vec::with_capacity(1 + self.table.len() + 4 + self.bytes.len());
        payload.push(u8::try_from(self.table.len()).unwrap_or(u8::MAX));
        payload.extend_from_slice(self.table.as_bytes());
        payload.extend_from_slice(&self.rows.to_be_bytes());
        payload.extend_from_slice(&self.bytes);
        self.rows = 0;
        self.bytes.clear();
        Some(payload)
    }
}

/// A block as it is read.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    /// The table's name.
    pub table: &'a str,
    /// How many rows there are.
    pub number: u32,
    rest: &'a [u8],
}

impl<'a> Rows<'a> {
    /// A payload as a block; nothing where it is none.
    #[must_use]
    pub fn of(payload: &'a [u8]) -> Option<Self> {
        let (length, rest) = payload.split_first()?;
        let (table, rest) = rest.split_at_checked(usize::from(*length))?;
        let (number, rows) = rest.split_first_chunk()?;
        Some(Self {
            table: std::str::from_utf8(table).ok()?,
            number: u32::from_be_bytes(*number),
            rest: rows,
        })
    }
}

/// Key and value of each row; what is cut short ends it.
impl<'a> Iterator for Rows<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key_length, rest) = self.rest.split_first_chunk()?;
        let (value_length, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*key_length) as usize)?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*value_length) as usize)?;
        self.rest = rest;
        Some((key, value))
    }
}

/// Makes frames, each with the next number.
#[derive(Debug)]
pub struct Encoder {
    key: BackupKey,
    name: [u8; 16],
    number: u64,
}

impl Encoder {
    /// For a backup of this name.
    #[must_use]
    pub const fn new(key: BackupKey, name: [u8; 16]) -> Self {
        Self { key, name, number: 0 }
    }

    /// What a backup begins with.
    #[must_use]
    pub fn preamble() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes
    }

    /// The next frame.
    #[must_use]
    pub fn frame(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let tag = self.key.tag(&self.name, self.number, kind.byte(), payload);
        self.number += 1;
        let mut frame = Vec::with_capacity(FRAME_OVERHEAD + payload.len());
        frame.push(kind.byte());
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(payload);
        frame.extend_from_slice(tag.as_bytes());
        frame
    }
}

/// A frame as it was read, before anybody looked at its tag.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What it holds.
    pub kind: Kind,
    /// What it says.
    pub payload: Vec<u8>,
    /// Where it begins.
    pub at: u64,
    tag: Digest,
}

impl Frame {
    /// Whether it is the frame of this number in the backup of this name.
    #[must_use]
    pub fn is_genuine(&self, key: &BackupKey, name: &[u8; 16], number: u64) -> bool {
        key.tag(name, number, self.kind.byte(), &self.payload).ct_eq(&self.tag)
    }
}

/// Takes bytes as they come and gives frames. It holds one frame at most, and believes nothing that it reads.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    /// How much of the buffer was given out.
    used: usize,
    /// Where the buffer begins in the backup.
    base: u64,
}

impl Splitter {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.base += self.used as u64;
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; nothing where more bytes must come first.
    ///
    /// # Errors
    /// [`BackupError::Foreign`], [`BackupError::NewerFormat`] or [`BackupError::Damaged`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, BackupError> {
        if self.at() == 0 && !self.skip_preamble()? {
            return Ok(None);
        }
        let at = self.at();
        let damaged = |what| BackupError::Damaged { at, what };
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        let Some(([kind, length @ ..], rest)) = rest.split_first_chunk::<5>() else {
            return Ok(None);
        };
        let kind = Kind::of(*kind).ok_or_else(|| damaged("there is no such kind of frame"))?;
        let length = u32::from_be_bytes(*length) as usize;
        if length > LARGEST_PAYLOAD {
            return Err(damaged("a frame cannot be so long"));
        }
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            return Ok(None);
        };
        let Some(tag) = rest.first_chunk::<32>() else {
            return Ok(None);
        };
        let frame = Frame {
            kind,
            payload: payload.to_vec(),
            at,
            tag: Digest::from_bytes(*tag),
        };
        self.used += FRAME_OVERHEAD + length;
        Ok(Some(frame))
    }

    /// How many bytes came that are part of no frame yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.buffer.len() - self.used
    }

    /// How many bytes were read as frames.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.base + self.used as u64
    }

    fn skip_preamble(&mut self) -> Result<bool, BackupError> {
        let begun = self.buffer.len().min(MAGIC.len());
        if self.buffer.get(..begun) != MAGIC.get(..begun) {
            return Err(BackupError::Foreign);
        }
        let format = self.buffer.get(MAGIC.len()..).and_then(<[u8]>::first_chunk);
        let Some(format) = format.map(|bytes| u16::from_be_bytes(*bytes)) else {
            return Ok(false);
        };
        if format > FORMAT {
            return Err(BackupError::NewerFormat {
                found: format,
                known: FORMAT,
            });
        }
        self.used = PREAMBLE;
        Ok(true)
    }
}

/// What every backup begins with.
const MAGIC: &[u8; 16] = b"tollgate backup\n";
/// The format that this version writes.
const FORMAT: u16 = 1;
const PREAMBLE: usize = MAGIC.len() + 2;
const FRAME_OVERHEAD: usize = 1 + 4 + 32;
/// A block is handed on when it has so many bytes; one long row may make it longer.
const BLOCK_BYTES: usize = 256 << 10;
/// Far above the longest row that a limit of ours lets in.
const LARGEST_PAYLOAD: usize = 1 << 30;
