//! `tollgate usage`: what was used, and what it cost.

use clap::{Args, ValueEnum};
use comfy_table::Cell;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::CliError;
use super::output::{Output, Show};
use super::page::with_query;
use super::reach::Reach;
use super::table::{Column, Look, table, text};
use super::target::Target;
use crate::model::day::Day;

/// See what was used, and what it cost
#[derive(Debug, Args)]
pub(super) struct UsageArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(flatten)]
    pub(super) asked: Asked,
}

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// The first day, by UTC; 29 days before the last unless told
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// The last day, which is included; today unless told
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    /// What usage is told apart by, several by commas
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_values = ["day", "model"])]
    by: Vec<By>,
    /// Only that of this key and those it was rotated with: `key_…` or `own_…`
    #[arg(long)]
    key: Option<String>,
    /// Only that of this model
    #[arg(long)]
    model: Option<String>,
}

/// What usage is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Key,
    Model,
}

impl By {
    const fn label(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Key => "key",
            Self::Model => "model",
        }
    }
}

/// Asks and prints the answer, all pages of it.
pub(super) async fn run(asked: Asked, target: &Target, output: Output) -> Result<(), CliError> {
    let mut whole: UsageView = target.get(&asked.path(None)).await?;
    while let Some(cursor) = whole.next_cursor.take() {
        let page: UsageView = target.get(&asked.path(Some(&cursor))).await?;
        whole.items.extend(page.items);
        // A cursor that does not move would never end.
        whole.next_cursor = page.next_cursor.filter(|next| *next != cursor);
    }
    output.show(&whole)
}

impl Asked {
    fn path(&self, cursor: Option<&str>) -> String {
        let day = |day: Option<Day>| day.map(|day| day.to_string());
        let (from, to) = (day(self.from), day(self.to));
        let by: Vec<_> = self.by.iter().map(|by| by.label()).collect();
        let filters = [
            ("from", from.as_deref()),
            ("to", to.as_deref()),
            ("group_by", Some(&*by.join(","))),
            ("key", self.key.as_deref()),
            ("model", self.model.as_deref()),
            ("limit", Some("1000")),
            ("cursor", cursor),
        ];
        with_query("/admin/usage", &filters)
    }
}

/// Usage as it is printed.
#[derive(Debug, Serialize, Deserialize)]
struct UsageView {
    from: String,
    to: String,
    items: Vec<ItemView>,
    totals: Vec<TotalView>,
    #[serde(default, skip_serializing)]
    next_cursor: Option<String>,
}

/// A line of it.
#[derive(Debug, Serialize, Deserialize)]
struct ItemView {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    calls: u64,
    input_tokens: u64,
    output_tokens: u64,
    images: u64,
    seconds: u64,
    cost_microunits: u64,
    /// What else the server says.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Everything in one currency.
#[derive(Debug, Serialize, Deserialize)]
struct TotalView {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    calls: u64,
    cost_microunits: u64,
}

impl Show for UsageView {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("DAY"),
            Column::Word("KEY"),
            Column::Word("MODEL"),
            Column::Number("CALLS"),
            Column::Number("INPUT"),
            Column::Number("OUTPUT"),
            Column::Number("IMAGES"),
            Column::Number("SECONDS"),
            Column::Number("COST"),
        ];
        let row = |item: &ItemView| {
            vec![
                text(item.day.as_deref()),
                text(item.owner.as_deref()),
                text(item.model.as_deref()),
                Cell::new(item.calls),
                Cell::new(item.input_tokens),
                Cell::new(item.output_tokens),
                Cell::new(item.images),
                Cell::new(item.seconds),
                Cell::new(cost(item.cost_microunits, item.currency.as_deref())),
            ]
        };
        let none = format!("nothing was used from {} to {}", self.from, self.to);
        let mut text = table(&columns, self.items.iter().map(row).collect(), look, &none);
        for total in &self.totals {
            let cost = cost(total.cost_microunits, total.currency.as_deref());
            let line = format!("\n{} calls from {} to {}: {cost}", total.calls, self.from, self.to);
            text.push_str(&line);
        }
        if !self.totals.is_empty() {
            text.push('\n');
        }
        text
    }
}

/// An amount as people write it, to the last micro-unit.
fn cost(microunits: u64, currency: Option<&str>) -> String {
    let Some(currency) = currency else {
        return "no price".to_owned();
    };
    format!("{}.{:06} {currency}", microunits / MILLION, microunits % MILLION)
}

const MILLION: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::command::{Cli, Command};
    use crate::cli::output::compact;
    use crate::cli::table::Colour;

    fn asked(line: &str) -> Result<String, clap::Error> {
        match Cli::parse_line(format!("tollgate usage{line}").split(' '))?.command {
            Some(Command::Usage(args)) => Ok(args.asked.path(None)),
            other => panic!("{other:?}"),
        }
    }

    fn view() -> UsageView {
        serde_json::from_value(json!({
            "from": "2026-11-01", "to": "2026-11-21", "next_cursor": null,
            "items": [{
                "day": "2026-11-21", "model": "gpt-4o-mini", "currency": "USD", "calls": 12, "input_tokens": 3400,
                "cached_tokens": 0, "output_tokens": 900, "images": 0, "seconds": 0, "cost_microunits": 1_234_567,
                "estimated_calls": 0
            }],
            "totals": [{ "currency": "USD", "calls": 12, "cost_microunits": 1_234_567 }, { "calls": 3, "cost_microunits": 0 }]
        }))
        .unwrap()
    }

    #[test]
    fn without_flags_it_asks_for_days_and_models() {
        assert_eq!(asked("").unwrap(), "/admin/usage?group_by=day%2Cmodel&limit=1000");
        assert_eq!(
            asked(" --from 2026-11-01 --by key --key key_1 --model a/b").unwrap(),
            "/admin/usage?from=2026-11-01&group_by=key&key=key_1&model=a%2Fb&limit=1000"
        );
        for line in [" --from yesterday", " --by hour"] {
            assert_eq!(asked(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn on_a_terminal_usage_is_a_table_with_its_totals() {
        let look = Look {
            colour: Colour::Plain,
            width: None,
        };
        assert_eq!(
            view().text(look),
            "DAY         KEY  MODEL        CALLS  INPUT  OUTPUT  IMAGES  SECONDS          COST
2026-11-21  -    gpt-4o-mini     12   3400     900       0        0  1.234567 USD

12 calls from 2026-11-01 to 2026-11-21: 1.234567 USD
3 calls from 2026-11-01 to 2026-11-21: no price
"
        );
    }

    #[test]
    fn in_json_nothing_that_the_server_said_is_lost() {
        let json = compact(&view());
        assert!(
            json.contains(r#""cached_tokens":0"#) && json.contains(r#""estimated_calls":0"#),
            "{json}"
        );
    }
}
