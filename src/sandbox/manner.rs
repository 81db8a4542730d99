//! What is left open of a true answer.

use std::time::Duration;

use super::Settings;
use super::course::Course;
use super::media::Medium;
use super::pace::Pace;

/// How the true answer to one call is made: as the [`Settings`] say, unless a [`super::Fault`] says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Length and speed, if it is a stream.
    pub(super) pace: Pace,
    /// What becomes of the task, if it begins one.
    pub(super) course: Course,
    /// How long its links live, if not as long as their medium's.
    pub(super) link_lifetime: Option<Duration>,
}

impl Manner {
    /// As the settings say.
    pub(super) fn usual(settings: &Settings) -> Self {
        Self {
            pace: settings.pace(),
            course: Course::default(),
            link_lifetime: None,
        }
    }

    /// How long a link to a `medium` lives.
    pub(super) fn link_lifetime(&self, medium: Medium, settings: &Settings) -> Duration {
        self.link_lifetime.unwrap_or(match medium {
            Medium::Picture => settings.picture_link_lifetime,
            Medium::Film => settings.film_link_lifetime,
        })
    }
}
