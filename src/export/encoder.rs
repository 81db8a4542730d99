//! What writes each format.

use super::parquet::{ParquetError, ParquetWriter};
use super::row::Row;
use crate::model::export::Format;

/// Turns rows into the bytes of a file, piece by piece.
pub(super) enum Encoder {
    /// Into lines, as they come.
    Ndjson(Vec<u8>),
    /// Into groups of rows, of which one is held in memory.
    Parquet(Box<ParquetWriter>),
}

impl Encoder {
    /// One for a format.
    ///
    /// # Errors
    /// [`ParquetError`] if the schema were not one, which a test excludes.
    pub(super) fn new(format: Format) -> Result<Self, ParquetError> {
        Ok(match format {
            Format::Ndjson => Self::Ndjson(Vec::new()),
            Format::Parquet => Self::Parquet(Box::new(ParquetWriter::new()?)),
        })
    }

    /// Takes a row, with its canonical line.
    ///
    /// # Errors
    /// [`ParquetError`] when a group of rows cannot be written.
    pub(super) fn add(&mut self, row: &Row, line: &[u8]) -> Result<(), ParquetError> {
        match self {
            Self::Ndjson(lines) => {
                lines.extend_from_slice(line);
                lines.push(b'\n');
                Ok(())
            }
            Self::Parquet(writer) => writer.add(row),
        }
    }

    /// The bytes that are ready.
    pub(super) fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Ndjson(lines) => std::mem::take(lines),
            Self::Parquet(writer) => writer.take(),
        }
    }

    /// The last bytes of the file.
    ///
    /// # Errors
    /// [`ParquetError`] when the last group or the footer cannot be written.
    pub(super) fn finish(self) -> Result<Vec<u8>, ParquetError> {
        match self {
            Self::Ndjson(lines) => Ok(lines),
            Self::Parquet(writer) => writer.finish(),
        }
    }
}
