//! Log lines of a job: what a client's own workflow did.

mod shapes;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

pub use self::shapes::{AcceptedLines, Level, LogLineView, LogPage, LogSummary, PostedLine, PostedLines};

use super::events::job_id;
use crate::api::Tag;
use crate::api::error::ApiError;
use crate::api::guard::{Authorized, NoBody, ToJobs};
use crate::jobs::{JobError, Viewer};
use crate::store::jobs::log::Wanted;

/// What posted lines are answered with.
#[derive(ApiResponse)]
pub enum Accepted {
    /// They are written within two seconds.
    #[oai(status = 202)]
    Accepted(Json<AcceptedLines>),
}

/// The routes of log lines.
pub struct JobLogsApi;

#[OpenApi(tag = "Tag::Jobs")]
impl JobLogsApi {
    /// Log beside a job
    ///
    /// One line, or 1 to 1000 of them as `{"lines": […]}`; all are taken or none. They are written together: as soon as
    /// there are 50, and within two seconds. A job has at most 100,000 lines, which are sealed at rest and kept as long as
    /// it is. With `QUEUE_FULL`, come back a little later.
    #[oai(path = "/v1/jobs/:id/logs", method = "post", operation_id = "jobs_log")]
    async fn log(
        &self,
        authorized: Authorized<ToJobs, Json<PostedLines>>,
        /// The job: `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Accepted, ApiError> {
        let services = authorized.services;
        let viewer = Viewer::Owner(authorized.caller.owner);
        let lines = authorized.body.0.read(services.clock.wall())?;
        if !services.recorder.has_room() {
            return Err(JobError::Full.into());
        }
        let accepted = services.logs.accept(viewer, job_id(&id.0)?, lines).await?;
        Ok(Accepted::Accepted(Json(AcceptedLines { accepted })))
    }

    /// Read a job's log
    ///
    /// Its lines in the order in which they came.
    #[oai(path = "/v1/jobs/:id/logs", method = "get", operation_id = "jobs_listLogs")]
    async fn list(
        &self,
        authorized: Authorized<ToJobs, NoBody>,
        /// The job: `job_` and 32 hex digits.
        id: Path<String>,
        /// Only lines of this level.
        level: Query<Option<Level>>,
        /// Only lines of this category.
        category: Query<Option<String>>,
        /// How many, 1 to 2000; 100 unless told.
        limit: Query<Option<u32>>,
        /// How many to leave out before the first.
        offset: Query<Option<u64>>,
    ) -> Result<Json<LogPage>, ApiError> {
        let limit = match limit.0.unwrap_or(100) {
            limit @ 1..=MOST_SHOWN => limit as usize,
            _ => return Err(ApiError::validation(format!("limit is between 1 and {MOST_SHOWN}")).about("limit")),
        };
        let wanted = Wanted {
            level: level.0.map(Into::into),
            category: category.0,
        };
        let viewer = Viewer::Owner(authorized.caller.owner);
        let logs = &authorized.services.logs;
        let found = logs
            .search(viewer, job_id(&id.0)?, wanted, offset.0.unwrap_or(0), limit)
            .await?;
        Ok(Json(LogPage::new(found)))
    }

    /// Sum up a job's log
    ///
    /// How many lines there are of each level and category, when the first and the last happened, and how long they took
    /// together.
    #[oai(
        path = "/v1/jobs/:id/logs/summary",
        method = "get",
        operation_id = "jobs_summarizeLogs"
    )]
    async fn summary(
        &self,
        authorized: Authorized<ToJobs, NoBody>,
        /// The job: `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<LogSummary>, ApiError> {
        let viewer = Viewer::Owner(authorized.caller.owner);
        let logs = &authorized.services.logs;
        let summary = logs.summary(viewer, job_id(&id.0)?).await?;
        Ok(Json(LogSummary::new(summary)))
    }
}

/// Most lines of one answer: what the roadmap backend's clients ask for.
const MOST_SHOWN: u32 = 2000;
