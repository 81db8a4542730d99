//! Links to pictures and films. Like those of Volcengine's object storage they die, and a new query brings new ones.

use std::fmt;
use std::time::Duration;

use super::World;
use super::call::Call;
use super::manner::Manner;
use super::media::Medium;
use crate::model::clock::Timestamp;

/// A link to one file: `http://127.0.0.1:1234/media/7.png?expires=1771927200`.
#[derive(Debug)]
pub(super) struct Link<'a> {
    origin: &'a str,
    name: u64,
    medium: Medium,
    /// The first moment at which it is dead, in whole seconds since 1970.
    expires: i64,
}

impl<'a> Link<'a> {
    /// A link that begins to live now.
    pub(super) fn new(world: &'a World, manner: &Manner, name: u64, medium: Medium) -> Self {
        let lifetime = manner.link_lifetime(medium, &world.settings);
        Self {
            origin: &world.origin,
            name,
            medium,
            expires: expiry(world.clock.wall(), lifetime),
        }
    }
}

impl fmt::Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin,
            name,
            medium,
            expires,
        } = self;
        let extension = medium.extension();
        write!(f, "{origin}{FOLDER}{name}.{extension}?expires={expires}")
    }
}

/// Whether the link that was called still lives. One that tells no moment never did.
pub(super) fn lives(call: &Call, now: Timestamp) -> bool {
    let expires = call.query("expires").and_then(|text| text.parse::<i64>().ok());
    expires.is_some_and(|expires| now.as_seconds() < expires)
}

/// The second in which a life that begins now is over; a life of nothing is over at once.
fn expiry(now: Timestamp, lifetime: Duration) -> i64 {
    now.plus(lifetime).as_seconds()
}

/// The path that all of them begin with.
pub(super) const FOLDER: &str = "/media/";
