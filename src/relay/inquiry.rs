//! Asking about a task in Tollgate's own name: to make room under the running-task limit, and for jobs that wait for it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::error::RelayError;
use super::{Answer, Relay};
use crate::crypto::entropy;
use crate::model::call::Call;
use crate::model::caller::{Caller, Identity};
use crate::model::id::{OwnerId, RequestId};
use crate::model::key::{Limits, Scopes};
use crate::model::lane::Lane;
use crate::model::operation::Operation;

/// A question about a task. It is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Whose task it is.
    pub owner: OwnerId,
    /// Which submit created it.
    pub submit: Operation,
    /// The model it was submitted with, which a query must name again.
    pub req_key: Option<String>,
    /// Its name at the provider.
    pub task_id: String,
    /// How the result is to be given, e.g. `{"return_url":true}`: a JSON text, as Volcengine takes it.
    pub req_json: Option<String>,
}

/// What is asked of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Result,
    Withdrawal,
}

impl Relay {
    /// Asks how a task stands, in the background lane.
    ///
    /// # Errors
    /// [`RelayError`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the question.
    pub async fn inquire(self: &Arc<Self>, inquiry: Inquiry) -> Result<Answer, RelayError> {
        let call = self.inquiry(inquiry, Asked::Result);
        self.run(call, Lane::Background).await
    }

    /// Withdraws a task that has not started yet.
    ///
    /// # Errors
    /// [`RelayError`].
    ///
    /// # Cancel safety
    /// As [`Relay::inquire`].
    pub async fn withdraw_task(self: &Arc<Self>, inquiry: Inquiry) -> Result<Answer, RelayError> {
        let call = self.inquiry(inquiry, Asked::Withdrawal);
        self.run(call, Lane::Background).await
    }

    fn inquiry(&self, inquiry: Inquiry, asked: Asked) -> Call {
        let Inquiry {
            owner,
            submit,
            req_key,
            task_id,
            req_json,
        } = inquiry;
        let mut body = json!({ "req_key": req_key, "task_id": task_id });
        if let (Some(req_json), Some(fields)) = (req_json, body.as_object_mut()) {
            fields.insert("req_json".to_owned(), Value::from(req_json));
        }
        let operation = match (asked, submit) {
            (Asked::Withdrawal, _) => Operation::CancelTask,
            (Asked::Result, Operation::SubmitTask) => Operation::GetResult,
            (Asked::Result, _) => Operation::Sync2AsyncGetResult,
        };
        // Without randomness ids of one millisecond would meet: nothing is keyed by them.
        let random = entropy::random(self.entropy.as_ref()).unwrap_or_default();
        let request = RequestId::at(self.clock.wall(), random);
        let caller = Caller {
            identity: Identity::Tollgate,
            owner,
            scopes: Scopes::default(),
            models: None,
            limits: Limits::default(),
        };
        let body = Bytes::from(body.to_string());
        Call {
            model: req_key,
            task_id: Some(task_id),
            ..Call::of_ours(request, caller, operation, body, self.clock.monotonic())
        }
    }
}
