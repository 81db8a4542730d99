//! Accounts as they are printed.

use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::output::Show;
use crate::cli::page::Page;
use crate::cli::table::{Column, Look, fields, moment, state, table};

/// An account, without its credential.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AccountView {
    id: String,
    upstream: String,
    mask: String,
    weight: u32,
    source: String,
    state: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// What a newer server adds.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Show for AccountView {
    fn text(&self, look: Look) -> String {
        let rows = vec![
            ("id", Cell::new(&self.id)),
            ("upstream", Cell::new(&self.upstream)),
            ("key", Cell::new(&self.mask)),
            ("weight", Cell::new(self.weight)),
            ("source", Cell::new(&self.source)),
            ("state", state(&self.state)),
            ("reason", Cell::new(&self.reason)),
            ("since", moment(self.since.as_deref())),
            ("until", moment(self.until.as_deref())),
        ];
        fields(rows, look)
    }
}

impl Show for Page<AccountView> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("ID"),
            Column::Word("KEY"),
            Column::Word("STATE"),
            Column::Word("REASON"),
            Column::Word("SINCE"),
            Column::Word("UNTIL"),
            Column::Number("WEIGHT"),
            Column::Word("SOURCE"),
        ];
        let row = |account: &AccountView| {
            vec![
                Cell::new(&account.id),
                Cell::new(&account.mask),
                state(&account.state),
                Cell::new(&account.reason),
                moment(account.since.as_deref()),
                moment(account.until.as_deref()),
                Cell::new(account.weight),
                Cell::new(&account.source),
            ]
        };
        let none = "no accounts yet: add one with `tollgate account add`";
        table(&columns, self.items.iter().map(row).collect(), look, none)
    }
}

/// What became of the keys of an import.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ImportedAccounts {
    added: u64,
    skipped: u64,
}

impl Show for ImportedAccounts {
    fn text(&self, look: Look) -> String {
        let rows = vec![
            ("added", Cell::new(self.added)),
            ("known already", Cell::new(self.skipped)),
        ];
        fields(rows, look)
    }
}
