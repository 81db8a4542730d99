//! Dead letters: items that ran out of attempts, to be tried again or dropped.

use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::row::{DeadLetter, DeadLetterPage, JobRow};
use super::{By, Change, parsed, queue_name};
use crate::api::error::ApiError;
use crate::api::guard::{Authorized, NoBody, ToAdmin};
use crate::api::{Services, Tag, page};
use crate::model::id::JobId;
use crate::model::job::{Item, ItemRef, Job, QueueName};
use crate::store::Rows;
use crate::store::error::StoreError;
use crate::store::jobs::{self, index, item, queue};

/// Whose dead letters: those of one job, or of a queue.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetterSelection", deny_unknown_fields)]
pub struct DeadLetters {
    /// Those of this job.
    pub job: Option<String>,
    /// Those of every job of this queue.
    pub queue: Option<String>,
    /// Where to go on in the queue: the `next_cursor` of the answer before.
    pub cursor: Option<String>,
}

/// What came of it.
#[derive(Debug, Object)]
#[oai(rename = "ChangedDeadLetters")]
pub struct DeadLettersChanged {
    /// The jobs whose dead letters were tried again or dropped, as they stand now.
    pub jobs: Vec<JobRow>,
    /// The jobs with which it could not be done.
    pub skipped: Vec<SkippedJob>,
    /// Where the queue's other jobs begin; null when there are none.
    pub next_cursor: Option<String>,
}

/// A job with which something could not be done.
#[derive(Debug, Object)]
pub struct SkippedJob {
    /// The job.
    pub id: String,
    /// Why not.
    pub reason: String,
}

/// The routes of dead letters.
pub struct DeadLettersApi;

#[OpenApi(tag = "Tag::Queues")]
impl DeadLettersApi {
    /// List the dead letters
    ///
    /// Items that ran out of attempts, with their last error; those of the oldest job first.
    #[oai(
        path = "/admin/dead-letters",
        method = "get",
        operation_id = "queues_listDeadLetters"
    )]
    async fn list(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// Only those of this queue.
        queue: Query<Option<String>>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<DeadLetterPage>, ApiError> {
        let (limit, queue) = (page::limit(limit.0)?, queue_name(queue.0.as_deref())?);
        let store = &authorized.services.store;
        let key = &store.keyring().cursor;
        let after = page::place(key, LIST, cursor.0.as_deref())?;
        let (found, next) = store
            .read_aside(move |rows| letters(rows, queue.as_ref(), after, limit))
            .await?;
        let views = found.into_iter().map(|(at, job, item)| DeadLetter::new(at, &job, item));
        Ok(Json(DeadLetterPage {
            items: views.collect(),
            next_cursor: next.map(|at| page::cursor(key, LIST, at)),
        }))
    }

    /// Try dead letters again
    ///
    /// Of one job, or of the jobs of a queue, up to a hundred at a time. Failed items of those jobs are tried again too.
    #[oai(
        path = "/admin/dead-letters/retry",
        method = "post",
        operation_id = "queues_retryDeadLetters"
    )]
    async fn retry(
        &self,
        authorized: Authorized<ToAdmin, Json<DeadLetters>>,
    ) -> Result<Json<DeadLettersChanged>, ApiError> {
        change(&authorized, Change::Retry).await
    }

    /// Drop dead letters
    ///
    /// Of one job, or of the jobs of a queue, up to a hundred at a time. The items count as cancelled from then on.
    #[oai(
        path = "/admin/dead-letters/drop",
        method = "post",
        operation_id = "queues_dropDeadLetters"
    )]
    async fn discard(
        &self,
        authorized: Authorized<ToAdmin, Json<DeadLetters>>,
    ) -> Result<Json<DeadLettersChanged>, ApiError> {
        change(&authorized, Change::DropDead).await
    }
}

