//! `tollgate queue`: who waits where.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::CliError;
use super::output::{Output, Show};
use super::page::Page;
use super::reach::Reach;
use super::table::{Column, Look, table};
use super::target::Target;

/// See what runs and waits
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
    /// List the queue of every account and class of operation
    List,
}

/// Does it and prints the outcome.
pub(super) async fn run(action: QueueAction, target: &Target, output: Output) -> Result<(), CliError> {
    let QueueAction::List = action;
    output.show(&Page::<QueueView>::get(target, "/admin/queues", &[]).await?)
}

/// A queue as it is printed.
#[derive(Debug, Serialize, Deserialize)]
struct QueueView {
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

impl Show for Page<QueueView> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("UPSTREAM"),
            Column::Word("ACCOUNT"),
            Column::Word("CLASS"),
            Column::Number("RUNNING"),
            Column::Number("WAITING"),
            Column::Number("OLDEST WAIT"),
        ];
        let row = |queue: &QueueView| {
            let wait = queue
                .oldest_wait_seconds
                .filter(|_| queue.waiting > 0)
                .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"));
            vec![
                Cell::new(&queue.upstream),
                Cell::new(&queue.account),
                Cell::new(&queue.class),
                Cell::new(format!("{} of {}", queue.in_use, queue.slots)),
                Cell::new(format!("{} of {}", queue.waiting, queue.capacity)),
                Cell::new(wait),
            ]
        };
        table(
            &columns,
            self.items.iter().map(row).collect(),
            look,
            "no queues: no account is configured",
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::table::Colour;

    #[test]
    fn on_a_terminal_queues_are_a_table() {
        let queue = |class, waiting: u64, oldest: Option<f64>| {
            json!({
                "upstream": "volcengine", "account": "acc_0123456789abcdef", "class": class, "slots": 1, "in_use": 1,
                "capacity": 100, "waiting": waiting, "oldest_wait_seconds": oldest
            })
        };
        let items = json!({"items": [queue("submit", 3, Some(2.54)), queue("query", 0, None)]});
        let page: Page<QueueView> = serde_json::from_value(items).unwrap();
        let look = Look {
            colour: Colour::Plain,
            width: None,
        };
        assert_eq!(
            page.text(look),
            "UPSTREAM    ACCOUNT               CLASS   RUNNING   WAITING  OLDEST WAIT
volcengine  acc_0123456789abcdef  submit   1 of 1  3 of 100        2.5 s
volcengine  acc_0123456789abcdef  query    1 of 1  0 of 100            -
"
        );
    }
}
