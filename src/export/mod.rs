//! The log book outside of the store: days as files that any engine reads, and statements about them that anybody can
//! check.
//!
//! An entry is a [`Row`] of one flat table. Its canonical form is a line of JSON; an NDJSON file holds these lines, a
//! Parquet file holds the columns from which the same lines can be made. So one [`Root`] stands for the rows of a day
//! in both formats, and a [`Checkpoint`] signs it.

mod checkpoint;
mod column;
mod daily;
mod encoder;
mod name;
mod parquet;
mod reading;
mod root;
mod row;
pub mod verify;

pub use self::checkpoint::{Checkpoint, DayRows, Disbelief, Signed};
pub use self::column::{Column, Kind};
pub use self::daily::{Daily, DailyError};
pub use self::name::{DayFile, Part};
pub use self::parquet::ParquetError;
pub use self::reading::{Piece, Reading, ReadingError};
pub use self::root::Root;
pub use self::row::{Cell, Row};

#[cfg(test)]
mod sample;
