//! `tollgate job`: background work of every owner.

mod view;

use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;

use self::view::{Changed, DeadLetter, ItemRow, JobDetail, JobRow};
use super::error::CliError;
use super::output::Output;
use super::page::{Page, with_query};
use super::reach::Reach;
use super::target::Target;
use crate::model::id::{JobId, OwnerId};
use crate::model::job::{ItemState, JobState, QueueName};

/// See and steer the jobs of every owner
#[derive(Debug, Args)]
pub(super) struct JobArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) action: JobAction,
}

/// What is done with jobs.
#[derive(Debug, Subcommand)]
pub(super) enum JobAction {
    /// List jobs, newest first
    List(List),
    /// Show one job
    Show(Id),
    /// List the items of a job
    Items(Items),
    /// Cancel what has not ended of a job
    Cancel(Id),
    /// Try again what failed or ran out of attempts: of one job, or of every job of a queue that has dead letters
    Retry(Which),
    /// Keep what waits of a job from being taken
    Hold(Id),
    /// Let a held job run
    Release(Id),
    /// List the dead letters: items that ran out of attempts
    Dead(Dead),
    /// Drop the dead letters of one job, or of every job of a queue: they count as cancelled
    Drop(Which),
}

/// `job list`
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this queue
    #[arg(long)]
    queue: Option<QueueName>,
    /// Only those that stand so, such as running, `partially_failed` or held
    #[arg(long, value_parser = job_state)]
    state: Option<JobState>,
    /// Only those of this owner, such as `own_0123456789abcdef`
    #[arg(long)]
    owner: Option<OwnerId>,
    #[command(flatten)]
    part: Part,
}

/// `job items`
#[derive(Debug, Args)]
pub(super) struct Items {
    #[command(flatten)]
    id: Id,
    /// Only those that stand so, such as running, unknown or dead
    #[arg(long, value_parser = item_state)]
    state: Option<ItemState>,
    #[command(flatten)]
    part: Part,
}

/// `job dead`
#[derive(Debug, Args)]
pub(super) struct Dead {
    /// Only those of this queue
    #[arg(long)]
    queue: Option<QueueName>,
    #[command(flatten)]
    part: Part,
}

/// Names one job.
#[derive(Debug, Args)]
pub(super) struct Id {
    /// The job, such as `job_0123456789abcdef0123456789abcdef`
    #[arg(long, value_name = "JOB")]
    id: JobId,
}

/// Names one job, or a queue.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The job, such as `job_0123456789abcdef0123456789abcdef`
    #[arg(long, value_name = "JOB")]
    id: Option<JobId>,
    /// Every job of this queue that has dead letters
    #[arg(long)]
    queue: Option<QueueName>,
}

/// Which part of a list.
#[derive(Debug, Args)]
struct Part {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Where an earlier list ended (its `next_cursor`)
    #[arg(long)]
    cursor: Option<String>,
}

/// Does it and prints the outcome.
pub(super) async fn run(action: JobAction, target: &Target, output: Output) -> Result<(), CliError> {
    match action {
        JobAction::List(list) => output.show(&target.get::<Page<JobRow>>(&list.path()).await?),
        JobAction::Show(id) => output.show(&target.get::<JobDetail>(&id.path()).await?),
        JobAction::Items(items) => output.show(&target.get::<Page<ItemRow>>(&items.path()).await?),
        JobAction::Cancel(id) => change(&id, "cancel", target, output).await,
        JobAction::Hold(id) => change(&id, "hold", target, output).await,
        JobAction::Release(id) => change(&id, "release", target, output).await,
        JobAction::Retry(Which { id: Some(id), .. }) => change(&Id { id }, "retry", target, output).await,
        JobAction::Retry(which) => letters(which, "retry", target, output).await,
        JobAction::Dead(dead) => output.show(&target.get::<Page<DeadLetter>>(&dead.path()).await?),
        JobAction::Drop(which) => letters(which, "drop", target, output).await,
    }
}

