//! Making room under the running-task limit: when every slot is taken and somebody waits, Tollgate itself asks about the
//! task that nobody asked about for the longest time. Queries are free.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Relay;
use super::inquiry::Inquiry;
use crate::admission::running::RunningTasks;
use crate::model::id::AccountId;

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
        let Some(task_id) = held.task_id else { return };
        let inquiry = Inquiry {
            owner: held.owner,
            submit: held.operation,
            req_key: held.req_key,
            task_id,
            req_json: None,
        };
        if let Err(error) = self.inquire(inquiry).await {
            tracing::debug!(error = %error, intent, "asking about a running task told nothing");
        }
    }
}

/// Between two questions about tasks of one account.
const PAUSE: Duration = Duration::from_secs(1);
