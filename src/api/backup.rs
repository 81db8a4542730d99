//! Backups over HTTP.

use futures_util::TryStreamExt;
use poem_openapi::payload::{Binary, Json};
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::Tag;
use super::error::ApiError;
use super::guard::{Authorized, NoBody, ToAdmin};
use crate::backup::{self, Report};

/// A backup that was made.
#[derive(Debug, Object)]
#[oai(rename = "Backup")]
pub struct BackupReport {
    /// The place it is in: `BACKUP_URL`.
    pub place: String,
    /// Its name there.
    pub name: String,
    /// When it was begun: what was committed before is in it.
    pub at: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// How long it took.
    pub duration_seconds: f64,
    /// Older ones that were removed, because `BACKUP_KEEP` are kept.
    pub removed: Vec<String>,
}

impl From<Report> for BackupReport {
    fn from(report: Report) -> Self {
        let Report {
            place,
            name,
            at,
            bytes,
            rows,
            took,
            removed,
        } = report;
        Self {
            place,
            name,
            at: at.to_string(),
            bytes,
            rows,
            duration_seconds: took.as_secs_f64(),
            removed,
        }
    }
}

/// A backup as it is made.
#[derive(ApiResponse)]
pub enum Download {
    /// Its bytes. Only one that ends with its trailer is whole, which `tollgate restore` verifies.
    #[oai(status = 200, content_type = "application/octet-stream")]
    Bytes(
        Binary<poem::Body>,
        /// The name under which it may be kept.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

/// The routes of backups.
pub struct BackupApi;

#[OpenApi(tag = "Tag::Operator")]
impl BackupApi {
    /// Download a backup
    ///
    /// The whole store as it is now, as one authenticated stream, while calls run. Secrets in it stay sealed: it needs the
    /// master key to be restored. One backup is made at a time.
    #[oai(path = "/admin/backup", method = "get", operation_id = "operator_downloadBackup")]
    async fn download(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Download, ApiError> {
        let stream = authorized.services.backups.begin()?;
        let disposition = format!("attachment; filename=\"{}\"", backup::name(stream.header()));
        let body = poem::Body::from_bytes_stream(stream.map_err(std::io::Error::other));
        Ok(Download::Bytes(Binary(body), disposition))
    }

    /// Back up now
    ///
    /// Makes a backup in the place that `BACKUP_URL` names, and answers when it is there.
    #[oai(path = "/admin/backup", method = "post", operation_id = "operator_createBackup")]
    async fn create(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<BackupReport>, ApiError> {
        let report = authorized.services.backups.back_up().await?;
        Ok(Json(report.into()))
    }
}
