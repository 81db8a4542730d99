//! What images and videos are ordered as: a job of submits, each of which makes one.

use bytes::Bytes;

use crate::api::error::ApiError;
use crate::jobs::{ItemSpec, JobError, JobSpec, Private};
use crate::model::job::{JobKind, Priority, QueueName, RetryPolicy, TimeLimits};
use crate::model::operation::Operation;
use crate::relay::error::RelayError;

/// What a client ordered.
#[derive(Debug)]
pub(super) struct Order<'a> {
    /// What it was ordered as.
    pub(super) kind: JobKind,
    /// The model as the client calls it.
    pub(super) name: &'a str,
    /// What it is upstream.
    pub(super) req_key: &'a str,
    /// What is kept to be repeated in answers, as JSON.
    pub(super) kept: String,
}

impl Order<'_> {
    /// The job that fills it with these submits.
    pub(super) fn job(self, submits: impl IntoIterator<Item = Bytes>) -> JobSpec {
        let item = |body| ItemSpec {
            operation: Operation::Sync2AsyncSubmitTask,
            model: Some(self.req_key.to_owned()),
            alias: (self.name != self.req_key).then(|| self.name.to_owned()),
            task_id: None,
            body,
            req_json: None,
        };
        JobSpec {
            kind: self.kind,
            queue: QueueName::media(),
            priority: Priority::default(),
            not_before: None,
            deadline: None,
            retry: RetryPolicy::default(),
            limits: TimeLimits::default(),
            items: submits.into_iter().map(item).collect(),
            private: Private {
                metadata: "{}".to_owned(),
                webhook: None,
                request: Some(self.kept),
            },
        }
    }
}

/// An order that was not accepted. Its client knows of no items.
pub(super) fn refused(error: JobError) -> ApiError {
    match error {
        JobError::Item { cause, .. } => match *cause {
            denied @ RelayError::ModelDenied => ApiError::from(denied).about("model"),
            cause => cause.into(),
        },
        error => error.into(),
    }
}
