//! Installing the subscriber and the recorder, once a process.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::metrics;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output: the logs of a server.
    Output,
    /// Standard error: those of a command, whose output is something else.
    Error,
}

impl Stream {
    fn is_terminal(self) -> bool {
        match self {
            Self::Output => io::stdout().is_terminal(),
            Self::Error => io::stderr().is_terminal(),
        }
    }

    fn writer(self) -> BoxMakeWriter {
        match self {
            Self::Output => BoxMakeWriter::new(io::stdout),
            Self::Error => BoxMakeWriter::new(io::stderr),
        }
    }
}

/// Sends log lines to `stream`. A second call in one process is ignored: the first one holds.
pub fn logs(level: &str, format: Format, stream: Stream) {
    // Libraries are quiet unless RUST_LOG-like directives ask for them by name.
    let directives = format!("warn,tollgate={level}");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_span_events(FmtSpan::NONE)
        .with_target(false)
        .with_writer(stream.writer());
    let installed = match format {
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
        Format::Text => builder.with_ansi(stream.is_terminal()).try_init(),
    };
    // An error says only that a subscriber is there already, as in a test process.
    drop(installed);
}

/// The process's metrics. The recorder is global, so every caller gets the same one.
///
/// # Errors
/// [`BuildError`] where another recorder was installed first.
pub fn recorder() -> Result<PrometheusHandle, BuildError> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in metrics::BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
    }
    let recorder = builder.build_recorder();
    let handle = RECORDER.get_or_init(|| recorder.handle());
    // Whoever came second keeps the first one's recorder.
    if ::metrics::set_global_recorder(recorder).is_ok() {
        metrics::describe_all();
        metrics_process::Collector::default().describe();
    }
    Ok(handle.clone())
}
