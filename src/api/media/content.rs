//! A film on its way from the provider to a client.

use std::io;

use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};

use crate::jobs::gallery::Media;

/// A film, or a part of it, handed on as it comes.
pub struct VideoContent(pub(super) Media);

impl IntoResponse for VideoContent {
    fn into_response(self) -> Response {
        let Media { status, headers, body } = self.0;
        let bytes = stream::try_unfold(body, |mut body| async move {
            let next = body.next().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(next.map(|bytes| (bytes, body)))
        });
        let mut response = Response::builder().status(status).body(Body::from_bytes_stream(bytes));
        let passing = response.headers_mut();
        passing.extend(headers);
        // Browsers run nothing of what a stranger calls a film.
        passing.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        passing.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        response
    }
}

impl ApiResponse for VideoContent {
    fn meta() -> MetaResponses {
        let response = |status, description| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "video/mp4",
                schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
                    format: Some("binary"),
                    ..MetaSchema::new("string")
                })),
            }],
            headers: vec![],
        };
        MetaResponses {
            responses: vec![
                response(200, "The film."),
                response(206, "The part of it that `Range` asks for."),
            ],
        }
    }

    fn register(_registry: &mut Registry) {}
}
