//! Videos in OpenAI's shape: the object that is polled, the list, and what a deletion answers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;
use crate::model::id::{JobId, ParseIdError};

/// The id of a video: `video_` and the 32 hex digits of the job behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoId(JobId);

impl VideoId {
    /// The job behind it.
    #[must_use]
    pub const fn job(self) -> JobId {
        self.0
    }
}

impl From<JobId> for VideoId {
    fn from(job: JobId) -> Self {
        Self(job)
    }
}

impl fmt::Display for VideoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:032x}", self.0.bits())
    }
}

impl FromStr for VideoId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        // What has another prefix is no job's digits either.
        let digits = text.strip_prefix(PREFIX).unwrap_or_default();
        format!("job_{digits}").parse().map(Self)
    }
}

/// A video that is made or was.
#[derive(Debug, Object)]
pub struct Video {
    /// `video_` and 32 hex digits.
    pub id: String,
    /// Always `video`.
    pub object: String,
    /// The model, as it was asked for.
    pub model: String,
    /// `queued`, `in_progress`, `completed` or `failed`.
    pub status: String,
    /// How far it is, 0 to 100, as far as one can guess.
    pub progress: u8,
    /// When it was asked for, in seconds since 1970.
    pub created_at: i64,
    /// When it was finished.
    pub completed_at: Option<i64>,
    /// Until when its content can be fetched.
    pub expires_at: Option<i64>,
    /// How long it is, as it was asked for.
    pub seconds: String,
    /// How large it is, as it was asked for.
    pub size: String,
    /// What it shows.
    pub prompt: Option<String>,
    /// Why there is none.
    pub error: Option<VideoError>,
    /// Always null: no video is made of another.
    pub remixed_from_video_id: Option<String>,
}

/// Why there is no video.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct VideoError {
    /// The provider's code, or a word of ours.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// What was asked for, as the answer repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedVideo {
    /// The model.
    pub model: String,
    /// How long.
    pub seconds: String,
    /// How large.
    pub size: String,
    /// What it shows; `None` where it is not kept.
    pub prompt: Option<String>,
}

/// How a video stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoStatus {
    /// It waits for its turn, here or at the provider.
    Queued,
    /// It is being made.
    InProgress {
        /// For how long.
        elapsed: Duration,
    },
    /// It is there.
    Completed {
        /// Since when.
        at: Timestamp,
        /// Until when it can be fetched.
        expires_at: Timestamp,
    },
    /// There will be none.
    Failed {
        /// Since when.
        at: Timestamp,
        /// Why.
        error: VideoError,
    },
}

impl VideoStatus {
    /// The word that OpenAI's SDKs poll for.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress { .. } => "in_progress",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
        }
    }

    /// The provider tells no progress; this is how much of the usual time has passed, and never all of it.
    fn progress(&self) -> u8 {
        match self {
            Self::Queued | Self::Failed { .. } => 0,
            Self::InProgress { elapsed } => {
                let percent = elapsed.as_secs().saturating_mul(100) / USUAL.as_secs();
                u8::try_from(percent).unwrap_or(u8::MAX).clamp(1, 95)
            }
            Self::Completed { .. } => 100,
        }
    }
}

impl Video {
    /// A video that was asked for at `created_at`, and how it stands.
    #[must_use]
    pub fn new(id: VideoId, asked: AskedVideo, created_at: Timestamp, status: VideoStatus) -> Self {
        let (label, progress) = (status.label().to_owned(), status.progress());
        let (completed_at, expires_at, error) = match status {
            VideoStatus::Queued | VideoStatus::InProgress { .. } => (None, None, None),
            VideoStatus::Completed { at, expires_at } => (Some(at), Some(expires_at), None),
            VideoStatus::Failed { at, error } => (Some(at), None, Some(error)),
        };
        Self {
            id: id.to_string(),
            object: "video".to_owned(),
            model: asked.model,
            status: label,
            progress,
            created_at: created_at.as_seconds(),
            completed_at: completed_at.map(Timestamp::as_seconds),
            expires_at: expires_at.map(Timestamp::as_seconds),
            seconds: asked.seconds,
            size: asked.size,
            prompt: asked.prompt,
            error,
            remixed_from_video_id: None,
        }
    }
}

/// A page of videos.
#[derive(Debug, Object)]
pub struct VideoList {
    /// Always `list`.
    pub object: String,
    /// In the order that was asked for.
    pub data: Vec<Video>,
    /// The id of the first; null where there is none.
    pub first_id: Option<String>,
    /// The id of the last, after which the next page begins.
    pub last_id: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}

