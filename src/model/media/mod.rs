//! Pictures and films: what OpenAI's shapes ask for, and what Jimeng is sent and answers.
//!
//! A request is parsed out of OpenAI's fields, checked against what the provider takes, and written as the body of a
//! submit. Bounds and defaults are those of Volcengine's documents 85621/1817045 (images 4.0), 1777001 (video 3.0 Pro)
//! and 1792710 (video 3.0).

mod aspect;
mod error;
mod frame;
mod image;
pub mod jimeng;
mod lifetime;
mod output;
mod preset;
mod prompt;
mod size;
mod video;

pub use aspect::AspectRatio;
pub use error::InvalidRequest;
pub use frame::Frame;
pub use image::{Delivery, ImageRequest};
pub use lifetime::{IMAGE_URL_LIFE, RESULT_LIFE, TASK_LIFE, VIDEO_URL_LIFE};
pub use output::{NoOutput, Output};
pub use preset::{ImageModel, MediaModel, Takes, VideoModel};
pub use prompt::Prompt;
pub use size::ImageSize;
pub use video::{Camera, Seconds, VideoRequest, VideoSize};
