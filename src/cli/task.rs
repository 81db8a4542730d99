//! `tollgate task`: tasks that were submitted through us.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::CliError;
use super::output::{Output, Show};
use super::page::Page;
use super::reach::Reach;
use super::table::{Column, Look, moment, state, table, text};
use super::target::Target;
use crate::model::id::OwnerId;

/// See tasks that were submitted through Tollgate
#[derive(Debug, Args)]
pub(super) struct TaskArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) action: TaskAction,
}

/// What is done with tasks.
#[derive(Debug, Subcommand)]
pub(super) enum TaskAction {
    /// List tasks, newest first
    List(List),
}

/// `task list`
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this owner, such as `own_0123456789abcdef`
    #[arg(long)]
    owner: Option<OwnerId>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Where an earlier list ended (its `next_cursor`)
    #[arg(long)]
    cursor: Option<String>,
}

/// Does it and prints the outcome.
pub(super) async fn run(action: TaskAction, target: &Target, output: Output) -> Result<(), CliError> {
    let TaskAction::List(List { owner, limit, cursor }) = action;
    let owner = owner.map(|owner| owner.to_string());
    let limit = limit.to_string();
    let filters = [
        ("owner", owner.as_deref()),
        ("limit", Some(limit.as_str())),
        ("cursor", cursor.as_deref()),
    ];
    output.show(&Page::<TaskView>::get(target, "/admin/tasks", &filters).await?)
}

/// A task as it is printed.
#[derive(Debug, Serialize, Deserialize)]
struct TaskView {
    request_id: String,
    operation: String,
    #[serde(default)]
    req_key: Option<String>,
    #[serde(default)]
    task_id: Option<String>,
    account: String,
    outcome: Option<String>,
    state: Option<String>,
    submitted_at: String,
    updated_at: Option<String>,
    owner: String,
    audit_id: u64,
    /// What a newer server adds.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Show for Page<TaskView> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("SUBMITTED"),
            Column::Word("TASK"),
            Column::Word("STATE"),
            Column::Word("OUTCOME"),
            Column::Word("REQ KEY"),
            Column::Word("OWNER"),
            Column::Number("AUDIT"),
        ];
        let row = |task: &TaskView| {
            vec![
                moment(Some(&task.submitted_at)),
                text(task.task_id.as_deref()),
                state(task.state.as_deref().unwrap_or("-")),
                state(task.outcome.as_deref().unwrap_or("-")),
                text(task.req_key.as_deref()),
                Cell::new(&task.owner),
                Cell::new(task.audit_id),
            ]
        };
        let text = table(&columns, self.items.iter().map(row).collect(), look, "no tasks");
        text + &self.rest()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::output::compact;
    use crate::cli::table::Colour;

    fn page() -> Page<TaskView> {
        serde_json::from_value(json!({
            "items": [{
                "request_id": "req_0", "operation": "submit", "req_key": "jimeng_t2i_v40", "task_id": null,
                "account": "acc_0123456789abcdef", "outcome": "unknown", "state": null,
                "submitted_at": "2026-02-24T10:00:00.25Z", "updated_at": null, "owner": "own_0123456789abcdef",
                "audit_id": 7
            }],
            "next_cursor": "c2"
        }))
        .unwrap()
    }

    #[test]
    fn on_a_terminal_tasks_are_a_table_that_says_how_to_go_on() {
        let look = Look {
            colour: Colour::Plain,
            width: None,
        };
        assert_eq!(
            page().text(look),
            "SUBMITTED             TASK  STATE  OUTCOME  REQ KEY         OWNER                 AUDIT
2026-02-24T10:00:00Z  -     -      unknown  jimeng_t2i_v40  own_0123456789abcdef      7

There are more: --cursor c2
"
        );
    }

    #[test]
    fn in_json_the_cursor_follows_the_items() {
        assert!(compact(&page()).ends_with(r#""audit_id":7}],"next_cursor":"c2"}"#));
    }
}
