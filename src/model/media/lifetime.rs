//! How long the provider keeps what it made. A moment passed is a moment too late: ask a little earlier.

use std::time::Duration;

/// How long the URL of an image works, from when it was told.
pub const IMAGE_URL_LIFE: Duration = Duration::from_hours(24);

/// How long the URL of a video works, from when it was told. The task tells a fresh one when it is asked again.
pub const VIDEO_URL_LIFE: Duration = Duration::from_hours(1);

/// How long a finished task tells its result, by the documents of images; after it, answers may be `not_found`.
pub const RESULT_LIFE: Duration = Duration::from_hours(12);

/// How long a task's id is known at the most.
pub const TASK_LIFE: Duration = Duration::from_hours(24);
