//! Asking about tasks that run at a provider, until they end. No worker is held: the next question is a moment in the
//! store, so a restart goes on where it was and never submits again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::Jobs;
use super::ending::{Ending, Heard};
use super::settle::Holder;
use super::timers::NothingDue;
use crate::model::clock::Timestamp;
use crate::model::id::OwnerId;
use crate::model::job::item::{ItemError, Task};
use crate::model::job::{Item, ItemRef};
use crate::model::operation::Operation;
use crate::model::reply::Reply;
use crate::model::task::TaskState;
use crate::relay::inquiry::Inquiry;
use crate::relay::meaning::Meaning;
use crate::relay::{Answer, Content};
use crate::store::error::{StoreError, WriteError};
use crate::store::jobs::index::{self, Timer};
use crate::store::jobs::item;
use crate::store::{Change, Rows, Tables, Write};

/// A question that is to be put.
pub(super) struct Question {
    at: ItemRef,
    owner: OwnerId,
    item: Item,
    task: Task,
    /// What the item asks, sealed.
    body: Vec<u8>,
}

impl Jobs {
    /// Puts as many questions that are due as may be under way, once one may.
    pub(super) async fn put_questions(self: &Arc<Self>) -> Result<(), WriteError<NothingDue>> {
        let slot = Arc::clone(&self.polls).acquire_owned().await;
        let Ok(slot) = slot else {
            return Err(StoreError::Closed.into());
        };
        let taking = TakeQuestions {
            now: self.clock.wall(),
            limit: self.polls.available_permits() + 1,
        };
        let mut slot = Some(slot);
        for question in self.store.write(taking).await? {
            let free = || Arc::clone(&self.polls).try_acquire_owned().ok();
            let slot = slot.take().or_else(free);
            self.workers.spawn(Arc::clone(self).ask(question, slot));
        }
        Ok(())
    }

    /// Puts a question, and writes down what it told.
    async fn ask(self: Arc<Self>, question: Question, slot: Option<OwnedSemaphorePermit>) {
        let Question {
            at,
            owner,
            item,
            task,
            body,
        } = question;
        let req_json = match self.vault.open_body(at, &body) {
            Ok(asked) => asked.req_json,
            Err(error) => {
                tracing::error!(error = %error, job = %at.job, item = at.index, "what an item asks cannot be read");
                None
            }
        };
        let inquiry = Inquiry {
            owner,
            submit: item.operation,
            req_key: item.model.clone(),
            task_id: task.task_id.clone(),
            req_json: Some(req_json.unwrap_or_else(|| RETURN_URL.to_owned())),
        };
        let answer = self.relay.inquire(inquiry).await;
        drop(slot);
        let now = self.clock.wall();
        let ending = match answer {
            Ok(Answer {
                content: Content::Whole(reply),
                ..
            }) => self.read(at, &item, &task, &reply, now),
            // Unreachable, not let in, or not readable: it is asked again, and never taken for an end.
            Ok(_) | Err(_) => self.pending(&task, Heard::No),
        };
        let holder = Holder::Task(task.task_id);
        self.settle(at, holder, ending, None).await;
    }

    fn read(&self, at: ItemRef, item: &Item, task: &Task, reply: &Reply, now: Timestamp) -> Ending {
        let meaning = Meaning::of(query_of(item), reply, now);
        let failed = |code: &str, message: &str| {
            let error = ItemError {
                code: code.to_owned(),
                message: message.to_owned(),
            };
            Ending::Failed(error, self.keep(at, reply).ok())
        };
        match meaning.state {
            Some(TaskState::Done) => match self.keep(at, reply) {
                Ok(kept) => {
                    let lives = result_lives(&reply.body);
                    Ending::Succeeded(super::ending::Outcome {
                        expires_at: lives.map(|lives| now.plus(lives)),
                        ..kept
                    })
                }
                Err(_) => self.pending(task, Heard::No),
            },
            Some(TaskState::Failed) => {
                let code = meaning
                    .code
                    .map_or_else(|| "FAILED".to_owned(), |code| code.to_string());
                failed(&code, "the task failed at the provider")
            }
            // A task that was made a moment ago may not be known everywhere yet.
            Some(TaskState::NotFound) if task.submitted_at.plus(NEW) > now => self.pending(task, Heard::Yes),
            Some(TaskState::NotFound) => failed("TASK_NOT_FOUND", "the provider no longer knows the task"),
            Some(TaskState::Expired) => failed("TASK_EXPIRED", "the provider kept the task's result too long ago"),
            Some(TaskState::Cancelled) => Ending::Cancelled,
            Some(TaskState::Submitted | TaskState::InQueue | TaskState::Generating) => self.pending(task, Heard::Yes),
            None => self.pending(task, Heard::No),
        }
    }

    fn pending(&self, task: &Task, heard: Heard) -> Ending {
        let jitter = self.jitter();
        Ending::Pending {
            wait: match heard {
                Heard::Yes => next_question(task.asked, jitter),
                Heard::No => next_try(task.unanswered, jitter),
            },
            heard,
        }
    }
}

/// Takes questions that are due. One that was taken is due again long after its answer, or its loss.
pub(super) struct TakeQuestions {
    pub(super) now: Timestamp,
    pub(super) limit: usize,
}