async fn change(
    authorized: &Authorized<ToAdmin, Json<DeadLetters>>,
    change: Change,
) -> Result<Json<DeadLettersChanged>, ApiError> {
    let Json(body) = &authorized.body;
    let job: Option<JobId> = parsed(body.job.as_deref(), "job", "job_ and 32 hex digits")?;
    let queue = queue_name(body.queue.as_deref())?;
    let by = By::of(authorized);
    let (ids, next_cursor) = match (job, queue) {
        (Some(job), None) => (vec![job], None),
        (None, Some(queue)) => with_letters(by.services, queue, body.cursor.as_deref()).await?,
        _ => return Err(ApiError::validation("say either job or queue").about("job")),
    };
    let mut changed = DeadLettersChanged {
        jobs: Vec::new(),
        skipped: Vec::new(),
        next_cursor,
    };
    for id in ids {
        match change.make(by, id).await {
            Ok(row) => changed.jobs.push(row),
            // What the job itself does not allow stops no other one. What is wrong with us stops them all.
            Err(error) if !error.status().is_server_error() => changed.skipped.push(SkippedJob {
                id: id.to_string(),
                reason: error.message().to_owned(),
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(Json(changed))
}

/// The next jobs of a queue that have dead letters, and where to go on behind them.
async fn with_letters(
    services: &Services,
    queue: QueueName,
    cursor: Option<&str>,
) -> Result<(Vec<JobId>, Option<String>), ApiError> {
    // Also of one that is not configured any more: its letters are there all the same.
    if !services.jobs.queues().await?.iter().any(|view| view.name == queue) {
        return Err(ApiError::validation("there is no such queue").about("queue"));
    }
    let key = &services.store.keyring().cursor;
    let after = page::place(key, LIST, cursor)?;
    let found = services.store.read_aside(move |rows| jobs_behind(rows, &queue, after));
    let ids = found.await?;
    let next = ids.last().filter(|_| ids.len() == MOST_JOBS).map(|id| last_of(*id));
    let next = next.map(|at| page::cursor(key, LIST, at));
    Ok((ids, next))
}

/// Up to [`MOST_JOBS`] jobs of a queue with dead letters behind a place: each is one look at the index, however many
/// letters it has.
fn jobs_behind(rows: &mut impl Rows, queue: &QueueName, mut after: Option<ItemRef>) -> Result<Vec<JobId>, StoreError> {
    let mut ids = Vec::new();
    while ids.len() < MOST_JOBS {
        let found = index::dead_letters(rows, queue, after, 1)?;
        let Some(at) = found.first() else { break };
        ids.push(at.job);
        after = Some(last_of(at.job));
    }
    Ok(ids)
}

/// Every letter of a job comes before it, or is it.
const fn last_of(job: JobId) -> ItemRef {
    ItemRef { job, index: u32::MAX }
}

type Letter = (ItemRef, Job, Item);

/// Up to `limit` dead letters behind a place, of one queue or of all in one line.
fn letters(
    rows: &mut impl Rows,
    queue: Option<&QueueName>,
    after: Option<ItemRef>,
    limit: usize,
) -> Result<(Vec<Letter>, Option<ItemRef>), StoreError> {
    let queues = match queue {
        Some(queue) => vec![queue.clone()],
        None => queue::all(rows)?.into_iter().map(|(name, _)| name).collect(),
    };
    let mut places = Vec::new();
    for queue in &queues {
        places.extend(index::dead_letters(rows, queue, after, limit + 1)?);
    }
    places.sort_unstable();
    let more = places.len() > limit;
    places.truncate(limit);
    let next = places.last().filter(|_| more).copied();
    let mut found = Vec::new();
    let mut job: Option<(JobId, Job)> = None;
    for at in places {
        if job.as_ref().is_none_or(|(id, _)| *id != at.job) {
            job = jobs::get(rows, at.job)?.map(|job| (at.job, job));
        }
        if let (Some((_, job)), Some(item)) = (&job, item::get(rows, at)?) {
            found.push((at, job.clone(), item));
        }
    }
    Ok((found, next))
}

/// What its cursors are sealed for.
const LIST: &str = "dead letters";

/// Most jobs that one request changes.
const MOST_JOBS: usize = 100;
