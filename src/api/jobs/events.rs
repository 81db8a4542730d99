//! What happens to a job, as a stream of server-sent events.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt;
use http::HeaderName;
use poem::Request;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Binary;
use poem_openapi::{ApiResponse, OpenApi};

use crate::api::error::{ApiError, Code};
use crate::api::guard::{Authorized, NoBody, ToJobs};
use crate::api::{Services, Tag};
use crate::jobs::events::Followed;
use crate::model::id::{JobId, KeyId};
use crate::model::key::{KeyStatus, Scope};

/// What a job's events are answered with.
#[derive(ApiResponse)]
pub enum EventStream {
    /// Server-sent events, each with its number as its `id`. `event` and `data.type` say what happened, `data.counts` how
    /// the job's items stand after it. The stream ends after the job's last event.
    #[oai(status = 200, content_type = "text/event-stream")]
    Events(
        Binary<poem::Body>,
        /// `no-cache`.
        #[oai(header = "Cache-Control")]
        String,
        /// `no`: proxies must not hold it back.
        #[oai(header = "X-Accel-Buffering")]
        String,
    ),
    /// The job has ended and its last event was seen: there is no reason to come back.
    #[oai(status = 204)]
    Over,
}

/// The route of events.
pub struct JobEventsApi;

#[OpenApi(tag = "Tag::Jobs")]
impl JobEventsApi {
    /// Follow a job
    ///
    /// First what happened behind `Last-Event-ID`, then what happens, until the job has ended. A comment comes every 15
    /// seconds; if the key is withdrawn meanwhile, the stream ends with an event named `error`. An owner follows 8 streams
    /// at a time. Whoever is cut off comes back with the last `id` and misses nothing.
    #[oai(path = "/v1/jobs/:id/events", method = "get", operation_id = "jobs_follow")]
    async fn follow(
        &self,
        request: &Request,
        authorized: Authorized<ToJobs, NoBody>,
        /// The job: `job_` and 32 hex digits.
        id: Path<String>,
        /// The number of the last event that was seen.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
    ) -> Result<EventStream, ApiError> {
        // Its text is read from the header itself: poem takes bytes that are no text for no header.
        let _ = last_event_id;
        let seen = last_seen(request)?;
        let id = job_id(&id.0)?;
        let services = authorized.services;
        let (owner, key) = (authorized.caller.owner, authorized.caller.key());
        let ending = services.lifecycle.ending().clone();
        let still_allowed = {
            let services = Arc::clone(&services);
            move || key.is_some_and(|key| may_follow(&services, key))
        };
        match services
            .followers
            .follow(owner, id, seen, ending, still_allowed)
            .await?
        {
            Followed::Over => Ok(EventStream::Over),
            Followed::Events(follower) => {
                let frames = follower.into_stream().map(Ok::<_, io::Error>);
                Ok(EventStream::Events(
                    Binary(poem::Body::from_bytes_stream(frames)),
                    "no-cache".to_owned(),
                    "no".to_owned(),
                ))
            }
        }
    }
}

/// Whether a key may still be used for jobs.
fn may_follow(services: &Services, key: KeyId) -> bool {
    let key = services.directory.get(key);
    key.is_some_and(|key| key.status(services.clock.wall()) == KeyStatus::Active && key.scopes.has(Scope::Jobs))
}

/// The number of the last event that the client saw; 0 if it saw none.
fn last_seen(request: &Request) -> Result<u64, ApiError> {
    let Some(seen) = request.headers().get(LAST_EVENT_ID) else {
        return Ok(0);
    };
    let number = seen.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        ApiError::validation("Last-Event-ID is the number of an event: the id of the last one that was seen")
            .about("Last-Event-ID")
    })
}

/// The job that a path names. What is no id names none.
pub(super) fn job_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| ApiError::new(Code::NotFound, "no such job"))
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
