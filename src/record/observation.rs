//! What a query told of a task: one record per observed change, none for a poll that tells nothing new.

use crate::model::id::AccountId;
use crate::model::record::{Event, TaskChange};
use crate::model::task::{SubmitRef, TaskState};
use crate::store::error::{StoreError, WriteError};
use crate::store::tasks;
use crate::store::{Change, Rows, Tables, Urgency, Write};

/// A task was seen in a state.
pub(super) struct Observe {
    pub(super) at: SubmitRef,
    pub(super) account: AccountId,
    pub(super) task_id: String,
    pub(super) state: TaskState,
    pub(super) code: Option<i64>,
}

/// Whether the state is news.
pub(super) enum News {
    Yes,
    No,
}

impl Write for Observe {
    type Plan = News;
    type Done = ();
    type Refusal = std::convert::Infallible;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<News, WriteError<Self::Refusal>> {
        let known = tasks::submit(rows, self.at)?.is_none_or(|submit| submit.state == self.state);
        Ok(if known { News::No } else { News::Yes })
    }

    fn apply(&mut self, news: News, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let now = tables.now();
        if let (News::Yes, Some(mut submit)) = (news, tasks::submit(tables.view(), self.at)?) {
            submit.state = self.state;
            submit.updated_at = now;
            tables.put_submit(self.at, &submit)?;
            let change = TaskChange {
                intent: self.at.intent,
                task_id: self.task_id.clone(),
                state: self.state,
                code: self.code,
            };
            tables.append(Event::Task(change))?;
        }
        if self.state.is_finished() {
            tables.remove_running_task(self.account, self.at.intent)?;
        }
        Ok(())
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}

/// A slot whose submit is of unknown outcome has been held long enough.
pub(super) struct Lapse {
    pub(super) account: AccountId,
    pub(super) intent: u64,
}

impl Change for Lapse {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.remove_running_task(self.account, self.intent)
    }

    fn urgency(&self) -> Urgency {
        Urgency::Relaxed
    }
}
