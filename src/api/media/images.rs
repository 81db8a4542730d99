//! `POST /v1/images/generations` with a model of Jimeng's: each picture is a task of its own, and all are waited for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use poem_openapi::types::ToJSON;
use serde_json::json;

use super::failure::Failure;
use super::image_shape::{ImagesResponse, MadeImage};
use super::order::{Order, refused};
use crate::api::error::{ApiError, Code, JOB};
use crate::api::{Services, openai, relayed};
use crate::jobs::submit::Origin as Accepted;
use crate::jobs::{ItemReport, Results, Submitted, Viewer};
use crate::model::caller::Caller;
use crate::model::catalogue::Catalogue;
use crate::model::id::JobId;
use crate::model::job::{ItemRef, ItemState, JobKind};
use crate::model::media::{Delivery, ImageRequest, MediaModel, Output, jimeng};
use crate::model::operation::Operation;
use crate::model::reply::Reply;
use crate::record::Recorded;
use crate::relay::{Answer, Content, Origin};

/// A model of Volcengine's, as a client named it.
#[derive(Debug)]
pub(in crate::api) struct Jimeng {
    name: String,
    model: MediaModel,
}

impl Jimeng {
    /// The model that a body names, if it is one of Volcengine's.
    ///
    /// # Errors
    /// [`ApiError`] for a body that two parsers could read in two ways.
    pub(in crate::api) fn named(catalogue: &Catalogue, body: &[u8]) -> Result<Option<Self>, ApiError> {
        let named = openai::named(Operation::ImagesGenerations, body)?.model;
        let name = named.or_else(|| catalogue.default_model.clone());
        Ok(name.and_then(|name| {
            let model = catalogue.media(&name)?;
            Some(Self { name, model })
        }))
    }

    /// Makes the pictures that `body` asks for.
    ///
    /// # Errors
    /// [`ApiError`]; what was accepted is named in it, and is not to be repeated.
    ///
    /// # Cancel safety
    /// Dropped, what was accepted goes on.
    pub(in crate::api) async fn draw(
        self,
        services: &Services,
        caller: &Caller,
        body: Bytes,
        headers: &HeaderMap,
    ) -> Result<Answer, ApiError> {
        let MediaModel::Image(model) = &self.model else {
            let sentence = format!("{} makes films: send this to POST /v1/videos", self.name);
            return Err(ApiError::validation(sentence).about("model"));
        };
        let key = relayed::idempotency_key(headers)?;
        let request = ImageRequest::parse(&body)?;
        let size = request.size.map(|size| size.to_string());
        let order = Order {
            kind: JobKind::Images,
            name: &self.name,
            req_key: model.req_key(),
            kept: json!({ "model": self.name, "size": size }).to_string(),
        };
        let spec = order.job((0..request.count).map(|index| jimeng::image_submit(model, &request, index)));
        let submitted = services
            .jobs
            .submit(caller, spec, key.as_ref())
            .await
            .map_err(refused)?;
        // The wait needs none of the memory for bodies.
        drop(body);
        let wanted = Wanted {
            viewer: Viewer::Owner(caller.owner),
            delivery: request.delivery,
            size,
        };
        let id = submitted.id;
        wanted
            .answer(services, submitted)
            .await
            .map_err(|error| error.of_job(id))
    }
}

/// What a client waits for.
struct Wanted {
    viewer: Viewer,
    delivery: Delivery,
    size: Option<String>,
}

impl Wanted {
    async fn answer(self, services: &Services, submitted: Submitted) -> Result<Answer, ApiError> {
        let id = submitted.id;
        let job = tokio::select! {
            biased;
            job = services.jobs.until_ended(self.viewer, id, PATIENCE) => job?,
            // The connection would be cut, and its client would send everything again.
            () = services.lifecycle.ending().cancelled() => {
                let sentence = format!("the process ends: {id} goes on in the next one, and nothing is to be sent again");
                return Err(ApiError::new(Code::Draining, sentence));
            }
        };
        if !job.state.is_finished() {
            let sentence = format!("the pictures are not made yet: {id} goes on, and nothing is to be sent again");
            return Err(ApiError::new(Code::UpstreamTimeout, sentence));
        }
        let most = usize::from(ImageRequest::MAX_COUNT);
        let reports = services.jobs.items(self.viewer, id, 0, most, Results::Included).await?;
        // What was made was paid for, so it is handed over also where another failed.
        let made: Vec<_> = reports
            .iter()
            .filter_map(|report| Some((report, made(report)?)))
            .collect();
        if made.is_empty() {
            let failed = reports.iter().find(|report| report.item.state != ItemState::Cancelled);
            let failed = failed.or(reports.first());
            let lost = || ApiError::new(Code::InternalError, "the job has no items");
            return Err(failed.map_or_else(lost, |report| Failure::of(report).answer()));
        }
        let mut images = Vec::with_capacity(made.len());
        let mut room = MOST_INLINE;
        for (report, output) in made {
            let at = ItemRef {
                job: id,
                index: report.index,
            };
            images.push(self.image(services, at, output, &mut room).await?);
        }
        let response = ImagesResponse::new(job.created_at, images, self.size);
        Ok(respond(id, &response, submitted.origin))
    }

    async fn image(
        &self,
        services: &Services,
        at: ItemRef,
        output: Output,
        room: &mut usize,
    ) -> Result<MadeImage, ApiError> {
        let (link, inline) = (
            output.image_urls.into_iter().next(),
            output.inline_images.into_iter().next(),
        );
        let base64 = match (self.delivery, link, inline) {
            (Delivery::Url, Some(url), _) => return Ok(MadeImage::linked(url)),
            (_, _, Some(base64)) => base64,
            (_, _, None) => BASE64.encode(&services.gallery.picture(self.viewer, at).await?),
        };
        *room = room.checked_sub(base64.len()).ok_or_else(|| {
            let sentence = "the pictures are too large for one answer: ask for them with response_format url";
            ApiError::new(Code::UpstreamFailed, sentence)
        })?;
        Ok(MadeImage::inline(base64))
    }
}

/// What an item made, if it made a picture.
fn made(report: &ItemReport) -> Option<Output> {
    let answer = report
        .result
        .as_ref()
        .filter(|_| report.item.state == ItemState::Succeeded)?;
    let output = Output::read(&answer.body).ok()?;
    let is_picture = !(output.image_urls.is_empty() && output.inline_images.is_empty());
    is_picture.then_some(output)
}

fn respond(id: JobId, response: &ImagesResponse, accepted: Accepted) -> Answer {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(JOB, id);
    }
    Answer {
        content: Content::Whole(Arc::new(Reply {
            status: StatusCode::OK,
            headers,
            body: Bytes::from(response.to_json_string()),
        })),
        origin: match accepted {
            Accepted::New => Origin::Upstream,
            Accepted::Repeat => Origin::Replay,
        },
        recorded: Recorded::Yes,
        intent: None,
        allowance: None,
    }
}

/// How long pictures are waited for: clients give up after a minute.
const PATIENCE: Duration = Duration::from_secs(50);

/// The most characters of base64 in one answer: ten pictures of the largest size that Jimeng makes.
const MOST_INLINE: usize = 192 * 1024 * 1024;
