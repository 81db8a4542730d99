//! A backup as it is read: nothing is given out whose tag was not verified.

use super::error::BackupError;
use super::format::{Frame, Header, Kind, Rows, Splitter, Trailer};
use crate::crypto::backup::BackupKey;
use crate::crypto::seal::StoreId;
use crate::store::schema::SCHEMA;

/// Reads a backup that comes in pieces, and verifies it frame by frame.
pub struct BackupReader<'a> {
    keys: &'a (dyn Fn(StoreId) -> Result<Vec<BackupKey>, BackupError> + Sync),
    splitter: Splitter,
    begun: Option<Begun>,
    number: u64,
    rows: u64,
    trailer: Option<Trailer>,
}

struct Begun {
    header: Header,
    key: BackupKey,
}

/// Rows that were verified.
pub struct VerifiedRows(Frame);

impl VerifiedRows {
    /// The rows of one table.
    ///
    /// # Errors
    /// [`BackupError::Damaged`], which only a fault of the program that made the backup could cause.
    pub fn rows(&self) -> Result<Rows<'_>, BackupError> {
        Rows::of(&self.0.payload).ok_or(BackupError::Damaged {
            at: self.0.at,
            what: "its rows cannot be read",
        })
    }
}

impl<'a> BackupReader<'a> {
    /// One that tries the keys which `keys` makes for the store that the backup names.
    #[must_use]
    pub fn new(keys: &'a (dyn Fn(StoreId) -> Result<Vec<BackupKey>, BackupError> + Sync)) -> Self {
        Self {
            keys,
            splitter: Splitter::default(),
            begun: None,
            number: 0,
            rows: 0,
            trailer: None,
        }
    }

    /// What the backup says of itself, once that was verified.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.begun.as_ref().map(|begun| &begun.header)
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.splitter.push(bytes);
    }

    /// The next rows; nothing where more bytes must come first.
    ///
    /// # Errors
    /// [`BackupError`], each with what is wrong.
    pub fn next_rows(&mut self) -> Result<Option<VerifiedRows>, BackupError> {
        while let Some(frame) = self.splitter.next_frame()? {
            let at = frame.at;
            let damaged = |what| BackupError::Damaged { at, what };
            if self.trailer.is_some() {
                return Err(damaged("something follows its end"));
            }
            let begun = match self.begun.take() {
                Some(begun) => begun,
                None => self.begin(&frame)?,
            };
            let is_genuine = frame.is_genuine(&begun.key, &begun.header.name, self.number);
            self.begun = Some(begun);
            if !is_genuine {
                return Err(damaged("it was changed"));
            }
            self.number += 1;
            match frame.kind {
                Kind::Header if self.number == 1 => {}
                Kind::Header => return Err(damaged("it begins twice")),
                Kind::Rows => {
                    let rows = VerifiedRows(frame);
                    self.rows += u64::from(rows.rows()?.number);
                    return Ok(Some(rows));
                }
                Kind::Trailer => {
                    let trailer: Trailer =
                        postcard::from_bytes(&frame.payload).map_err(|_| damaged("its end cannot be read"))?;
                    if trailer.rows != self.rows {
                        return Err(damaged("rows are missing"));
                    }
                    self.trailer = Some(trailer);
                }
            }
        }
        Ok(None)
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// [`BackupError::Truncated`] where its end did not come, [`BackupError::Damaged`] where something followed it.
    pub fn finish(self) -> Result<Header, BackupError> {
        let left = self.splitter.left() as u64;
        let at = self.splitter.at();
        match (self.begun, self.trailer) {
            (Some(begun), Some(_)) if left == 0 => Ok(begun.header),
            (Some(_), Some(_)) => Err(BackupError::Damaged {
                at,
                what: "something follows its end",
            }),
            _ => Err(BackupError::Truncated { bytes: at + left }),
        }
    }

    /// Finds the key that the backup was made with. Its tag is yet to be verified.
    fn begin(&self, frame: &Frame) -> Result<Begun, BackupError> {
        let damaged = |what| BackupError::Damaged { at: frame.at, what };
        if frame.kind != Kind::Header {
            return Err(damaged("it has no header"));
        }
        let header: Header = postcard::from_bytes(&frame.payload).map_err(|_| damaged("its header cannot be read"))?;
        if header.facts.schema > SCHEMA {
            return Err(BackupError::NewerSchema {
                found: header.facts.schema,
                known: SCHEMA,
            });
        }
        let mut keys = (self.keys)(header.facts.store)?.into_iter();
        let key = keys.find(|key| key.check() == header.check);
        let key = key.ok_or(BackupError::WrongKey)?;
        Ok(Begun { header, key })
    }
}