impl VideoList {
    /// A page, after which there are more or not.
    #[must_use]
    pub fn new(data: Vec<Video>, has_more: bool) -> Self {
        Self {
            object: "list".to_owned(),
            first_id: data.first().map(|video| video.id.clone()),
            last_id: data.last().map(|video| video.id.clone()),
            has_more,
            data,
        }
    }
}

/// A video that is no longer kept.
#[derive(Debug, Object)]
pub struct VideoDeleted {
    /// Its id.
    pub id: String,
    /// Always `video.deleted`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

impl From<VideoId> for VideoDeleted {
    fn from(id: VideoId) -> Self {
        Self {
            id: id.to_string(),
            object: "video.deleted".to_owned(),
            deleted: true,
        }
    }
}

/// Says how long to wait before asking again, in milliseconds. OpenAI's SDKs obey it when they poll.
pub const POLL_AFTER: HeaderName = HeaderName::from_static("openai-poll-after-ms");

const PREFIX: &str = "video_";

/// How long five seconds of film take, give or take.
const USUAL: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn video(status: VideoStatus) -> Value {
        let asked = AskedVideo {
            model: "t2v-720".to_owned(),
            seconds: "4".to_owned(),
            size: "720x1280".to_owned(),
            prompt: Some("waves".to_owned()),
        };
        let id = VideoId::from(JobId::from_bits(0xab));
        Video::new(id, asked, Timestamp::from_seconds(5), status)
            .to_json()
            .unwrap()
    }

    #[test]
    fn a_video_has_every_field_that_openais_sdk_reads() {
        let shape = json!({
            "id": "video_000000000000000000000000000000ab", "object": "video", "model": "t2v-720",
            "status": "queued", "progress": 0, "created_at": 5, "completed_at": null, "expires_at": null,
            "seconds": "4", "size": "720x1280", "prompt": "waves", "error": null, "remixed_from_video_id": null,
        });
        assert_eq!(video(VideoStatus::Queued), shape);
    }

    #[test]
    fn a_finished_video_says_until_when_it_can_be_fetched() {
        let (at, expires_at) = (Timestamp::from_seconds(9), Timestamp::from_seconds(99));
        let shown = video(VideoStatus::Completed { at, expires_at });
        assert_eq!(
            (&shown["status"], &shown["progress"]),
            (&json!("completed"), &json!(100))
        );
        assert_eq!((&shown["completed_at"], &shown["expires_at"]), (&json!(9), &json!(99)));
    }

    #[test]
    fn a_failed_video_says_why() {
        let error = VideoError {
            code: "50511".to_owned(),
            message: "Post Img Risk Not Pass".to_owned(),
        };
        let shown = video(VideoStatus::Failed {
            at: Timestamp::from_seconds(9),
            error,
        });
        assert_eq!(shown["status"], "failed");
        assert_eq!(
            shown["error"],
            json!({"code": "50511", "message": "Post Img Risk Not Pass"})
        );
    }

    #[test]
    fn progress_is_never_whole_before_the_end() {
        for (seconds, progress) in [(0, 1), (60, 50), (120, 95), (u64::MAX, 95)] {
            let elapsed = Duration::from_secs(seconds);
            assert_eq!(video(VideoStatus::InProgress { elapsed })["progress"], progress);
        }
    }

    #[test]
    fn a_page_names_its_ends() {
        let empty = VideoList::new(Vec::new(), false).to_json().unwrap();
        let shape = json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false});
        assert_eq!(empty, shape);
    }

    #[test]
    fn a_deletion_is_confirmed() {
        let deleted = VideoDeleted::from(VideoId::from(JobId::from_bits(1)))
            .to_json()
            .unwrap();
        let id = "video_00000000000000000000000000000001";
        assert_eq!(deleted, json!({"id": id, "object": "video.deleted", "deleted": true}));
    }

    #[test]
    fn another_spelling_is_no_videos_id() {
        for text in [
            "",
            "video_",
            "video_ab",
            "job_000000000000000000000000000000ab",
            "000000000000000000000000000000ab",
            "VIDEO_000000000000000000000000000000ab",
            "video_000000000000000000000000000000AB",
            "video_job_000000000000000000000000000000ab",
        ] {
            assert!(text.parse::<VideoId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_reads_back_what_it_shows(bits in any::<u128>()) {
            let id = VideoId::from(JobId::from_bits(bits));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.job().bits(), bits);
        }
    }
}
