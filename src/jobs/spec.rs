//! What is submitted: a job before it has an id.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::job::{JobKind, Priority, QueueName, RetryPolicy, TimeLimits};
use crate::model::operation::Operation;
use crate::model::webhook::WebhookUrl;

/// A job as it was asked for, parsed: what each part may be is checked where it is read.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// What it was asked for as.
    pub kind: JobKind,
    /// Where its items wait.
    pub queue: QueueName,
    /// Which of them are taken first.
    pub priority: Priority,
    /// Nothing of it runs before.
    pub not_before: Option<Timestamp>,
    /// What has not ended then is failed.
    pub deadline: Option<Timestamp>,
    /// What is tried again, and how often.
    pub retry: RetryPolicy,
    /// How long things may take.
    pub limits: TimeLimits,
    /// What only its owner reads.
    pub private: Private,
    /// Its items, 1 to [`JobSpec::MOST_ITEMS`].
    pub items: Vec<ItemSpec>,
}

/// One item as it was asked for.
#[derive(Clone, Debug)]
pub struct ItemSpec {
    /// What it asks.
    pub operation: Operation,
    /// The model or `req_key` it names.
    pub model: Option<String>,
    /// What its client calls that model, where it is another name: the one that the key's list is asked for.
    pub alias: Option<String>,
    /// The task it names, for a query.
    pub task_id: Option<String>,
    /// Its body, byte for byte.
    pub body: Bytes,
    /// What its task is asked with: the `req_json` of a query.
    pub req_json: Option<String>,
}

/// What of a job is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// What the client noted with it: a JSON object, as text.
    pub metadata: String,
    /// Where its end is told.
    pub webhook: Option<WebhookUrl>,
    /// What a job of images or of a video was asked for, in the words of its route: a JSON object, as text.
    pub request: Option<String>,
}

impl ItemSpec {
    /// Who asks it, as far as its model's name is concerned.
    pub(super) fn caller(&self, caller: Caller) -> Caller {
        asking(caller, self.alias.as_deref(), self.model.as_deref())
    }
}

/// A caller for an item whose client called its model by an alias.
pub(super) fn asking(caller: Caller, alias: Option<&str>, model: Option<&str>) -> Caller {
    match (alias, model) {
        (Some(alias), Some(model)) => caller.through(alias, model),
        _ => caller,
    }
}

impl JobSpec {
    /// Most items of a job.
    pub const MOST_ITEMS: usize = 10_000;

    /// Most bytes of metadata.
    pub const MOST_METADATA: usize = 16 * 1024;
}
