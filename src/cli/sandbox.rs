//! `tollgate sandbox`: the relay in front of a built-in imitation of its upstreams, for trying it out.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Try it without an account: the relay over a temporary store, in front of an imitation of its upstreams
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Where the relay listens; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
    /// Keep the store in this file instead of a temporary one
    #[arg(long, value_name = "FILE")]
    pub(super) database: Option<PathBuf>,
    /// How long the imitation waits before every answer
    #[arg(long, value_name = "LENGTH", default_value = "0ms", value_parser = crate::config::parse_length)]
    pub(super) latency: Duration,
    /// How long a task takes until it is done
    #[arg(long, value_name = "LENGTH", default_value = "4s", value_parser = crate::config::parse_length)]
    pub(super) task_duration: Duration,
    /// How many submits may run at once
    #[arg(long, value_name = "N", default_value = "4")]
    pub(super) concurrency: NonZeroUsize,
    /// Print one line of JSON instead of what to paste next
    #[arg(long)]
    pub(super) json: bool,
}
