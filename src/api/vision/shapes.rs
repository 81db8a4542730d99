//! What the vision routes answer, in the envelope of the Math Notes API.

use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};

use super::chat::{Said, Usage};
use crate::model::clock::Timestamp;

/// How many tokens it took.
#[derive(Debug, Object)]
pub struct VisionUsage {
    /// Of the question, images included.
    #[oai(rename = "prompt_tokens")]
    pub prompt: u64,
    /// Of the answer.
    #[oai(rename = "completion_tokens")]
    pub completion: u64,
    /// Of both.
    #[oai(rename = "total_tokens")]
    pub total: u64,
}

impl From<Usage> for VisionUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt: usage.prompt,
            completion: usage.completion,
            total: usage.total,
        }
    }
}

/// What the model said.
#[derive(Debug, Object)]
#[oai(rename = "ImageAnalysis")]
pub struct Analysis {
    /// Always true.
    pub success: bool,
    /// Its words.
    pub content: String,
    /// What it calls itself.
    pub model: String,
    /// What it took; null where the upstream does not tell.
    pub usage: Option<VisionUsage>,
}

impl From<&Said> for Analysis {
    fn from(said: &Said) -> Self {
        Self {
            success: true,
            content: said.content.clone(),
            model: said.model.clone(),
            usage: said.usage.map(Into::into),
        }
    }
}

/// What stands in the image.
#[derive(Debug, Object)]
pub struct ExtractedText {
    /// The text; empty where there is none.
    pub text: String,
    /// The first 100 characters of the first image as it was sent, and three dots.
    pub image: String,
}

/// How the problem is solved.
#[derive(Debug, Object)]
pub struct MathAnalysis {
    /// Always true.
    pub success: bool,
    /// The solution.
    pub content: String,
    /// What the model calls itself.
    pub model: String,
    /// What both calls took together; null where the upstream does not tell.
    pub usage: Option<VisionUsage>,
    /// The text that was read first.
    #[oai(rename = "extractedText")]
    pub extracted_text: String,
}

/// Declares the envelope of a success.
macro_rules! envelope {
    ($(#[$doc:meta])* $name:ident of $data:ident) => {
        $(#[$doc])*
        #[derive(Debug, Object)]
        pub struct $name {
            /// Always true.
            pub success: bool,
            /// The answer.
            pub data: $data,
        }

        impl $name {
            pub(super) fn new(data: $data) -> Self {
                Self { success: true, data }
            }
        }
    };
}

envelope!(
    /// Images were analysed.
    ImageAnalysisReply of Analysis
);
envelope!(
    /// Text was read.
    ExtractedTextReply of ExtractedText
);
envelope!(
    /// A problem was solved.
    MathAnalysisReply of MathAnalysis
);

/// How the vision routes are.
#[derive(Debug, Object)]
#[oai(rename = "VisionHealth")]
pub struct Healthy {
    /// Whether they serve.
    pub success: bool,
    /// `Vision API`.
    pub service: String,
    /// The program's version.
    pub version: String,
    /// `healthy` or `unhealthy`.
    pub status: String,
    /// Now.
    pub timestamp: String,
}

impl Healthy {
    pub(super) fn new(is_healthy: bool, now: Timestamp) -> Self {
        Self {
            success: is_healthy,
            service: "Vision API".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            status: if is_healthy { "healthy" } else { "unhealthy" }.to_owned(),
            timestamp: now.to_string(),
        }
    }
}

/// Whether images can be asked about.
#[derive(Debug, ApiResponse)]
pub enum VisionHealth {
    /// They can.
    #[oai(status = 200)]
    Yes(Json<Healthy>),
    /// Calls would fail; `/ready` says why.
    #[oai(status = 503)]
    No(Json<Healthy>),
}
