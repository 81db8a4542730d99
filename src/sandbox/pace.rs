//! How fast a stream comes.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// The length and speed of a stream. As JSON: `{"words":50,"interval_ms":100}`, both optional.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// How many frames carry content; `None`: as many as the answer has words. `max_tokens` holds all the same.
    pub words: Option<usize>,
    /// The pause between two frames.
    #[serde(rename = "interval_ms", deserialize_with = "milliseconds")]
    pub interval: Duration,
}

/// Reads a length that is written as milliseconds.
pub(super) fn milliseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}
