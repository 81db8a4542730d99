//! Submits and what came of them: a caller's own, and every one for the operator.

use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::error::ApiError;
use super::guard::{Authorized, NoBody, ToAdmin, ToRelay};
use super::keys::shapes::KeyView;
use super::{Services, Tag, page};
use crate::model::id::OwnerId;
use crate::model::outcome::Outcome;
use crate::model::task::Submit;
use crate::store::tasks;

/// What came of one submit.
#[derive(Debug, Object)]
#[oai(rename = "Task", skip_serializing_if_is_none)]
pub struct TaskView {
    /// The number of its intent in the log book.
    pub audit_id: u64,
    /// The request that carried it.
    pub request_id: String,
    /// The rotation family it belongs to.
    pub owner: String,
    /// Which submit it was.
    pub operation: String,
    /// The model it named.
    pub req_key: Option<String>,
    /// The provider's name for the task.
    pub task_id: Option<String>,
    /// The account it went to.
    pub account: String,
    /// `succeeded`, `refused`, `not_sent`, `rejected` or `unknown`; absent while it is in flight.
    pub outcome: Option<String>,
    /// How the task stood when it was last asked about.
    pub state: String,
    /// When it was recorded.
    pub submitted_at: String,
    /// When anything of it last changed.
    pub updated_at: String,
}

/// The caller's own key.
#[derive(Debug, Object)]
pub struct OwnKey {
    /// What it is and may do.
    #[oai(flatten)]
    pub key: KeyView,
    /// What webhooks to this key's owner are signed with (Standard Webhooks): the same for every key of a rotation
    /// family. Null where this server sends none.
    pub webhook_secret: Option<String>,
}

/// A page of submits.
#[derive(Debug, Object)]
pub struct TaskPage {
    /// Newest first.
    pub items: Vec<TaskView>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

impl TaskView {
    fn new(owner: OwnerId, intent: u64, submit: Submit) -> Self {
        Self {
            audit_id: intent,
            request_id: submit.request.to_string(),
            owner: owner.to_string(),
            operation: submit.operation.label().to_owned(),
            req_key: submit.req_key,
            task_id: submit.task_id,
            account: submit.account.to_string(),
            outcome: submit.outcome.map(Outcome::label).map(str::to_owned),
            state: submit.state.label().to_owned(),
            submitted_at: submit.submitted_at.to_string(),
            updated_at: submit.updated_at.to_string(),
        }
    }
}

/// The caller's own view.
pub struct OwnApi;

#[OpenApi(tag = "Tag::Me")]
impl OwnApi {
    /// List your submits
    ///
    /// Newest first, with what came of each. Rows are kept at least 48 hours.
    #[oai(path = "/v1/tasks", method = "get", operation_id = "me_listTasks")]
    async fn list_tasks(
        &self,
        authorized: Authorized<ToRelay, NoBody>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<TaskPage>, ApiError> {
        list(
            &authorized.services,
            authorized.caller.owner,
            limit.0,
            cursor.0.as_deref(),
        )
        .await
        .map(Json)
    }

    /// Show your key
    ///
    /// What the key that signed this request is and may do, and the secret by which its owner's webhooks are known.
    #[oai(path = "/v1/key", method = "get", operation_id = "me_getKey")]
    async fn own_key(&self, authorized: Authorized<ToRelay, NoBody>) -> Result<Json<OwnKey>, ApiError> {
        let services = authorized.services;
        let id = authorized.caller.key().ok_or_else(super::keys::no_such_key)?;
        let key = services.directory.get(id).ok_or_else(super::keys::no_such_key)?;
        let secret = services.webhooks.secret_of(key.owner);
        Ok(Json(OwnKey {
            key: KeyView::new(&key, services.clock.wall()),
            webhook_secret: secret.map(|secret| secret.expose().to_owned()),
        }))
    }
}

/// The operator's view.
pub struct AdminTasksApi;

#[OpenApi(tag = "Tag::Operator")]
impl AdminTasksApi {
    /// List an owner's submits
    ///
    /// Newest first. `owner` is a key's rotation family (`own_…`), as key listings show it; without it, everybody's.
    #[oai(path = "/admin/tasks", method = "get", operation_id = "operator_listTasks")]
    async fn list(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// A rotation family: `own_` and 16 hex digits.
        owner: Query<Option<String>>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<TaskPage>, ApiError> {
        match owner.0 {
            Some(owner) => {
                let wrong = |error| ApiError::validation(format!("{error}")).about("owner");
                let owner = owner.parse().map_err(wrong)?;
                list(&authorized.services, owner, limit.0, cursor.0.as_deref())
                    .await
                    .map(Json)
            }
            None => everybodys(&authorized.services, limit.0, cursor.0.as_deref())
                .await
                .map(Json),
        }
    }
}

async fn list(
    services: &Services,
    owner: OwnerId,
    asked: Option<u32>,
    cursor: Option<&str>,
) -> Result<TaskPage, ApiError> {
    let limit = page::limit(asked)?;
    let key = &services.store.keyring().cursor;
    let name = format!("tasks of {owner}");
    let before = page::place(key, &name, cursor)?.unwrap_or(u64::MAX);
    let rows = services
        .store
        .read_aside(move |rows| tasks::submits_of(rows, owner, before, limit))
        .await?;
    let next = rows
        .last()
        .filter(|_| rows.len() == limit)
        .map(|(intent, _)| page::cursor(key, &name, *intent));
    let items = rows
        .into_iter()
        .map(|(intent, submit)| TaskView::new(owner, intent, submit))
        .collect();
    Ok(TaskPage {
        items,
        next_cursor: next,
    })
}

async fn everybodys(services: &Services, asked: Option<u32>, cursor: Option<&str>) -> Result<TaskPage, ApiError> {
    let limit = page::limit(asked)?;
    let key = &services.store.keyring().cursor;
    let before = page::place(key, "tasks", cursor)?.unwrap_or(u64::MAX);
    let rows = services
        .store
        .read_aside(move |rows| tasks::latest_submits(rows, before, limit))
        .await?;
    let next = rows
        .last()
        .filter(|_| rows.len() == limit)
        .map(|(at, _)| page::cursor(key, "tasks", at.intent));
    let items = rows
        .into_iter()
        .map(|(at, submit)| TaskView::new(at.owner, at.intent, submit))
        .collect();
    Ok(TaskPage {
        items,
        next_cursor: next,
    })
}
