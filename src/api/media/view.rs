//! A job of one film as OpenAI shows a video.

use super::failure::Failure;
use super::video_shape::{AskedVideo, Video, VideoError, VideoId, VideoStatus};
use crate::api::Services;
use crate::api::error::{ApiError, Code};
use crate::jobs::{ItemReport, Results, Viewer};
use crate::model::clock::Timestamp;
use crate::model::id::JobId;
use crate::model::job::{ItemState, Job, JobKind};
use crate::model::media::{Output, RESULT_LIFE};

/// The job of a film, if it is one and theirs.
///
/// # Errors
/// 404 where it is not.
pub(super) async fn find(services: &Services, viewer: Viewer, id: JobId) -> Result<Job, ApiError> {
    let job = services.jobs.get(viewer, id).await.map_err(|error| match error {
        crate::jobs::JobError::NotFound => no_such_video(),
        error => error.into(),
    })?;
    if job.kind == JobKind::Video {
        Ok(job)
    } else {
        Err(no_such_video())
    }
}

/// How a film stands.
///
/// # Errors
/// 404 where it is none of theirs.
pub(super) async fn view(services: &Services, viewer: Viewer, id: JobId) -> Result<Video, ApiError> {
    let job = find(services, viewer, id).await?;
    let reports = services.jobs.items(viewer, id, 0, 1, Results::Included).await?;
    let report = reports.first().ok_or_else(no_such_video)?;
    let private = services.jobs.private(id, &job)?;
    let kept = private.request.and_then(|kept| serde_json::from_str(&kept).ok());
    // It was written with the job, so it can always be read.
    let asked = kept.unwrap_or_else(|| AskedVideo {
        model: report.item.model.clone().unwrap_or_default(),
        seconds: String::new(),
        size: String::new(),
        prompt: None,
    });
    let status = status(&job, report, services.clock.wall());
    Ok(Video::new(VideoId::from(id), asked, job.created_at, status))
}

fn status(job: &Job, report: &ItemReport, now: Timestamp) -> VideoStatus {
    let item = &report.item;
    let ended = item.finished_at.unwrap_or(now);
    match item.state {
        ItemState::Queued => VideoStatus::Queued,
        ItemState::Running | ItemState::Polling => {
            let begun = item.task.as_ref().map(|task| task.submitted_at).or(item.started_at);
            VideoStatus::InProgress {
                elapsed: now.since(begun.unwrap_or(job.created_at)),
            }
        }
        ItemState::Succeeded if has_film(report) => VideoStatus::Completed {
            at: ended,
            expires_at: item
                .task
                .as_ref()
                .map_or(ended, |task| task.submitted_at)
                .plus(RESULT_LIFE),
        },
        ItemState::Succeeded | ItemState::Failed | ItemState::Unknown | ItemState::Dead | ItemState::Cancelled => {
            let Failure { code, message, .. } = Failure::of(report);
            VideoStatus::Failed {
                at: ended,
                error: VideoError { code, message },
            }
        }
    }
}

fn has_film(report: &ItemReport) -> bool {
    let output = report.result.as_ref().map(|reply| Output::read(&reply.body));
    output.is_some_and(|output| output.is_ok_and(|output| output.video_url.is_some()))
}

/// Nothing, or nothing of theirs.
pub(super) fn no_such_video() -> ApiError {
    ApiError::new(Code::NotFound, "no such video")
}
