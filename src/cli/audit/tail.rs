//! `audit tail`: the last entries, and new ones as they come.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::AUDIT;
use super::view::EntryView;
use crate::cli::error::CliError;
use crate::cli::output::{Output, note};
use crate::cli::page::Page;
use crate::cli::target::Target;

/// Prints until Ctrl-C. Where no server runs nothing is added, so it ends after the last entry: the store is not kept
/// from a server that wants to start.
pub(super) async fn run(lines: u16, target: &Target, output: Output) -> Result<(), CliError> {
    let seen = show(newest(lines, target).await?, output)?;
    if target.is_at_rest() {
        if output.look().is_some() {
            note("no server runs, so there will be no new entries");
        }
        return Ok(());
    }
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped.map_err(CliError::System),
        failed = follow(seen, target, output) => failed.map(|never| match never {}),
    }
}

/// Prints what comes after `seen`, until that fails.
async fn follow(mut seen: Option<u64>, target: &Target, output: Output) -> Result<Infallible, CliError> {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let fresh = since(seen, async |cursor: Option<String>| {
            let filters = [
                ("limit", Some("100")),
                ("order", Some("desc")),
                ("cursor", cursor.as_deref()),
            ];
            Page::get(target, AUDIT, &filters).await
        });
        seen = show(fresh.await?, output)?.or(seen);
    }
}

/// The newest entries, at most `count`, oldest first.
async fn newest(count: u16, target: &Target) -> Result<Vec<EntryView>, CliError> {
    let limit = count.to_string();
    let filters = [("limit", Some(limit.as_str())), ("order", Some("desc"))];
    let mut entries = Page::<EntryView>::get(target, AUDIT, &filters).await?.items;
    entries.reverse();
    Ok(entries)
}

/// Every entry after `seen`, oldest first: pages of newest entries are read until one goes back to it.
async fn since(
    seen: Option<u64>,
    page: impl AsyncFn(Option<String>) -> Result<Page<EntryView>, CliError>,
) -> Result<Vec<EntryView>, CliError> {
    let mut fresh = Vec::new();
    let mut cursor = None;
    loop {
        let Page { items, next_cursor } = page(cursor).await?;
        let count = items.len();
        fresh.extend(items.into_iter().filter(|entry| Some(entry.id) > seen));
        let reached = fresh
            .last()
            .is_none_or(|oldest| count == 0 || Some(oldest.id) == seen.map(|seen| seen + 1));
        if reached || next_cursor.is_none() {
            fresh.reverse();
            return Ok(fresh);
        }
        cursor = next_cursor;
    }
}

/// Prints entries and returns the number of the last.
fn show(entries: Vec<EntryView>, output: Output) -> Result<Option<u64>, CliError> {
    let mut last = None;
    for entry in entries {
        output.show_line(&entry)?;
        last = Some(entry.id);
    }
    Ok(last)
}

/// How often new entries are asked for.
const POLL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A log book of `newest` entries, two to a page.
    async fn fresh(seen: Option<u64>, newest: u64) -> Vec<u64> {
        let entries = since(seen, async |cursor: Option<String>| {
            let from = cursor.map_or(newest, |cursor| cursor.parse().unwrap());
            let items: Vec<_> = (1..=from)
                .rev()
                .take(2)
                .map(|id| json!({"id": id, "at": "", "event": "", "digest": ""}))
                .collect();
            let next = from
                .checked_sub(2)
                .filter(|next| *next > 0)
                .map(|next| next.to_string());
            Ok(serde_json::from_value(json!({"items": items, "next_cursor": next})).unwrap())
        });
        entries.await.unwrap().iter().map(|entry| entry.id).collect()
    }

    #[tokio::test]
    async fn new_entries_come_once_and_in_order_however_many_they_are() {
        assert_eq!(fresh(Some(3), 3).await, [0; 0]);
        assert_eq!(fresh(Some(3), 4).await, [4]);
        assert_eq!(fresh(Some(3), 8).await, [4, 5, 6, 7, 8]);
        assert_eq!(fresh(None, 3).await, [1, 2, 3]);
        assert_eq!(fresh(None, 0).await, [0; 0]);
    }
}
