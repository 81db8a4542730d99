//! A client's own jobs.

use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;

use super::events::job_id;
use super::read;
use super::schema::JobRequest;
use super::search::{self, Filter};
use super::view::{Accepted, JobPage, JobView, WrittenItems};
use crate::api::error::ApiError;
use crate::api::guard::{Authorized, NoBody, Raw, ToJobs};
use crate::api::{Services, Tag, page, relayed};
use crate::jobs::submit::Origin;
use crate::jobs::{Results, Viewer};
use crate::model::id::{JobId, OwnerId};
use crate::model::job::{ItemRef, JobState};

/// The routes of a client's own jobs.
pub struct JobsApi;

#[OpenApi(tag = "Tag::Jobs")]
impl JobsApi {
    /// Submit a job
    ///
    /// One call or a batch, done in the background as carefully as any other: admitted, written down, never paid twice.
    /// Accepted means that it is on the disk.
    #[oai(path = "/v1/jobs", method = "post", operation_id = "jobs_create")]
    async fn submit(
        &self,
        request: &poem::Request,
        authorized: Authorized<ToJobs, Raw<JobRequest>>,
        /// Makes the submission safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Accepted, ApiError> {
        // It is read from the header itself: poem takes bytes that are no text for no header.
        let _ = idempotency_key;
        let services = &authorized.services;
        let key = relayed::idempotency_key(request.headers())?;
        let spec = read::job(&authorized.body.into(), &authorized.caller, services.clock.wall())?;
        let submitted = services.jobs.submit(&authorized.caller, spec, key.as_ref()).await?;
        Ok(Accepted {
            view: JobView::new(&services.jobs, submitted.id, &submitted.job)?,
            repeated: submitted.origin == Origin::Repeat,
        })
    }

    /// List your jobs
    ///
    /// Newest first. A page may hold fewer than `limit`, even none, and still have a `next_cursor` where filters left
    /// much out.
    #[oai(path = "/v1/jobs", method = "get", operation_id = "jobs_list")]
    async fn list(
        &self,
        authorized: Authorized<ToJobs, NoBody>,
        /// Those that stand so.
        state: Query<Option<String>>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<JobPage>, ApiError> {
        let unknown = || ApiError::validation("no job can stand so").about("state");
        let state = state
            .0
            .map(|label| JobState::from_label(&label).ok_or_else(unknown))
            .transpose()?;
        let owner = authorized.caller.owner;
        own(&authorized.services, owner, state, limit.0, cursor.0.as_deref())
            .await
            .map(Json)
    }

    /// Show a job
    ///
    /// How it stands, and how its items do.
    #[oai(path = "/v1/jobs/:id", method = "get", operation_id = "jobs_get")]
    async fn show(
        &self,
        authorized: Authorized<ToJobs, NoBody>,
        /// The job: `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<JobView>, ApiError> {
        let id = job_id(&id.0)?;
        let viewer = Viewer::Owner(authorized.caller.owner);
        let job = authorized.services.jobs.get(viewer, id).await?;
        Ok(Json(JobView::new(&authorized.services.jobs, id, &job)?))
    }

    /// List a job's items
    ///
    /// In their order, each with what it was answered so far.
    #[oai(path = "/v1/jobs/:id/items", method = "get", operation_id = "jobs_listItems")]
    async fn items(
        &self,
        authorized: Authorized<ToJobs, NoBody>,
        /// The job: `job_` and 32 hex digits.
        id: Path<String>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<WrittenItems, ApiError> {
        let id = job_id(&id.0)?;
        let viewer = Viewer::Owner(authorized.caller.owner);
        items(&authorized.services, viewer, id, limit.0, cursor.0.as_deref()).await
    }

    /// Cancel a job
    ///
    /// What has not ended is cancelled. A call that was sent already finishes by itself, and is in the record.
    #[oai(path = "/v1/jobs/:id/cancel", method = "post", operation_id = "jobs_cancel")]
    async fn cancel(
        &self,
        authorized: Authorized<ToJobs, NoBody>,
        /// The job: `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<JobView>, ApiError> {
        let id = job_id(&id.0)?;
        let viewer = Viewer::Owner(authorized.caller.owner);
        let job = authorized.services.jobs.cancel(viewer, id).await?;
        Ok(Json(JobView::new(&authorized.services.jobs, id, &job)?))
    }

    /// Try a job's failed items again
    ///
    /// Those that failed or are dead, and those whose unknown outcome somebody has resolved. What succeeded stays.
    #[oai(path = "/v1/jobs/:id/retry", method = "post", operation_id = "jobs_retry")]
    async fn retry(
        &self,
        authorized: Authorized<ToJobs, NoBody>,
        /// The job: `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<JobView>, ApiError> {
        let id = job_id(&id.0)?;
        let viewer = Viewer::Owner(authorized.caller.owner);
        let job = authorized.services.jobs.retry(viewer, id).await?;
        Ok(Json(JobView::new(&authorized.services.jobs, id, &job)?))
    }
}

/// A page of a job's items.
///
/// # Errors
/// [`ApiError`] for a wrong limit or cursor, and for a job that is not there or not theirs.
pub(super) async fn items(
    services: &Services,
    viewer: Viewer,
    id: JobId,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<WrittenItems, ApiError> {
    let most = page::limit(limit)?;
    let key = &services.store.keyring().cursor;
    let name = format!("items of {id}");
    let from = page::place::<ItemRef>(key, &name, cursor)?.map_or(0, |last| last.index.saturating_add(1));
    let reports = services.jobs.items(viewer, id, from, most, Results::Included).await?;
    let last = reports.last().filter(|_| reports.len() == most);
    let next = last.map(|last| {
        let place = ItemRef {
            job: id,
            index: last.index,
        };
        page::cursor(key, &name, place)
    });
    Ok(WrittenItems::new(&reports, next))
}

async fn own(
    services: &Services,
    owner: OwnerId,
    state: Option<JobState>,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<JobPage, ApiError> {
    let limit = page::limit(limit)?;
    let key = &services.store.keyring().cursor;
    let name = format!("jobs of {owner}");
    let before = page::place(key, &name, cursor)?.unwrap_or(search::NEWEST);
    let filter = Filter {
        owner: Some(owner),
        state,
        queue: None,
    };
    let (found, end) = services
        .store
        .read_aside(move |rows| search::jobs(rows, &filter, before, limit))
        .await?;
    let views = found.iter().map(|(id, job)| JobView::new(&services.jobs, *id, job));
    Ok(JobPage {
        items: views.collect::<Result<_, _>>()?,
        next_cursor: end.map(|end| page::cursor(key, &name, end)),
    })
}
