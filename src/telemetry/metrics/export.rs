//! What the export of the log book tells.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// When every day that had ended was last known to be exported. Seconds since the Unix epoch.
pub const EXPORT_LAST_SUCCESS: &str = "tollgate_audit_export_last_success_timestamp_seconds";
/// Attempts at the export to `AUDIT_EXPORT_URL` that failed.
pub const EXPORT_FAILURES: &str = "tollgate_audit_export_failures_total";

/// Every day that has ended is exported; `at` is in seconds since the Unix epoch.
pub fn exported(at: i64) {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    gauge!(EXPORT_LAST_SUCCESS).set(at as f64);
}

/// A day could not be exported.
pub fn export_failed() {
    counter!(EXPORT_FAILURES).increment(1);
}

pub(super) fn describe() {
    describe_gauge!(
        EXPORT_LAST_SUCCESS,
        Unit::Seconds,
        "When every day that had ended was last known to be exported"
    );
    describe_counter!(EXPORT_FAILURES, "Attempts at the export of the log book that failed");
    counter!(EXPORT_FAILURES).absolute(0);
}
