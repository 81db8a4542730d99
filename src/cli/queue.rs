//! `tollgate queue`: who waits where.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::CliError;
use super::output::{Output, Show};
use super::reach::Reach;
use super::table::{Column, Look, fields, state, table};
use super::target::Target;
use crate::model::job::QueueName;

/// See what runs and waits, and steer the queues of jobs
#[derive(Debug, Args)]
pub(super) struct QueueArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) action: QueueAction,
}

/// What is done with queues.
#[derive(Debug, Subcommand)]
pub(super) enum QueueAction {
    /// List the gate of every account and class of operation, and every queue of jobs
    List,
    /// Show one queue of jobs
    Show(Id),
    /// Take nothing of a queue of jobs until it is resumed; new jobs are let in
    Pause(Id),
    /// Let nothing new into a queue of jobs until it is resumed; what is there is finished
    Drain(Id),
    /// Open a queue of jobs that was paused or drained
    Resume(Id),
}

/// Names one queue of jobs.
#[derive(Debug, Args)]
pub(super) struct Id {
    /// The queue
    #[arg(long, value_name = "QUEUE")]
    id: QueueName,
}

/// Does it and prints the outcome.
pub(super) async fn run(action: QueueAction, target: &Target, output: Output) -> Result<(), CliError> {
    match action {
        QueueAction::List => output.show(&target.get::<Queues>(QUEUES).await?),
        QueueAction::Show(Id { id }) => output.show(&target.get::<QueueView>(&format!("{QUEUES}/{id}")).await?),
        QueueAction::Pause(id) => change(&id, "pause", target, output).await,
        QueueAction::Drain(id) => change(&id, "drain", target, output).await,
        QueueAction::Resume(id) => change(&id, "resume", target, output).await,
    }
}

async fn change(Id { id }: &Id, what: &str, target: &Target, output: Output) -> Result<(), CliError> {
    output.show(&target.post::<QueueView>(&format!("{QUEUES}/{id}/{what}")).await?)
}

/// Every queue.
#[derive(Debug, Serialize, Deserialize)]
struct Queues {
    /// The gates of accounts.
    items: Vec<GateView>,
    /// The queues of jobs; an older server has none.
    #[serde(default)]
    queues: Vec<QueueView>,
}

/// A gate of an account as it is printed.
#[derive(Debug, Serialize, Deserialize)]
struct GateView {
    upstream: String,
    account: String,
    class: String,
    slots: u64,
    in_use: u64,
    capacity: u64,
    waiting: u64,
    oldest_wait_seconds: Option<f64>,
    /// What a newer server adds.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// A queue of jobs as it is printed.
#[derive(Debug, Serialize, Deserialize)]
struct QueueView {
    name: String,
    mode: String,
    concurrency: Option<u64>,
    items: Standings,
    backlog: u64,
    oldest_age_seconds: Option<f64>,
    throughput_per_minute: Option<f64>,
    /// What a newer server adds, and what no table shows.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// How many items stand how.
#[derive(Debug, Serialize, Deserialize)]
struct Standings {
    ready: u64,
    delayed: u64,
    retrying: u64,
    held: u64,
    running: u64,
    polling: u64,
    succeeded: u64,
    failed: u64,
    unknown: u64,
    dead: u64,
    cancelled: u64,
}

impl GateView {
    fn table(gates: &[Self], look: Look) -> String {
        let columns = [
            Column::Word("UPSTREAM"),
            Column::Word("ACCOUNT"),
            Column::Word("CLASS"),
            Column::Number("RUNNING"),
            Column::Number("WAITING"),
            Column::Number("OLDEST WAIT"),
        ];
        let row = |gate: &Self| {
            vec![
                Cell::new(&gate.upstream),
                Cell::new(&gate.account),
                Cell::new(&gate.class),
                Cell::new(format!("{} of {}", gate.in_use, gate.slots)),
                Cell::new(format!("{} of {}", gate.waiting, gate.capacity)),
                seconds(gate.oldest_wait_seconds.filter(|_| gate.waiting > 0)),
            ]
        };
        let none = "no gates: no account is configured";
        table(&columns, gates.iter().map(row).collect(), look, none)
    }
}

impl QueueView {
    fn table(queues: &[Self], look: Look) -> String {
        let columns = [
            Column::Word("QUEUE"),
            Column::Word("MODE"),
            Column::Number("RUNNING"),
            Column::Number("POLLING"),
            Column::Number("READY"),
            Column::Number("DELAYED"),
            Column::Number("RETRYING"),
            Column::Number("HELD"),
            Column::Number("DEAD"),
            Column::Number("OLDEST"),
            Column::Number("PER MINUTE"),
        ];
        let row = |queue: &Self| {
            vec![
                Cell::new(&queue.name),
                state(&queue.mode),
                Cell::new(queue.running()),
                Cell::new(queue.items.polling),
                Cell::new(queue.items.ready),
                Cell::new(queue.items.delayed),
                Cell::new(queue.items.retrying),
                Cell::new(queue.items.held),
                Cell::new(queue.items.dead),
                seconds(queue.oldest_age_seconds),
                queue.throughput(),
            ]
        };
        table(&columns, queues.iter().map(row).collect(), look, "no queues of jobs")
    }

