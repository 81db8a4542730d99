//! Images and videos in the shapes that OpenAI's SDKs know.

pub mod content;
mod failure;
pub mod form;
pub mod image_shape;
pub(in crate::api) mod images;
mod list;
mod order;
pub mod video_body;
pub mod video_shape;
pub mod videos;
mod view;

use super::error::ApiError;
use crate::model::media::InvalidRequest;

impl From<InvalidRequest> for ApiError {
    fn from(error: InvalidRequest) -> Self {
        let refused = Self::validation(error.to_string());
        match error.field() {
            Some(field) => refused.about(field),
            None => refused,
        }
    }
}
