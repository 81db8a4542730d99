//! `/v1/videos`: films of Jimeng's, each of them a job, in OpenAI's shape.

use std::time::Duration;

use http::header::RANGE;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Json, Response};

use super::content::VideoContent;
use super::list;
use super::order::{Order, refused};
use super::video_body::VideoBody;
use super::video_shape::{AskedVideo, POLL_AFTER, Video, VideoDeleted, VideoId, VideoList};
use super::view::{find, no_such_video, view};
use crate::api::error::{ApiError, Code};
use crate::api::guard::{Authorized, NoBody, ToRelay};
use crate::api::{Tag, relayed};
use crate::jobs::gallery::MediaKind;
use crate::jobs::submit::Origin;
use crate::jobs::{JobError, Viewer};
use crate::model::job::{ItemRef, JobKind};
use crate::model::media::{MediaModel, jimeng};

/// The routes.
pub struct VideosApi;

#[OpenApi(tag = "Tag::Videos")]
impl VideosApi {
    /// Make a film
    ///
    /// It is made in the background: poll the answer's id until its status is `completed` or `failed`.
    #[oai(path = "/v1/videos", method = "post", operation_id = "videos_create")]
    async fn create(
        &self,
        request: &poem::Request,
        authorized: Authorized<ToRelay, VideoBody>,
        /// Makes the order safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Response<Json<Video>>, ApiError> {
        let _ = idempotency_key;
        let Authorized {
            caller, body, services, ..
        } = authorized;
        let key = relayed::idempotency_key(request.headers())?;
        let asked = body.request;
        let name = asked.model.clone().unwrap_or_else(|| asked.usual_model().to_owned());
        let model = match services.relay.catalogue().media(&name) {
            Some(MediaModel::Video(model)) => model,
            Some(MediaModel::Image(_)) => {
                let sentence = format!("{name} makes pictures: send this to POST /v1/images/generations");
                return Err(ApiError::validation(sentence).about("model"));
            }
            None => {
                let sentence = format!("no model is called {name:?} here that makes films");
                return Err(ApiError::new(Code::ModelNotFound, sentence).about("model"));
            }
        };
        let submit = jimeng::video_submit(model, &asked)?;
        let kept = AskedVideo {
            model: name.clone(),
            seconds: asked.seconds.to_string(),
            size: asked.size.to_string(),
            prompt: Some(asked.prompt.as_str().to_owned()),
        };
        let order = Order {
            kind: JobKind::Video,
            name: &name,
            req_key: model.req_key(),
            kept: serde_json::to_string(&kept).unwrap_or_default(),
        };
        let spec = order.job([submit]);
        let submitted = services
            .jobs
            .submit(&caller, spec, key.as_ref())
            .await
            .map_err(refused)?;
        let video = view(&services, Viewer::Owner(caller.owner), submitted.id)
            .await
            .map_err(|error| error.of_job(submitted.id))?;
        let response = polled(video);
        Ok(match submitted.origin {
            Origin::New => response,
            Origin::Repeat => response.header("idempotency-replayed", "true"),
        })
    }

    /// List films
    ///
    /// Those of this key's owner.
    #[oai(path = "/v1/videos", method = "get", operation_id = "videos_list")]
    async fn list(
        &self,
        authorized: Authorized<ToRelay, NoBody>,
        /// Where to go on: the last id of the page before.
        after: Query<Option<String>>,
        /// How many a page has, 1 to 100; 20 unless told.
        limit: Query<Option<u32>>,
        /// `desc` for the newest first, which is the default, or `asc`.
        order: Query<Option<String>>,
    ) -> Result<Json<VideoList>, ApiError> {
        let page = list::Page::read(after.0.as_deref(), limit.0, order.0.as_deref())?;
        list::list(&authorized.services, authorized.caller.owner, page)
            .await
            .map(Json)
    }

    /// Show a film
    ///
    /// How it stands, and until when its content can be fetched.
    #[oai(path = "/v1/videos/:id", method = "get", operation_id = "videos_get")]
    async fn show(
        &self,
        authorized: Authorized<ToRelay, NoBody>,
        /// `video_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Response<Json<Video>>, ApiError> {
        let id = video_id(&id.0)?;
        let viewer = Viewer::Owner(authorized.caller.owner);
        view(&authorized.services, viewer, id.job()).await.map(polled)
    }

    /// Fetch a film
    ///
    /// As it comes from the provider; `Range` is passed on. A URL that has died is asked for anew; what the provider
    /// keeps no longer is gone.
    #[oai(path = "/v1/videos/:id/content", method = "get", operation_id = "videos_download")]
    async fn content(
        &self,
        request: &poem::Request,
        authorized: Authorized<ToRelay, NoBody>,
        /// `video_` and 32 hex digits.
        id: Path<String>,
        /// Only `video`.
        variant: Query<Option<String>>,
    ) -> Result<VideoContent, ApiError> {
        let id = video_id(&id.0)?;
        if variant.0.as_deref().is_some_and(|variant| variant != "video") {
            let sentence = "Jimeng makes no thumbnails and no sprite sheets: variant is video";
            return Err(ApiError::validation(sentence).about("variant"));
        }
        let viewer = Viewer::Owner(authorized.caller.owner);
        let services = &authorized.services;
        find(services, viewer, id.job()).await?;
        let at = ItemRef {
            job: id.job(),
            index: 0,
        };
        let range = request.headers().get(RANGE);
        let media = services.gallery.open(viewer, at, MediaKind::Video, range).await?;
        Ok(VideoContent(media))
    }

    /// Delete a film
    ///
    /// One that is not made yet is cancelled. Afterwards it is not found.
    #[oai(path = "/v1/videos/:id", method = "delete", operation_id = "videos_remove")]
    async fn delete(
        &self,
        authorized: Authorized<ToRelay, NoBody>,
        /// `video_` and 32 hex digits.
        id: Path<String>,
    ) -> Result<Json<VideoDeleted>, ApiError> {
        let id = video_id(&id.0)?;
        let viewer = Viewer::Owner(authorized.caller.owner);
        let services = &authorized.services;
        let job = find(services, viewer, id.job()).await?;
        if !job.state.is_finished() {
            match services.jobs.cancel(viewer, id.job()).await {
                // It may have ended meanwhile.
                Ok(_) | Err(JobError::State { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            services.jobs.until_ended(viewer, id.job(), TO_CANCEL).await?;
        }
        services.jobs.forget(viewer, id.job()).await?;
        Ok(Json(id.into()))
    }
}

/// A video, with how soon it is worth asking again.
fn polled(video: Video) -> Response<Json<Video>> {
    let is_open = matches!(video.status.as_str(), "queued" | "in_progress");
    let response = Response::new(Json(video));
    if is_open {
        response.header(POLL_AFTER, SOON)
    } else {
        response
    }
}

fn video_id(text: &str) -> Result<VideoId, ApiError> {
    text.parse().map_err(|_| no_such_video())
}

/// The longest wait for a worker to let go of what is cancelled.
const TO_CANCEL: Duration = Duration::from_secs(10);

/// In milliseconds: as often as we ask the provider at first.
const SOON: &str = "2000";
