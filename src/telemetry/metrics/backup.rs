//! What backups tell.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// When the last backup was made that succeeded, by this process or an older one. Seconds since the Unix epoch.
pub const BACKUP_LAST_SUCCESS: &str = "tollgate_backup_last_success_timestamp_seconds";
/// How long the last one of this process took. Seconds.
pub const BACKUP_DURATION: &str = "tollgate_backup_duration_seconds";
/// How large it is. Bytes.
pub const BACKUP_BYTES: &str = "tollgate_backup_bytes";
/// Backups to `BACKUP_URL` that failed.
pub const BACKUP_FAILURES: &str = "tollgate_backup_failures_total";

/// A backup was made; `at` is in seconds since the Unix epoch.
pub fn backed_up(at: i64, took: Duration, bytes: u64) {
    backup_found(at, bytes);
    gauge!(BACKUP_DURATION).set(took.as_secs_f64());
}

/// A backup that an older process made was found; `at` is in seconds since the Unix epoch.
pub fn backup_found(at: i64, bytes: u64) {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    let (at, bytes) = (at as f64, bytes as f64);
    gauge!(BACKUP_LAST_SUCCESS).set(at);
    gauge!(BACKUP_BYTES).set(bytes);
}

/// A backup failed.
pub fn backup_failed() {
    counter!(BACKUP_FAILURES).increment(1);
}

pub(super) fn describe() {
    describe_gauge!(
        BACKUP_LAST_SUCCESS,
        Unit::Seconds,
        "When the last backup was made that succeeded"
    );
    describe_gauge!(BACKUP_DURATION, Unit::Seconds, "How long the last backup took");
    describe_gauge!(BACKUP_BYTES, Unit::Bytes, "How large the last backup is");
    describe_counter!(BACKUP_FAILURES, "Backups that failed");
    counter!(BACKUP_FAILURES).absolute(0);
}
