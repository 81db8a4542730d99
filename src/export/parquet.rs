//! Rows into Apache Parquet, one group of rows at a time.

use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::errors::ParquetError as Cause;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;

use super::column::{Column, Kind};
use super::row::{Cell, Row};

/// Parquet that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the rows cannot be written as Parquet: {0}")]
pub struct ParquetError(#[from] Cause);

/// Writes rows as Parquet into a buffer that its owner empties: at most one group of rows is held, twice.
pub(super) struct ParquetWriter {
    file: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Values>,
    rows: usize,
    bytes: usize,
}

/// The values of one column in the group that grows, and where they are null.
struct Values {
    column: Column,
    levels: Vec<i16>,
    typed: Typed,
}

enum Typed {
    Numbers(Vec<i64>),
    Texts(Vec<ByteArray>),
}

impl ParquetWriter {
    /// An empty file.
    ///
    /// # Errors
    /// [`ParquetError`] if the schema were not one, which a test excludes.
    pub(super) fn new() -> Result<Self, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("tollgate ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = Arc::new(parse_message_type(&schema())?);
        Ok(Self {
            file: SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?,
            columns: Column::ALL.iter().map(|column| Values::of(*column)).collect(),
            rows: 0,
            bytes: 0,
        })
    }

    /// Takes a row. A group of rows is written when it is large enough.
    ///
    /// # Errors
    /// [`ParquetError`] when it cannot be written.
    pub(super) fn add(&mut self, row: &Row) -> Result<(), ParquetError> {
        let mut cells = row.cells().peekable();
        for values in &mut self.columns {
            let cell = cells.next_if(|(column, _)| *column == values.column);
            self.bytes += values.push(cell.map(|(_, cell)| cell));
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    /// The bytes that are ready.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.file.inner_mut())
    }

    /// The last bytes of the file.
    ///
    /// # Errors
    /// [`ParquetError`] when they cannot be written.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, ParquetError> {
        self.write_group()?;
        Ok(self.file.into_inner()?)
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        let mut columns = self.columns.iter_mut();
        while let Some(mut writer) = group.next_column()? {
            let Some(values) = columns.next() else { break };
            let levels = (!values.column.is_required()).then_some(values.levels.as_slice());
            match &values.typed {
                Typed::Numbers(numbers) => {
                    writer.typed::<Int64Type>().write_batch(numbers, levels, None)?;
                }
                Typed::Texts(texts) => {
                    writer.typed::<ByteArrayType>().write_batch(texts, levels, None)?;
                }
            }
            writer.close()?;
            values.clear();
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Values {
    fn of(column: Column) -> Self {
        Self {
            column,
            levels: Vec::new(),
            typed: match column.kind() {
                Kind::Number | Kind::Moment => Typed::Numbers(Vec::new()),
                Kind::Text => Typed::Texts(Vec::new()),
            },
        }
    }

    /// Adds a value or a null, and says how many bytes it takes.
    fn push(&mut self, cell: Option<&Cell>) -> usize {
        let taken = match (&mut self.typed, cell) {
            (Typed::Numbers(numbers), Some(Cell::Number(number))) => {
                numbers.push(*number);
                Some(8)
            }
            (Typed::Numbers(numbers), Some(Cell::Moment(moment))) => {
                numbers.push(moment.as_micros());
                Some(8)
            }
            (Typed::Texts(texts), Some(Cell::Text(text))) => {
                texts.push(text.as_str().into());
                Some(text.len() + size_of::<ByteArray>())
            }
            _ => None,
        };
        self.levels.push(i16::from(taken.is_some()));
        taken.unwrap_or_default() + 2
    }

    fn clear(&mut self) {
        self.levels.clear();
        match &mut self.typed {
            Typed::Numbers(numbers) => numbers.clear(),
            Typed::Texts(texts) => texts.clear(),
        }
    }
}

/// The schema in Parquet's own words.
fn schema() -> String {
    let field = |column: &Column| {
        let presence = if column.is_required() { "required" } else { "optional" };
        let (physical, logical) = match column.kind() {
            Kind::Number => ("int64", ""),
            Kind::Moment => ("int64", " (TIMESTAMP(MICROS,true))"),
            Kind::Text => ("binary", " (STRING)"),
        };
        format!("  {presence} {physical} {}{logical};\n", column.name())
    };
    let fields: Vec<String> = Column::ALL.iter().map(field).collect();
    format!("message entry {{\n{}}}", fields.concat())
}

/// Most rows of one group.
const GROUP_ROWS: usize = 20_000;

/// At this many bytes of values a group is written, however few rows it has.
const GROUP_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use bytes::Bytes;

    use super::super::sample;
    use super::*;

    fn written(rows: impl IntoIterator<Item = Row>) -> SerializedFileReader<Bytes> {
        let mut writer = ParquetWriter::new().unwrap();
        let mut bytes = Vec::new();
        for row in rows {
            writer.add(&row).unwrap();
            bytes.append(&mut writer.take());
        }
        bytes.append(&mut writer.finish().unwrap());
        SerializedFileReader::new(Bytes::from(bytes)).unwrap()
    }

    #[test]
    fn the_file_has_every_column_with_its_type() {
        let reader = written([]);
        let schema = reader.metadata().file_metadata().schema_descr();
        let names: Vec<&str> = schema.columns().iter().map(|column| column.name()).collect();
        let expected: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
        assert_eq!(names, expected);
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn a_group_of_rows_is_written_before_the_file_ends() {
        let row = Row::of(&sample::entries()[0]);
        let mut writer = ParquetWriter::new().unwrap();
        for _ in 0..GROUP_ROWS - 1 {
            writer.add(&row).unwrap();
        }
        let head = writer.take().len();
        assert!(head <= 4, "the magic number at most, not {head} bytes");
        writer.add(&row).unwrap();
        assert!(writer.take().len() > 1000);
        assert_eq!(writer.rows, 0);
    }

    #[test]
    fn large_texts_make_small_groups() {
        let row = Row::of(&sample::admin(1, &"x".repeat(GROUP_BYTES / 4)));
        let reader = written(std::iter::repeat_n(row, 9));
        assert_eq!(reader.metadata().num_row_groups(), 3);
        assert_eq!(reader.metadata().file_metadata().num_rows(), 9);
    }

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        let of = || {
            let mut writer = ParquetWriter::new().unwrap();
            for logged in sample::entries() {
                writer.add(&Row::of(&logged)).unwrap();
            }
            writer.finish().unwrap()
        };
        assert_eq!(of(), of());
    }
}
