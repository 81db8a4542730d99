//! What an operator sees and changes of jobs, whosoever they are.

pub mod dead;
pub mod queues;
pub mod row;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

pub use self::dead::DeadLettersApi;
pub use self::queues::QueuesApi;

use self::row::{ItemRow, ItemRowPage, JobDetail, JobRow, JobRowPage};
use super::events::job_id;
use super::search::{self, Filter};
use crate::api::error::ApiError;
use crate::api::guard::{Authorized, NoBody, ToAdmin};
use crate::api::{Services, Tag, page};
use crate::jobs::Viewer;
use crate::model::caller::Identity;
use crate::model::id::{JobId, RequestId};
use crate::model::job::{ItemRef, ItemState, JobState, QueueName};
use crate::model::record::AdminAction;

/// What the operator asks, in one.
pub type Group = (QueuesApi, DeadLettersApi, AdminJobsApi);

/// The one that there is.
pub const GROUP: Group = (QueuesApi, DeadLettersApi, AdminJobsApi);

/// The operator's routes of jobs.
pub struct AdminJobsApi;

#[OpenApi(tag = "Tag::Operator")]
impl AdminJobsApi {
    /// List every owner's jobs
    ///
    /// Newest first. What they ask and were answered is their owners' alone.
    #[oai(path = "/admin/jobs", method = "get", operation_id = "operator_listJobs")]
    async fn list(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// Only those of this queue.
        queue: Query<Option<String>>,
        /// Only those that stand so: `queued`, `running`, `succeeded`, `partially_failed`, `failed`, `cancelled`, `dead` or
        /// `held`.
        state: Query<Option<String>>,
        /// Only those of this owner: `own_` and 16 hex digits.
        owner: Query<Option<String>>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<JobRowPage>, ApiError> {
        let limit = page::limit(limit.0)?;
        let filter = Filter {
            queue: queue_name(queue.0.as_deref())?,
            state: state.0.as_deref().map(job_state).transpose()?,
            owner: parsed(owner.0.as_deref(), "owner", "own_ and 16 hex digits")?,
        };
        let store = &authorized.services.store;
        let key = &store.keyring().cursor;
        let before = page::place(key, LIST, cursor.0.as_deref())?.unwrap_or(search::NEWEST);
        let (found, next) = store
            .read_aside(move |rows| search::jobs(rows, &filter, before, limit))
            .await?;
        Ok(Json(JobRowPage {
            items: found.iter().map(|(id, job)| JobRow::new(*id, job)).collect(),
            next_cursor: next.map(|id| page::cursor(key, LIST, id)),
        }))
    }

    /// Show a job
    ///
    /// How it stands, and what it was submitted with.
    #[oai(path = "/admin/jobs/:id", method = "get", operation_id = "operator_getJob")]
    async fn show(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<JobDetail>, ApiError> {
        let id = job_id(&id.0)?;
        let job = authorized.services.jobs.get(Viewer::Operator, id).await?;
        Ok(Json(JobDetail::new(id, &job)))
    }

    /// List a job's items
    ///
    /// In their order: how each stands, and why it failed.
    #[oai(
        path = "/admin/jobs/:id/items",
        method = "get",
        operation_id = "operator_listJobItems"
    )]
    async fn items(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `job_` and 32 hex digits.
        id: Path<String>,
        /// Only those that stand so: `queued`, `running`, `polling`, `succeeded`, `failed`, `unknown`, `dead` or
        /// `cancelled`.
        state: Query<Option<String>>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<ItemRowPage>, ApiError> {
        let (id, limit) = (job_id(&id.0)?, page::limit(limit.0)?);
        let state = state.0.as_deref().map(item_state).transpose()?;
        let services = authorized.services;
        let key = &services.store.keyring().cursor;
        let from: Option<ItemRef> = page::place(key, LIST, cursor.0.as_deref())?;
        let from = match from {
            Some(place) if place.job != id => {
                return Err(ApiError::validation("this cursor is of another job").about("cursor"));
            }
            Some(place) => place.index,
            None => 0,
        };
        services.jobs.get(Viewer::Operator, id).await?;
        let (found, next) = services
            .store
            .read_aside(move |rows| search::items(rows, id, state, from, limit))
            .await?;
        let rows = found.into_iter().map(|(index, item)| ItemRow::new(index, item));
        Ok(Json(ItemRowPage {
            items: rows.collect(),
            next_cursor: next.map(|index| page::cursor(key, LIST, ItemRef { job: id, index })),
        }))
    }

    /// Cancel a job
    ///
    /// In every state that is not an end. A call that was sent already finishes by itself, and is in the log book.
    #[oai(
        path = "/admin/jobs/:id/cancel",
        method = "post",
        operation_id = "operator_cancelJob"
    )]
    async fn cancel(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<JobRow>, ApiError> {
        change(&authorized, &id.0, Change::Cancel).await
    }

    /// Try a job's failed items again
    ///
    /// Those that failed or ran out of attempts, and those whose unknown outcome was resolved as not sent. Those that
    /// succeeded stay.
    #[oai(path = "/admin/jobs/:id/retry", method = "post", operation_id = "operator_retryJob")]
    async fn retry(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<JobRow>, ApiError> {
        change(&authorized, &id.0, Change::Retry).await
    }

    /// Hold a job
    ///
    /// Nothing more of it is taken until it is released. What runs goes on.
    #[oai(path = "/admin/jobs/:id/hold", method = "post", operation_id = "operator_holdJob")]
    async fn hold(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<JobRow>, ApiError> {
        change(&authorized, &id.0, Change::Hold).await
    }

    /// Release a held job
    ///
    /// Its items may be taken again.
    #[oai(
        path = "/admin/jobs/:id/release",
        method = "post",
        operation_id = "operator_releaseJob"
    )]
    async fn release(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `job_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<JobRow>, ApiError> {
        change(&authorized, &id.0, Change::Release).await
    }
}

/// What an operator does to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Cancel,
    Retry,
    Hold,
    Release,
    DropDead,
}

impl Change {
    /// Its name in the log book.
    const fn label(self) -> &'static str {
        match self {
            Self::Cancel => "job.cancel",
            Self::Retry => "job.retry",
            Self::Hold => "job.hold",
            Self::Release => "job.release",
            Self::DropDead => "job.drop_dead",
        }
    }

    /// Does it, and notes it in the log book.
    async fn make(self, by: By<'_>, id: JobId) -> Result<JobRow, ApiError> {
        let jobs = &by.services.jobs;
        let job = match self {
            Self::Cancel => jobs.cancel(Viewer::Operator, id).await,
            Self::Retry => jobs.retry(Viewer::Operator, id).await,
            Self::Hold => jobs.hold(id).await,
            Self::Release => jobs.release(id).await,
            Self::DropDead => jobs.drop_dead(id).await,
        }?;
        by.note(self.label(), id.to_string()).await?;
        Ok(JobRow::new(id, &job))
    }
}

/// Who changes something, and by which request.
#[derive(Clone, Copy)]
struct By<'a> {
    services: &'a Services,
    identity: Identity,
    request: RequestId,
}

impl<'a> By<'a> {
    fn of<D, B>(authorized: &'a Authorized<D, B>) -> Self {
        Self {
            services: &authorized.services,
            identity: authorized.caller.identity,
            request: authorized.arrival.request,
        }
    }

    /// Notes in the log book what was done.
    async fn note(self, action: &str, target: String) -> Result<(), ApiError> {
        let action = AdminAction {
            actor: self.identity.to_string(),
            action: action.to_owned(),
            target,
            request: Some(self.request),
        };
        Ok(self.services.recorder.note(action).await?)
    }
}

async fn change<D, B>(authorized: &Authorized<D, B>, id: &str, change: Change) -> Result<Json<JobRow>, ApiError> {
    change.make(By::of(authorized), job_id(id)?).await.map(Json)
}

fn queue_name(text: Option<&str>) -> Result<Option<QueueName>, ApiError> {
    parsed(text, "queue", "a queue's name")
}

fn job_state(text: &str) -> Result<JobState, ApiError> {
    JobState::from_label(text).ok_or_else(|| {
        let known = JobState::ALL.map(JobState::label).join(", ");
        ApiError::validation(format!("state is one of {known}")).about("state")
    })
}

fn item_state(text: &str) -> Result<ItemState, ApiError> {
    ItemState::from_label(text).ok_or_else(|| {
        let known = ItemState::ALL.map(ItemState::label).join(", ");
        ApiError::validation(format!("state is one of {known}")).about("state")
    })
}

fn parsed<T: std::str::FromStr>(text: Option<&str>, field: &str, shape: &str) -> Result<Option<T>, ApiError> {
    let wrong = |_| ApiError::validation(format!("{field} is {shape}")).about(field);
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// What its cursors are sealed for.
const LIST: &str = "jobs of everybody";
