//! Installing the subscriber and the recorder, once a process.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Subscriber;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use super::log_file::LogFile;
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

/// Sends log lines to `stream`, and as JSON to `file`. A second call in one process is ignored: the first one holds.
pub fn logs(level: &str, format: Format, stream: Stream, file: Option<LogFile>) {
    // Libraries are quiet unless RUST_LOG-like directives ask for them by name.
    let subscriber = tracing_subscriber::registry().with(EnvFilter::new(format!("warn,tollgate={level}")));
    let installed = match (format, file) {
        (Format::Json, None) => subscriber.with(json(stream.writer())).try_init(),
        // One line for both, written once.
        (Format::Json, Some(file)) => {
            let both = BoxMakeWriter::new(stream.writer().and(file));
            subscriber.with(json(both)).try_init()
        }
        (Format::Text, file) => {
            let text = fmt::layer()
                .with_target(false)
                .with_ansi(stream.is_terminal())
                .with_writer(stream.writer());
            let file = file.map(|file| json(BoxMakeWriter::new(file)));
            subscriber.with(text).with(file).try_init()
        }
    };
    // An error says only that a subscriber is there already, as in a test process.
    drop(installed);
}

/// Lines for programs: the fields of an event and of its span side by side.
fn json<S>(writer: BoxMakeWriter) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer()
        .json()
        .with_target(false)
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
}

/// The process's metrics. The recorder is global, so every caller gets the same one.
///
/// # Errors
/// [`BuildError`] where another recorder was installed first.
pub fn recorder() -> Result<PrometheusHandle, BuildError> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    // Held until it is installed: of two that came at once, one would render what the other one's handle does not see.
    let mut installed = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = installed.as_ref() {
        return Ok(handle.clone());
    }
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in metrics::BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
    }
    let recorder = builder.build_recorder();
    let handle = installed.insert(recorder.handle()).clone();
    if ::metrics::set_global_recorder(recorder).is_ok() {
        metrics::describe_all();
        metrics_process::Collector::default().describe();
    }
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn of_many_that_come_at_once_each_sees_what_is_counted() {
        let (number, gate) = (16, Barrier::new(16));
        let come = || {
            gate.wait();
            recorder().unwrap()
        };
        let handles: Vec<_> = thread::scope(|scope| {
            let all: Vec<_> = (0..number).map(|_| scope.spawn(come)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });

        ::metrics::counter!("at_once_total").increment(1);

        for handle in handles {
            assert!(handle.render().contains("at_once_total 1"));
        }
    }
}