async fn change(id: &Id, what: &str, target: &Target, output: Output) -> Result<(), CliError> {
    output.show(&target.post::<JobRow>(&format!("{}/{what}", id.path())).await?)
}

/// Does something with dead letters, a page of jobs at a time.
async fn letters(which: Which, what: &str, target: &Target, output: Output) -> Result<(), CliError> {
    let path = format!("{LETTERS}/{what}");
    let mut letters = Letters {
        job: which.id.map(|id| id.to_string()),
        queue: which.queue.map(|queue| queue.to_string()),
        cursor: None,
    };
    let mut whole = Changed::default();
    loop {
        let changed: Changed = target.put(Method::POST, &path, &letters).await?;
        let next = whole.add(changed);
        // A cursor that does not move would never end.
        if next.is_none() || next == letters.cursor {
            return output.show(&whole);
        }
        letters.cursor = next;
    }
}

/// Whose dead letters, as the admin interface wants it.
#[derive(Debug, Serialize)]
struct Letters {
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl List {
    fn path(&self) -> String {
        let (owner, limit) = (self.owner.map(|owner| owner.to_string()), self.part.limit.to_string());
        let filters = [
            ("queue", self.queue.as_ref().map(QueueName::as_str)),
            ("state", self.state.map(JobState::label)),
            ("owner", owner.as_deref()),
            ("limit", Some(limit.as_str())),
            ("cursor", self.part.cursor.as_deref()),
        ];
        with_query(JOBS, &filters)
    }
}

impl Items {
    fn path(&self) -> String {
        let limit = self.part.limit.to_string();
        let filters = [
            ("state", self.state.map(ItemState::label)),
            ("limit", Some(limit.as_str())),
            ("cursor", self.part.cursor.as_deref()),
        ];
        with_query(&format!("{}/items", self.id.path()), &filters)
    }
}

impl Dead {
    fn path(&self) -> String {
        let limit = self.part.limit.to_string();
        let filters = [
            ("queue", self.queue.as_ref().map(QueueName::as_str)),
            ("limit", Some(limit.as_str())),
            ("cursor", self.part.cursor.as_deref()),
        ];
        with_query(LETTERS, &filters)
    }
}

impl Id {
    fn path(&self) -> String {
        format!("{JOBS}/{}", self.id)
    }
}

fn job_state(text: &str) -> Result<JobState, String> {
    JobState::from_label(text).ok_or_else(|| format!("one of {}", JobState::ALL.map(JobState::label).join(", ")))
}

fn item_state(text: &str) -> Result<ItemState, String> {
    ItemState::from_label(text).ok_or_else(|| format!("one of {}", ItemState::ALL.map(ItemState::label).join(", ")))
}

const JOBS: &str = "/admin/jobs";
const LETTERS: &str = "/admin/dead-letters";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::{Cli, Command};

    fn parse(line: &str) -> Result<JobAction, clap::Error> {
        match Cli::parse_line(format!("tollgate job {line}").split(' '))?.command {
            Some(Command::Job(args)) => Ok(args.action),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_asks_for_what_was_named() {
        let JobAction::List(list) = parse("list --queue media --state partially_failed --cursor c").unwrap() else {
            panic!()
        };
        assert_eq!(
            list.path(),
            "/admin/jobs?queue=media&state=partially_failed&limit=50&cursor=c"
        );
        let JobAction::Items(items) = parse(&format!("items --id {ID} --state dead --limit 5")).unwrap() else {
            panic!()
        };
        assert_eq!(items.path(), format!("/admin/jobs/{ID}/items?state=dead&limit=5"));
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for line in [
            "list --state done",
            "list --queue Media",
            "show --id 7",
            "drop",
            "retry",
            &format!("drop --queue media --id {ID}"),
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    const ID: &str = "job_0123456789abcdef0123456789abcdef";
}
