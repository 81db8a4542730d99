//! Making room under the running-task limit: when every slot is taken and somebody waits, Tollgate itself asks about the
//! task that nobody asked about for the longest time. Queries are free.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Relay;
use crate::admission::running::RunningTasks;
use crate::crypto::entropy;
use crate::model::call::{Call, Delivery};
use crate::model::caller::{Caller, Identity};
use crate::model::id::{AccountId, RequestId};
use crate::model::key::{Limits, Scopes};
use crate::model::lane::Lane;
use crate::model::operation::Operation;
use crate::model::task::RunningTask;

impl Relay {
    /// Frees slots of every account with a running-task limit, until `stop` fires.
    pub async fn reap(self: Arc<Self>, stop: CancellationToken) {
        let accounts = self.admission.limited_accounts();
        let reaping = accounts.into_iter().map(|account| self.reap_account(account));
        tokio::select! {
            () = stop.cancelled() => {}
            _ = futures_util::future::join_all(reaping) => {}
        }
    }

    async fn reap_account(self: &Arc<Self>, account: AccountId) {
        let Some(running) = self.admission.running(account) else {
            return;
        };
        loop {
            running.until_wanted().await;
            self.reap_once(account, &running).await;
            sleep(PAUSE).await;
        }
    }

    async fn reap_once(self: &Arc<Self>, account: AccountId, running: &RunningTasks) {
        for intent in running.lapsed(self.clock.wall()) {
            self.recorder.lapse(account, intent);
            running.finish(intent);
        }
        let Some((intent, held)) = running.stalest() else {
            return;
        };
        // Whatever comes of it, the next round asks about another one.
        let now = self.clock.wall();
        running.update(intent, |held| held.asked_at = now);
        let Some(call) = self.inquiry(held) else { return };
        if let Err(error) = self.run(call, Lane::Background).await {
            tracing::debug!(error = %error, intent, "asking about a running task told nothing");
        }
    }

    /// A query in Tollgate's own name about a task.
    fn inquiry(&self, held: RunningTask) -> Option<Call> {
        let task_id = held.task_id?;
        let body = serde_json::json!({ "req_key": held.req_key, "task_id": task_id });
        let operation = match held.operation {
            Operation::SubmitTask => Operation::GetResult,
            _ => Operation::Sync2AsyncGetResult,
        };
        let request = u128::from_be_bytes(entropy::random(self.entropy.as_ref()).ok()?);
        Some(Call {
            request: RequestId::from_bits(request),
            client_request: None,
            caller: Caller {
                identity: Identity::Tollgate,
                owner: held.owner,
                scopes: Scopes::default(),
                models: None,
                limits: Limits::default(),
            },
            operation,
            body: Bytes::from(body.to_string()),
            model: held.req_key,
            delivery: Delivery::Whole,
            task_id: Some(task_id),
            idempotency: None,
            accept: None,
            passing: http::HeaderMap::new(),
            peer: None,
            headers: Vec::new(),
            arrived: self.clock.monotonic(),
        })
    }
}

/// Between two questions about tasks of one account.
const PAUSE: Duration = Duration::from_secs(1);
