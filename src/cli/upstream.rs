//! `tollgate upstream`: the providers that calls go to.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Cell;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::CliError;
use super::output::{Output, Show};
use super::page::{Page, Removed};
use super::reach::Reach;
use super::table::{Column, Look, fields, table};
use super::target::Target;
use crate::model::upstream::UpstreamName;

/// Add and remove OpenAI-compatible upstreams
#[derive(Debug, Args)]
pub(super) struct UpstreamArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) action: UpstreamAction,
}

/// What is done with upstreams.
#[derive(Debug, Subcommand)]
pub(super) enum UpstreamAction {
    /// Add an upstream; `account add` gives it its keys
    Add(Add),
    /// List every upstream, also those of the environment
    List,
    /// Remove an upstream with its accounts
    Remove(Id),
}

/// `upstream add`
#[derive(Debug, Args, Serialize)]
pub(super) struct Add {
    /// What to call it
    #[arg(long, value_name = "UPSTREAM")]
    id: UpstreamName,
    /// Where it is, as <https://api.example.com/v1>; a private address will do
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// How long an answer may take to begin, in whole seconds; 10m unless told
    #[arg(long = "timeout", value_name = "LENGTH", value_parser = seconds)]
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    /// Most attempts of one call; 3 unless told
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    /// Whether the usage of every stream is asked for
    #[arg(long, value_name = "WHEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_usage: Option<StreamUsage>,
}

/// When the usage of a stream is asked for.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum StreamUsage {
    AsAsked,
    Always,
}

/// Names one upstream.
#[derive(Debug, Args)]
pub(super) struct Id {
    /// The upstream
    #[arg(long, value_name = "UPSTREAM")]
    id: UpstreamName,
}

/// Does it and prints the outcome.
pub(super) async fn run(action: UpstreamAction, target: &Target, output: Output) -> Result<(), CliError> {
    match action {
        UpstreamAction::Add(add) => output.show(&target.put::<UpstreamView>(Method::POST, UPSTREAMS, &add).await?),
        UpstreamAction::List => output.show(&Page::<UpstreamView>::all(target, UPSTREAMS).await?),
        UpstreamAction::Remove(Id { id }) => {
            output.show(&target.delete::<Removed>(&format!("{UPSTREAMS}/{id}")).await?)
        }
    }
}

/// A length of time in whole seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let length: Duration = crate::config::parse_length(text)?;
    if length.subsec_nanos() != 0 {
        return Err("a timeout has whole seconds".to_owned());
    }
    u32::try_from(length.as_secs()).map_err(|_| "a timeout is an hour at most".to_owned())
}

/// An upstream as it is printed.
#[derive(Debug, Serialize, Deserialize)]
struct UpstreamView {
    id: String,
    protocol: String,
    base_url: String,
    timeout_seconds: f64,
    max_attempts: u32,
    stream_usage: String,
    source: String,
    accounts: u64,
    /// What a newer server adds.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Show for UpstreamView {
    fn text(&self, look: Look) -> String {
        let rows = vec![
            ("id", Cell::new(&self.id)),
            ("protocol", Cell::new(&self.protocol)),
            ("base url", Cell::new(&self.base_url)),
            ("timeout", Cell::new(format!("{} s", self.timeout_seconds))),
            ("attempts", Cell::new(self.max_attempts)),
            ("stream usage", Cell::new(&self.stream_usage)),
            ("source", Cell::new(&self.source)),
            ("accounts", Cell::new(self.accounts)),
        ];
        fields(rows, look)
    }
}

impl Show for Page<UpstreamView> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("ID"),
            Column::Word("PROTOCOL"),
            Column::Number("ACCOUNTS"),
            Column::Word("SOURCE"),
            Column::Word("BASE URL"),
        ];
        let row = |upstream: &UpstreamView| {
            vec![
                Cell::new(&upstream.id),
                Cell::new(&upstream.protocol),
                Cell::new(upstream.accounts),
                Cell::new(&upstream.source),
                Cell::new(&upstream.base_url),
            ]
        };
        let none = "no upstreams yet: add one with `tollgate upstream add`";
        table(&columns, self.items.iter().map(row).collect(), look, none)
    }
}

const UPSTREAMS: &str = "/admin/upstreams";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::{Cli, Command};
    use crate::cli::output::compact;

    fn parse(line: &str) -> Result<UpstreamAction, clap::Error> {
        match Cli::parse_line(format!("tollgate upstream {line}").split(' '))?.command {
            Some(Command::Upstream(args)) => Ok(args.action),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn add_sends_what_was_given_and_leaves_the_rest_to_the_server() {
        let UpstreamAction::Add(add) = parse("add --id mine --base-url http://10.0.0.7/v1").unwrap() else {
            panic!()
        };
        assert_eq!(compact(&add), r#"{"id":"mine","base_url":"http://10.0.0.7/v1"}"#);
        let line = "add --id mine --base-url http://x --timeout 2m --max-attempts 5 --stream-usage as_asked";
        let UpstreamAction::Add(add) = parse(line).unwrap() else {
            panic!()
        };
        assert_eq!(
            compact(&add),
            r#"{"id":"mine","base_url":"http://x","timeout_seconds":120,"max_attempts":5,"stream_usage":"as_asked"}"#
        );
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for line in [
            "add --id Mine --base-url http://x",
            "add --id mine",
            "add --id mine --base-url http://x --timeout 1.5s",
            "remove",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
