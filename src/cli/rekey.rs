//! `tollgate rekey`: another master key, or other data keys.

use std::time::Duration;

use clap::Args;
use comfy_table::Cell;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use super::error::CliError;
use super::output::{Output, Show};
use super::progress;
use super::reach::Reach;
use super::table::{Look, fields, moment, state};
use super::target::Target;

/// Wrap the data keys with the present master key, or replace them
///
/// Set the new master key in `API_KEY_ENCRYPTION_KEY` (or `ENCRYPTION_PASSPHRASE`) and the old one in the variable of the
/// same name with `_PREVIOUS` behind it, start the server anew, and run this. Then the old one opens nothing any more.
#[derive(Debug, Args)]
pub(super) struct RekeyArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(flatten)]
    pub(super) action: RekeyAction,
}

/// What is to be replaced.
#[derive(Debug, Args)]
pub(super) struct RekeyAction {
    /// Replace the data keys too, and seal every secret anew; it goes on where it was interrupted
    #[arg(long, conflicts_with = "status")]
    deep: bool,
    /// Replace nothing; show how the keys stand
    #[arg(long)]
    status: bool,
}

/// Does it, waits until nothing is sealed under an old key, and prints how the keys stand.
pub(super) async fn run(action: RekeyAction, target: &Target, output: Output) -> Result<(), CliError> {
    if action.status {
        return output.show(&target.get::<Keys>(REKEY).await?);
    }
    let body = json!({ "deep": action.deep });
    let mut keys: Keys = target.put(Method::POST, REKEY, &body).await?;
    if action.deep {
        // indicatif draws on standard error, and only where that is a terminal.
        let bar = progress::rows(keys.rows);
        while keys.state == RESEALING {
            bar.set_length(keys.rows);
            bar.set_position(keys.seen);
            sleep(PAUSE).await;
            keys = target.get(REKEY).await?;
        }
        bar.finish_and_clear();
    }
    output.show(&keys)
}

/// How the keys stand, as it is printed.
#[derive(Debug, Serialize, Deserialize)]
struct Keys {
    master_key: String,
    state: String,
    begun_at: Option<String>,
    table: Option<String>,
    passes: u32,
    seen: u64,
    rows: u64,
    resealed: u64,
    unreadable: u64,
    old_keys_until: Option<String>,
    finished_at: Option<String>,
}

impl Show for Keys {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![
            ("master key", state(&self.master_key)),
            ("data keys", state(&self.state)),
        ];
        if self.begun_at.is_some() {
            rows.push(("replaced", moment(self.begun_at.as_deref())));
            rows.push(("sealed anew", Cell::new(format!("{} rows", self.resealed))));
        }
        if self.unreadable > 0 {
            rows.push(("unreadable", Cell::new(format!("{} rows", self.unreadable))));
        }
        if self.old_keys_until.is_some() {
            rows.push(("old keys until", moment(self.old_keys_until.as_deref())));
        }
        if self.finished_at.is_some() {
            rows.push(("old keys gone", moment(self.finished_at.as_deref())));
        }
        fields(rows, look)
    }
}

const REKEY: &str = "/admin/rekey";

/// The state in which there is something to wait for.
const RESEALING: &str = "resealing";

/// Between two looks at how far it has come.
const PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::Colour;

    #[test]
    fn on_a_terminal_it_says_what_is_under_which_key() {
        let keys: Keys = serde_json::from_value(json!({
            "master_key": "current", "state": "waiting", "begun_at": "2026-02-24T10:00:00Z", "table": null, "passes": 2,
            "seen": 9, "rows": 9, "resealed": 7, "unreadable": 1, "old_keys_until": "2026-02-25T10:01:00Z",
            "finished_at": null
        }))
        .unwrap();
        let plain = Look {
            colour: Colour::Plain,
            width: None,
        };
        assert_eq!(
            keys.text(plain),
            "master key      current
data keys       waiting
replaced        2026-02-24T10:00:00Z
sealed anew     7 rows
unreadable      1 rows
old keys until  2026-02-25T10:01:00Z
"
        );
    }
}