    fn running(&self) -> String {
        match self.concurrency {
            Some(most) => format!("{} of {most}", self.items.running),
            // Nothing of it is taken: it is not configured any more.
            None => self.items.running.to_string(),
        }
    }

    fn throughput(&self) -> Cell {
        let rate = self.throughput_per_minute;
        Cell::new(rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")))
    }
}

impl Show for Queues {
    fn text(&self, look: Look) -> String {
        let (gates, queues) = (GateView::table(&self.items, look), QueueView::table(&self.queues, look));
        format!("{gates}\n{queues}")
    }
}

impl Show for QueueView {
    fn text(&self, look: Look) -> String {
        let items = &self.items;
        let rows = vec![
            ("queue", Cell::new(&self.name)),
            ("mode", state(&self.mode)),
            ("running", Cell::new(self.running())),
            ("polling", Cell::new(items.polling)),
            ("backlog", Cell::new(self.backlog)),
            ("ready", Cell::new(items.ready)),
            ("delayed", Cell::new(items.delayed)),
            ("retrying", Cell::new(items.retrying)),
            ("held", Cell::new(items.held)),
            ("succeeded", Cell::new(items.succeeded)),
            ("failed", Cell::new(items.failed)),
            ("unknown", Cell::new(items.unknown)),
            ("dead", Cell::new(items.dead)),
            ("cancelled", Cell::new(items.cancelled)),
            ("oldest", seconds(self.oldest_age_seconds)),
            ("per minute", self.throughput()),
        ];
        fields(rows, look)
    }
}

fn seconds(length: Option<f64>) -> Cell {
    Cell::new(length.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s")))
}

const QUEUES: &str = "/admin/queues";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::output::compact;
    use crate::cli::table::Colour;

    const PLAIN: Look = Look {
        colour: Colour::Plain,
        width: None,
    };

    fn media() -> Value {
        json!({
            "name": "media", "mode": "paused", "concurrency": 16, "backlog": 3,
            "items": {
                "ready": 2, "delayed": 0, "retrying": 1, "held": 0, "running": 1, "polling": 7, "succeeded": 40, "failed": 2,
                "unknown": 0, "dead": 4, "cancelled": 0
            },
            "oldest_age_seconds": 61.26, "enqueued": 57, "taken": 54, "ended": 46, "throughput_per_minute": null
        })
    }

    #[test]
    fn on_a_terminal_gates_and_queues_are_two_tables() {
        let gate = |class, waiting: u64, oldest: Option<f64>| {
            json!({
                "upstream": "volcengine", "account": "acc_0123456789abcdef", "class": class, "slots": 1, "in_use": 1,
                "capacity": 100, "waiting": waiting, "oldest_wait_seconds": oldest
            })
        };
        let items = json!({
            "items": [gate("submit", 3, Some(2.54)), gate("query", 0, None)],
            "queues": [media()],
            "next_cursor": null
        });
        let queues: Queues = serde_json::from_value(items).unwrap();
        assert_eq!(
            queues.text(PLAIN),
            "UPSTREAM    ACCOUNT               CLASS   RUNNING   WAITING  OLDEST WAIT
volcengine  acc_0123456789abcdef  submit   1 of 1  3 of 100        2.5 s
volcengine  acc_0123456789abcdef  query    1 of 1  0 of 100            -

QUEUE  MODE    RUNNING  POLLING  READY  DELAYED  RETRYING  HELD  DEAD  OLDEST  PER MINUTE
media  paused  1 of 16        7      2        0         1     0     4  61.3 s           -
"
        );
    }

    #[test]
    fn a_queue_by_itself_shows_every_count_and_in_json_all_that_was_answered() {
        let queue: QueueView = serde_json::from_value(media()).unwrap();
        assert!(queue.text(PLAIN).contains("retrying    1\n"), "{}", queue.text(PLAIN));
        assert!(compact(&queue).contains(r#""enqueued":57"#));
    }
}
