//! OpenAI's API: calls to whichever account of whichever upstream serves the model.

pub mod models;
pub mod schema;

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Header;

pub use self::models::ModelsApi;

use self::schema::{
    ChatReply, ChatRequest, CompletionReply, CompletionRequest, EmbeddingReply, EmbeddingRequest, ImageReply,
    ImageRequest, ResponseReply, ResponseRequest,
};
use super::Tag;
use super::error::ApiError;
use super::guard::{Authorized, Raw, ToRelay};
use super::relayed::{Named, Relayed, relay};
use crate::model::call::Delivery;
use crate::model::control;
use crate::model::operation::Operation;

/// The relayed routes of OpenAI's API.
pub struct OpenAiApi;

#[OpenApi(tag = "Tag::OpenAi")]
impl OpenAiApi {
    /// Chat
    ///
    /// Whole or as a stream. The pool of accounts behind the model is the operator's affair.
    #[oai(
        path = "/v1/chat/completions",
        method = "post",
        operation_id = "openai_createChatCompletion"
    )]
    async fn chat_completions(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw<ChatRequest>>,
        /// Makes a paid call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed<ChatReply>, ApiError> {
        let _ = idempotency_key;
        relay(request, authorized, Operation::ChatCompletions)
            .await
            .map(Relayed::new)
    }

    /// Go on with a text
    ///
    /// OpenAI's older form, of one prompt.
    #[oai(path = "/v1/completions", method = "post", operation_id = "openai_createCompletion")]
    async fn completions(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw<CompletionRequest>>,
        /// Makes a paid call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed<CompletionReply>, ApiError> {
        let _ = idempotency_key;
        relay(request, authorized, Operation::Completions)
            .await
            .map(Relayed::new)
    }

    /// Embed texts
    ///
    /// One vector for each text.
    #[oai(path = "/v1/embeddings", method = "post", operation_id = "openai_createEmbedding")]
    async fn embeddings(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw<EmbeddingRequest>>,
        /// Makes a paid call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed<EmbeddingReply>, ApiError> {
        let _ = idempotency_key;
        relay(request, authorized, Operation::Embeddings)
            .await
            .map(Relayed::new)
    }

    /// Respond
    ///
    /// OpenAI's Responses API, whole or as a stream.
    #[oai(path = "/v1/responses", method = "post", operation_id = "openai_createResponse")]
    async fn responses(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw<ResponseRequest>>,
        /// Makes a paid call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed<ResponseReply>, ApiError> {
        let _ = idempotency_key;
        relay(request, authorized, Operation::Responses).await.map(Relayed::new)
    }

    /// Make pictures
    ///
    /// By an OpenAI-compatible upstream.
    #[oai(
        path = "/v1/images/generations",
        method = "post",
        operation_id = "openai_createImage"
    )]
    async fn images_generations(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw<ImageRequest>>,
        /// Makes a paid call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed<ImageReply>, ApiError> {
        let _ = idempotency_key;
        relay(request, authorized, Operation::ImagesGenerations)
            .await
            .map(Relayed::new)
    }
}

/// The operation that a path names.
pub(super) fn operation(path: &str) -> Option<Operation> {
    Some(match path {
        "/v1/chat/completions" => Operation::ChatCompletions,
        "/v1/completions" => Operation::Completions,
        "/v1/embeddings" => Operation::Embeddings,
        "/v1/responses" => Operation::Responses,
        "/v1/images/generations" => Operation::ImagesGenerations,
        _ => return None,
    })
}

/// What a body names, as every parser upstream will see it.
///
/// # Errors
/// [`ApiError`] for a body that is no JSON object, for one that two parsers could read in two ways, and for a chat about
/// nothing.
pub(super) fn named(operation: Operation, body: &[u8]) -> Result<Named, ApiError> {
    let control = control::scan(body).map_err(|error| ApiError::validation(error.to_string()))?;
    let messages = control.messages.and_then(|messages| body.get(messages.span));
    if operation == Operation::ChatCompletions && messages.is_some_and(is_empty_array) {
        return Err(ApiError::validation("send at least one message").about("messages"));
    }
    let model = match control.model {
        None => None,
        Some(field) => match field.value.as_text() {
            Some("") | None => return Err(ApiError::validation("name the model in a string").about("model")),
            Some(model) => Some(model.to_owned()),
        },
    };
    let streams = control.stream.and_then(|field| field.value.as_bool()) == Some(true);
    Ok(Named {
        model,
        task_id: None,
        delivery: if streams { Delivery::Stream } else { Delivery::Whole },
    })
}

/// Whether a JSON value is an array without elements.
fn is_empty_array(value: &[u8]) -> bool {
    let inside = value.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    inside.is_some_and(|inside| inside.trim_ascii().is_empty())
}
