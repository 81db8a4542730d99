//! What the store tells: its size, and what a commit takes.

use std::time::Duration;

use metrics::{Unit, describe_gauge, describe_histogram, gauge, histogram};

use super::{bytes, count};

/// A commit of the store, from the first row to the disk. Seconds.
pub const AUDIT_COMMIT: &str = "tollgate_audit_commit_seconds";
/// Writes in one commit.
pub const AUDIT_BATCH: &str = "tollgate_audit_batch_size";
/// Size of the store's file. Bytes.
pub const STORE_FILE: &str = "tollgate_store_file_bytes";
/// What the disk has left. Bytes.
pub const STORE_FREE: &str = "tollgate_store_free_bytes";
/// Rows of a table. Label: `table`.
pub const STORE_ROWS: &str = "tollgate_store_rows";

/// Describes them.
pub(super) fn describe() {
    describe_histogram!(AUDIT_COMMIT, Unit::Seconds, "A commit of the store");
    describe_histogram!(AUDIT_BATCH, "Writes in one commit");
    describe_gauge!(STORE_FILE, Unit::Bytes, "Size of the store's file");
    describe_gauge!(STORE_FREE, Unit::Bytes, "What the disk under the store has left");
    describe_gauge!(STORE_ROWS, "Rows of a table");
}

/// A batch is about to be written.
pub fn audit_batch(writes: usize) {
    histogram!(AUDIT_BATCH).record(count(writes));
}

/// A batch is on the disk.
pub fn audit_commit(took: Duration) {
    histogram!(AUDIT_COMMIT).record(took.as_secs_f64());
}

/// How the store stands, at a scrape.
pub fn store(file_bytes: u64, free_bytes: u64, rows: &[(&'static str, u64)]) {
    gauge!(STORE_FILE).set(bytes(file_bytes));
    gauge!(STORE_FREE).set(bytes(free_bytes));
    for (table, number) in rows {
        gauge!(STORE_ROWS, "table" => *table).set(bytes(*number));
    }
}
