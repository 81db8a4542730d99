//! Jobs of clients, submitted past their route.

use bytes::Bytes;
use tollgate::jobs::{ItemSpec, JobSpec, Private};
use tollgate::model::caller::{Caller, Identity};
use tollgate::model::clock::Timestamp;
use tollgate::model::id::JobId;
use tollgate::model::job::{JobKind, Priority, QueueName, RetryPolicy, TimeLimits};
use tollgate::model::operation::Operation;

use super::{Client, Relay};

impl Relay {
    /// A job of a client's that makes so many calls, none of them before a moment.
    pub(crate) async fn job(&self, client: &Client, calls: usize, not_before: Option<Timestamp>) -> JobId {
        let key = &client.issued().key;
        let caller = Caller {
            identity: Identity::Key(key.id),
            owner: key.owner,
            scopes: key.scopes,
            models: None,
            limits: key.limits,
        };
        let call = ItemSpec {
            operation: Operation::Process,
            model: Some("jimeng_t2i_v40".to_owned()),
            task_id: None,
            body: Bytes::from(super::submit_body("job")),
            req_json: None,
        };
        let spec = JobSpec {
            kind: JobKind::Batch,
            queue: QueueName::default_queue(),
            priority: Priority::default(),
            not_before,
            deadline: None,
            retry: RetryPolicy::default(),
            limits: TimeLimits::default(),
            private: Private {
                metadata: "{}".to_owned(),
                ..Private::default()
            },
            items: vec![call; calls],
        };
        self.services().jobs.submit(&caller, spec, None).await.unwrap().id
    }

    /// A job of a client's that does nothing for as long as a test lasts.
    pub(crate) async fn sleeping_job(&self, client: &Client) -> JobId {
        let tomorrow = self.wall().plus(std::time::Duration::from_hours(24));
        self.job(client, 1, Some(tomorrow)).await
    }
}
