//! The canonical lines of an exported file, whichever its format.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use ::parquet::basic::{ConvertedType, Repetition, Type as Physical};
use ::parquet::file::reader::FileReader;
use ::parquet::file::serialized_reader::SerializedFileReader;
use ::parquet::record::{Field, Row as Record};
use ::parquet::schema::types::ColumnDescriptor;
use serde::Deserialize;

use super::super::row::{Cell, line};
use crate::model::clock::Timestamp;

/// One row: the number of its entry, and its canonical line.
pub(super) struct Line {
    pub(super) seq: u64,
    pub(super) bytes: Vec<u8>,
}

/// The lines of an NDJSON file, as they stand in it.
pub(super) fn ndjson(file: File) -> impl Iterator<Item = Result<Line, String>> {
    let mut reader = BufReader::new(file);
    let mut number = 0_u64;
    let next = move || {
        let mut bytes = Vec::new();
        let read = reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut bytes);
        match read {
            Ok(0) => return None,
            Ok(_) => number += 1,
            Err(error) => return Some(Err(format!("cannot be read: {error}"))),
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Some(match serde_json::from_slice::<Numbered>(&bytes) {
            Ok(Numbered { seq }) => Ok(Line { seq, bytes }),
            Err(_) => Err(format!("has a line {number} that is no entry: it was changed or cut")),
        })
    };
    std::iter::from_fn(next)
}

/// What of a line is read.
#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// The lines that the rows of a Parquet file make.
pub(super) fn parquet(file: File) -> Result<impl Iterator<Item = Result<Line, String>>, String> {
    let broken = |error: &dyn std::fmt::Display| format!("is no Parquet file that can be read: {error}");
    let reader = SerializedFileReader::new(file).map_err(|error| broken(&error))?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    if let Some(column) = schema.columns().iter().find(|column| !is_ours(column)) {
        return Err(format!("has a column {} that no export has", column.name()));
    }
    let records = reader.into_iter();
    Ok(records.map(move |record| record.map_err(|error| broken(&error)).and_then(row)))
}

/// Whether a column is of a type that an export has, also where another tool wrote it anew: others could not be made into
/// a line.
fn is_ours(column: &ColumnDescriptor) -> bool {
    let info = column.self_type().get_basic_info();
    let known = matches!(
        (column.physical_type(), column.converted_type()),
        (
            Physical::INT64,
            ConvertedType::NONE | ConvertedType::INT_64 | ConvertedType::TIMESTAMP_MICROS
        ) | (Physical::BYTE_ARRAY, ConvertedType::UTF8)
    );
    known && column.path().parts().len() == 1 && info.repetition() != Repetition::REPEATED
}

fn row(record: Record) -> Result<Line, String> {
    let mut cells = Vec::with_capacity(20);
    for (name, field) in record.into_columns() {
        let cell = match field {
            Field::Null => continue,
            Field::Long(number) => Cell::Number(number),
            Field::TimestampMicros(micros) => Cell::Moment(Timestamp::from_micros(micros)),
            Field::Str(text) => Cell::Text(text),
            _ => return Err(format!("has a value in {name} that no export has")),
        };
        cells.push((name, cell));
    }
    let seq = cells.iter().find_map(|(name, cell)| match cell {
        Cell::Number(seq) if name == "seq" => u64::try_from(*seq).ok(),
        _ => None,
    });
    Ok(Line {
        seq: seq.ok_or("has a row without a number")?,
        bytes: line(cells.iter().map(|(name, cell)| (name.as_str(), cell))),
    })
}

/// More than any entry takes.
const LINE_BYTES: u64 = 16 << 20;