impl Write for TakeQuestions {
    type Plan = Vec<ItemRef>;
    type Done = Vec<Question>;
    type Refusal = NothingDue;

    fn plan(&mut self, rows: &mut impl Rows) -> Result<Vec<ItemRef>, WriteError<NothingDue>> {
        let due = index::due(rows, Timer::Question, self.now, None, self.limit)?;
        if due.is_empty() {
            let next = index::next_due(rows, Timer::Question)?;
            return Err(WriteError::Refused(NothingDue { next }));
        }
        Ok(due.into_iter().map(|(_, at)| at).collect())
    }

    fn apply(&mut self, due: Vec<ItemRef>, tables: &mut Tables<'_>) -> Result<Vec<Question>, StoreError> {
        let again_at = tables.now().plus(ASKED);
        let mut questions = Vec::with_capacity(due.len());
        for at in due {
            let mut edit = tables.edit_job(at.job)?.ok_or_else(|| StoreError::orphan(at))?;
            let item = tables.edit_item(&mut edit, at.index, |item| item.wake_at = Some(again_at))?;
            let owner = edit.job.owner;
            tables.close_job(edit)?;
            let body = item::body(tables.view(), at)?.unwrap_or_default();
            let Some((item, task)) = item.and_then(|item| Some((item.clone(), item.task?))) else {
                return Err(StoreError::orphan(at));
            };
            questions.push(Question {
                at,
                owner,
                item,
                task,
                body,
            });
        }
        Ok(questions)
    }
}

/// Makes the questions due that an older process was putting when it ended: those that wait longer than any that was
/// answered.
pub(super) struct AskAgain;

impl Change for AskAgain {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let now = tables.now();
        let usual = index::due(tables.view(), Timer::Question, now.plus(LONGEST_WAIT), None, usize::MAX)?;
        let behind = usual.last().map(|(place, _)| *place);
        let end = Timestamp::from_micros(i64::MAX);
        for (_, at) in index::due(tables.view(), Timer::Question, end, behind, usize::MAX)? {
            let mut edit = tables.edit_job(at.job)?.ok_or_else(|| StoreError::orphan(at))?;
            tables.edit_item(&mut edit, at.index, |item| item.wake_at = Some(now))?;
            tables.close_job(edit)?;
        }
        Ok(())
    }
}

/// The query that belongs to an item's submit.
pub(super) const fn query_of(item: &Item) -> Operation {
    match item.operation {
        Operation::SubmitTask => Operation::GetResult,
        _ => Operation::Sync2AsyncGetResult,
    }
}

/// The wait before the next question: growing by a quarter each time from 2 s to 15 s, a fifth more or less.
fn next_question(asked: u32, jitter: f64) -> Duration {
    let grown = 2.0 * 1.25_f64.powi(i32::try_from(asked.min(20)).unwrap_or(20));
    Duration::from_secs_f64(grown.min(15.0) * (0.8 + 0.4 * jitter))
}

/// The wait after a question that was not answered: doubling from 2 s to 60 s, a fifth more or less.
fn next_try(unanswered: u32, jitter: f64) -> Duration {
    let doubled = 2.0 * 2.0_f64.powi(i32::try_from(unanswered.min(10)).unwrap_or(10));
    Duration::from_secs_f64(doubled.min(60.0) * (0.8 + 0.4 * jitter))
}

/// How long what a finished task's reply names can be fetched: a video for an hour, images for a day (contract file,
/// section 12.1).
pub(super) fn result_lives(body: &[u8]) -> Option<Duration> {
    #[derive(serde::Deserialize)]
    struct Done {
        data: Data,
    }
    #[derive(serde::Deserialize)]
    struct Data {
        video_url: Option<String>,
        image_urls: Option<Vec<String>>,
    }
    let done: Done = serde_json::from_slice(body).ok()?;
    match (done.data.video_url, done.data.image_urls) {
        (Some(url), _) if !url.is_empty() => Some(Duration::from_hours(1)),
        (_, Some(urls)) if !urls.is_empty() => Some(Duration::from_hours(24)),
        _ => None,
    }
}

/// How a result is asked for where its submitter says nothing else: as URLs, not as base64.
pub(super) const RETURN_URL: &str = r#"{"return_url":true}"#;

/// The longest wait after an answer, or the lack of one.
const LONGEST_WAIT: Duration = Duration::from_secs(75);

/// How long a question may take before it is put again: longer than any wait.
const ASKED: Duration = Duration::from_mins(2);

/// How long a new task may be unknown to the provider.
const NEW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_grow_rarer_and_are_never_more_than_eighteen_seconds_apart() {
        let waits: Vec<f64> = (0..40).map(|asked| next_question(asked, 0.5).as_secs_f64()).collect();
        assert!((waits[0] - 2.0).abs() < 0.01);
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!((next_question(1000, 1.0).as_secs_f64() - 18.0).abs() < 0.01);
        assert!((next_question(1000, 0.0).as_secs_f64() - 12.0).abs() < 0.01);
    }

    #[test]
    fn a_provider_that_does_not_answer_is_left_alone_for_longer_and_longer() {
        for (unanswered, seconds) in [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0].into_iter().enumerate() {
            let wait = next_try(u32::try_from(unanswered).unwrap(), 0.5);
            assert!((wait.as_secs_f64() - seconds).abs() < 0.01, "{unanswered}: {wait:?}");
        }
    }
}
