//! How a task goes.

use std::time::Duration;

use serde::Deserialize;

use super::pace::milliseconds;

/// What becomes of the task that a submit begins. As JSON: `{"ends":{"failed":50511},"after_ms":200}`, both optional.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Course {
    /// How it ends.
    pub ends: Ends,
    /// How long that takes from the submit; `None`: as long as with every task. For the first third the task waits.
    #[serde(rename = "after_ms", deserialize_with = "some_milliseconds")]
    pub after: Option<Duration>,
}

/// How a task ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// With its picture or film.
    #[default]
    Well,
    /// With this code and no result. Documented codes, such as 50511, bring their HTTP status and message; others are
    /// told with 500.
    Failed(u32),
    /// As `expired`: it is known, but has run out.
    Expired,
    /// As `not_found`: nobody knows it any more.
    NotFound,
    /// Not at all: it stays `generating` until it is twelve hours old.
    Never,
}

fn some_milliseconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    milliseconds(from).map(Some)
}
