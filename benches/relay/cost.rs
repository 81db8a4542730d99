//! What a process uses of the machine.

use std::ops::Range;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Result;
use super::process::Process;
use super::size::megabytes;

/// What a process used for a while.
pub(crate) struct Cost {
    pub(crate) during: Range<Instant>,
    /// The most, in megabytes.
    pub(crate) resident: f64,
    /// CPU time by time.
    pub(crate) cores: f64,
}

impl Cost {
    pub(crate) async fn measure(process: &Process, length: Duration) -> Result<Self> {
        let (start, before) = (Instant::now(), process.cpu()?);
        let mut most = 0;
        while start.elapsed() < length {
            most = most.max(process.resident()?);
            sleep(LOOK).await;
        }
        let during = start..Instant::now();
        let used = process.cpu()?.saturating_sub(before);
        Ok(Self {
            resident: megabytes(most),
            cores: used.as_secs_f64() / (during.end - during.start).as_secs_f64(),
            during,
        })
    }
}

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(250);
