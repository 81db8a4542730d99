//! The log book as a file, and signed statements about it.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Binary, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, Registry};
use poem_openapi::{ApiResponse, Object};

use crate::api::Services;
use crate::api::error::{ApiError, Code};
use crate::crypto::signing::CheckpointKey;
use crate::export::{Checkpoint, Piece, Reading, ReadingError, Signed};
use crate::model::clock::Timestamp;
use crate::model::day::Day;
use crate::model::export::Format;
use crate::store::{audit, exports};

/// Entries of the log book as a file, sent while it is made.
pub struct Exported {
    format: Format,
    reading: Reading,
}

/// What a caller wants of the log book.
pub(super) struct Wanted {
    pub(super) format: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

/// A signed statement about the log book.
#[derive(Debug, Object)]
#[oai(rename = "SignedCheckpoint")]
pub struct CheckpointView {
    /// The sequence number of the entry that it is about.
    pub seq: u64,
    /// The entry's digest.
    pub digest: String,
    /// When the entry was written.
    pub at: String,
    /// With which key others check the signature: Ed25519, 64 hex digits. It stays the same as long as the store lives.
    pub public_key: String,
    /// The checkpoint as it stands in a file: lines that a person can read, the signature last.
    pub text: String,
}

impl Exported {
    /// The entries that are wanted, as they are kept now.
    pub(super) async fn open(services: &Services, wanted: &Wanted) -> Result<Self, ApiError> {
        let format = match wanted.format.as_deref() {
            None => Format::Ndjson,
            Some(text) => text
                .parse()
                .map_err(|error| ApiError::validation(format!("{error}")).about("format"))?,
        };
        let today = Day::of(services.clock.wall());
        let from = bound(wanted.from.as_deref(), "from", today)?;
        let to = bound(wanted.to.as_deref(), "to", today)?;
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(ApiError::validation(format!("from {from} is after to {to}")).about("from"));
        }
        let (first, last) = services
            .store
            .read_aside(move |rows| {
                let start = from.map_or(Timestamp::EPOCH, Day::begins_at);
                let first = exports::first_since(rows, start)?;
                let last = match to {
                    Some(to) => exports::first_since(rows, to.ends_at())?.saturating_sub(1),
                    None => audit::head(rows)?.seq,
                };
                Ok((first, last))
            })
            .await?;
        let reading = Reading::new(services.store.clone(), format, first, last).map_err(ReadingError::from)?;
        Ok(Self { format, reading })
    }
}

/// A day that may bound an export: one that has begun.
fn bound(text: Option<&str>, name: &'static str, today: Day) -> Result<Option<Day>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let day = day(text, name)?;
    if day > today {
        return Err(ApiError::validation(format!("{day} lies in the future; it is {today} (UTC)")).about(name));
    }
    Ok(Some(day))
}

fn day(text: &str, name: &'static str) -> Result<Day, ApiError> {
    text.parse()
        .map_err(|error| ApiError::validation(format!("{name} is {error}")).about(name))
}

/// A checkpoint of the head as it stands.
pub(super) async fn of_head(services: &Services) -> Result<CheckpointView, ApiError> {
    let head = services.store.read_aside(audit::head).await?;
    Ok(signed(services, Checkpoint::of_head(services.store.id(), head)))
}

/// The checkpoint of a day that has ended.
pub(super) async fn of_day(services: &Services, text: &str) -> Result<CheckpointView, ApiError> {
    let day = day(text, "day")?;
    let today = Day::of(services.clock.wall());
    if day >= today {
        return Err(ApiError::validation(format!("{day} has not ended; it is {today} (UTC)")).about("day"));
    }
    let span = services.store.read_aside(move |rows| exports::day(rows, day)).await?;
    let Some(span) = span else {
        return Err(ApiError::new(Code::NotFound, format!("no entry of {day} is kept")).about("day"));
    };
    let reading = Reading::new(services.store.clone(), Format::Ndjson, span.first, span.last);
    let root = reading.map_err(ReadingError::from)?.root().await?;
    let checkpoint = Checkpoint::of_day(services.store.id(), day, &span, root.digest());
    Ok(signed(services, checkpoint))
}

fn signed(services: &Services, checkpoint: Checkpoint) -> CheckpointView {
    let signed: Signed = checkpoint.sign(&CheckpointKey::derive(&services.store.keyring().id));
    CheckpointView {
        seq: checkpoint.head.seq,
        digest: checkpoint.head.digest.to_string(),
        at: checkpoint.head.at.to_string(),
        public_key: signed.key.to_string(),
        text: signed.to_string(),
    }
}

impl From<ReadingError> for ApiError {
    fn from(error: ReadingError) -> Self {
        match error {
            ReadingError::Store(error) => error.into(),
            ReadingError::Parquet(_) | ReadingError::Removed(_) => {
                tracing::error!(error = %error, "the log book cannot be exported");
                Self::new(Code::InternalError, error.to_string())
            }
        }
    }
}

impl IntoResponse for Exported {
    fn into_response(self) -> Response {
        let pieces = stream::try_unfold(self.reading, |mut reading| async move {
            let piece = reading.next().await.map_err(io::Error::other)?;
            let bytes = match piece {
                None => return Ok::<_, io::Error>(None),
                Some(Piece::Bytes(bytes) | Piece::Last(bytes, _)) => bytes,
            };
            Ok(Some((Bytes::from(bytes), reading)))
        });
        Response::builder()
            .content_type(content_type(self.format))
            .body(poem::Body::from_bytes_stream(pieces))
    }
}

impl ApiResponse for Exported {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The entries, oldest first, while they are read.",
                status: Some(200),
                status_range: None,
                content: [Format::Ndjson, Format::Parquet].map(media).into(),
                headers: Vec::new(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

fn media(format: Format) -> MetaMediaType {
    MetaMediaType {
        content_type: content_type(format),
        schema: <Binary<Vec<u8>> as Payload>::schema_ref().merge(MetaSchema {
            description: Some(match format {
                Format::Ndjson => "One JSON object a line.",
                Format::Parquet => "The same as an Apache Parquet file.",
            }),
            ..MetaSchema::ANY
        }),
    }
}

/// The type of a format's bytes.
const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Parquet => "application/vnd.apache.parquet",
    }
}
