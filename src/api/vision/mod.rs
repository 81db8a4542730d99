//! Asking about images: the three routes of the Math Notes API, over the same gate as every other call.
//!
//! Each asks the operator's vision model with a chat completion of ours. A caller chooses images, one prompt and the
//! options of [`Options`], never the model nor the conversation.

pub mod ask;
mod chat;
mod prompt;
pub mod shapes;
mod upstream;

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Header;
use poem_openapi::payload::{Json, Response};

use self::ask::{AnalyzeImage, Held, ReadImage};
use self::chat::{Usage, chat_body};
use self::shapes::{
    Analysis, ExtractedText, ExtractedTextReply, Healthy, ImageAnalysisReply, MathAnalysis, MathAnalysisReply,
    VisionHealth,
};
use self::upstream::{Told, Upstream};
use super::Tag;
use super::error::ApiError;
use super::guard::{Anybody, Authorized, ToRelay};
use super::readiness::Finding;
use crate::model::vision::Options;

/// The routes.
pub struct VisionApi;

#[OpenApi(tag = "Tag::Vision")]
impl VisionApi {
    /// Ask about images
    ///
    /// One prompt about one to sixteen images, answered by the operator's vision model.
    #[oai(path = "/api/vision/analyze", method = "post", operation_id = "vision_analyzeImage")]
    async fn analyze(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Held<AnalyzeImage>>,
        /// Makes the call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Response<Json<ImageAnalysisReply>>, ApiError> {
        let _ = idempotency_key;
        let upstream = Upstream::new(request, &authorized);
        let Held { asked, share: _share } = authorized.body;
        let options = asked.options()?;
        asked.check_prompt()?;
        let (images, _) = asked.image.read()?;
        let body = chat_body(upstream.model(), &asked.prompt, &images, &options);
        let told = upstream.ask("", body).await?;
        Ok(respond(&[&told], ImageAnalysisReply::new(Analysis::from(&told.said))))
    }

    /// Read the text in images
    ///
    /// Formulas come as LaTeX.
    #[oai(
        path = "/api/vision/extract-text",
        method = "post",
        operation_id = "vision_extractText"
    )]
    async fn extract_text(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Held<ReadImage>>,
        /// Makes the call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Response<Json<ExtractedTextReply>>, ApiError> {
        let _ = idempotency_key;
        let upstream = Upstream::new(request, &authorized);
        let Held { asked, share: _share } = authorized.body;
        let (images, beginning) = asked.image.read()?;
        let body = chat_body(upstream.model(), prompt::READ, &images, &Options::default());
        let told = upstream.ask("", body).await?;
        let text = told.said.content.clone();
        Ok(respond(
            &[&told],
            ExtractedTextReply::new(ExtractedText { text, image: beginning }),
        ))
    }

    /// Solve the mathematics problem in images
    ///
    /// Two calls: the text is read first, then the problem is solved with it. `usage` is what both took together.
    #[oai(
        path = "/api/vision/analyze-math",
        method = "post",
        operation_id = "vision_analyzeMath"
    )]
    async fn analyze_math(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Held<ReadImage>>,
        /// Makes both calls safe to repeat for 24 hours: 1 to 248 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Response<Json<MathAnalysisReply>>, ApiError> {
        let _ = idempotency_key;
        let upstream = Upstream::new(request, &authorized);
        let Held { asked, share: _share } = authorized.body;
        let (images, _) = asked.image.read()?;
        let body = |prompt: &str| chat_body(upstream.model(), prompt, &images, &Options::default());
        let read = upstream.ask("/read", body(prompt::READ)).await?;
        let solved = upstream.ask("/solve", body(&prompt::solve(&read.said.content))).await?;
        let data = MathAnalysis {
            success: true,
            content: solved.said.content.clone(),
            model: solved.said.model.clone(),
            usage: Usage::sum(read.said.usage, solved.said.usage).map(Into::into),
            extracted_text: read.said.content.clone(),
        };
        Ok(respond(&[&read, &solved], MathAnalysisReply::new(data)))
    }

    /// Say whether images can be asked about
    ///
    /// `unhealthy`, with 503, while calls would fail.
    #[oai(path = "/api/vision/health", method = "get", operation_id = "vision_getHealth")]
    async fn health(&self, anybody: Anybody) -> VisionHealth {
        let services = anybody.0;
        let found = services.readiness().await;
        let is_healthy = found.iter().all(|finding| matches!(finding, Finding::Fine));
        let health = Healthy::new(is_healthy, services.clock.wall());
        if is_healthy {
            VisionHealth::Yes(Json(health))
        } else {
            VisionHealth::No(Json(health))
        }
    }
}

/// A success, with what the record says of the calls behind it.
fn respond<T: poem_openapi::types::ToJSON>(told: &[&Told], body: T) -> Response<Json<T>> {
    let mut response = Response::new(Json(body));
    if told.iter().all(|told| told.is_replayed()) {
        response = response.header("idempotency-replayed", "true");
    }
    if told.iter().any(|told| !told.is_recorded()) {
        response = response.header("tollgate-record", "failed");
    }
    response
}
