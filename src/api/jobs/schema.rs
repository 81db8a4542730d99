//! What `POST /v1/jobs` takes, for the document. It is read by `read`, which keeps bodies as they came.

use poem_openapi::types::Any;
use poem_openapi::{Enum, Object};
use serde_json::Value;

/// A job: one call, or a batch of up to 10,000.
#[derive(Debug, Object)]
#[oai(rename = "CreateJob")]
pub struct JobRequest {
    /// The items of a batch. A job of one call may name its `operation` and `body` here instead.
    pub items: Option<Vec<JobItemRequest>>,
    /// What the only item asks, without `items`.
    pub operation: Option<String>,
    /// What the only item sends, without `items`.
    pub body: Option<Any<Value>>,
    /// Where it waits: one of `JOB_QUEUES`; `default` unless told.
    #[oai(validator(max_length = 64))]
    pub queue: Option<String>,
    /// Which items are taken first, 0 to 9, the highest first; 5 unless told.
    #[oai(validator(minimum(value = "0"), maximum(value = "9")))]
    pub priority: Option<u8>,
    /// Nothing of it runs within so many seconds from now. Not beside `not_before`.
    #[oai(validator(minimum(value = "0")))]
    pub delay: Option<f64>,
    /// Nothing of it runs before this moment, RFC 3339.
    pub not_before: Option<String>,
    /// What has not ended at this moment is failed, RFC 3339.
    pub deadline: Option<String>,
    /// What is tried again.
    pub retry: Option<JobRetry>,
    /// How long things may take.
    pub limits: Option<JobLimits>,
    /// Where its end is told.
    pub webhook: Option<JobWebhook>,
    /// Whatever is to be kept with it: a JSON object of up to 16 KiB.
    pub metadata: Option<Any<Value>>,
}

/// One call of a job.
#[derive(Debug, Object)]
#[oai(rename = "CreateJobItem")]
pub struct JobItemRequest {
    /// Any relayed operation: `chat.completions`, `completions`, `embeddings`, `responses`, `images.generations`,
    /// `CVSync2AsyncSubmitTask`, `CVSync2AsyncGetResult`, `CVProcess`, `CVSubmitTask`, `CVGetResult`, `CVCancelTask`. A
    /// submit is followed to the end of its task.
    pub operation: String,
    /// What it sends, byte for byte: a JSON object.
    pub body: Any<Value>,
    /// How the result of a submit's task is asked for: Volcengine's `req_json`, as an object; `{"return_url": true}`
    /// unless told.
    pub req_json: Option<Any<Value>>,
}

/// What is tried again, and how often. Refused calls are, and those that were not sent.
#[derive(Debug, Object)]
#[oai(rename = "RetryPolicy")]
pub struct JobRetry {
    /// Attempts in all, 1 to 20; 3 unless told.
    #[oai(validator(minimum(value = "1"), maximum(value = "20")))]
    pub max_attempts: Option<u32>,
    /// The wait before the second attempt in seconds, 1 to 3600; 2 unless told. Each later one is twice as long.
    #[oai(validator(minimum(value = "1"), maximum(value = "3600")))]
    pub backoff: Option<u32>,
    /// The longest wait in seconds, up to 86400; 300 unless told.
    #[oai(validator(minimum(value = "1"), maximum(value = "86400")))]
    pub max_backoff: Option<u32>,
    /// What becomes of calls of unknown outcome. Submits stay `unknown` in any case.
    pub unknown_calls: Option<OnUnknown>,
}

/// What becomes of a call that may have been paid.
#[derive(Debug, Enum)]
#[oai(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It stays `unknown`.
    Leave,
    /// It is made again, and may be paid twice.
    Retry,
}

/// How long things may take, in seconds.
#[derive(Debug, Object)]
#[oai(rename = "TimeLimits")]
pub struct JobLimits {
    /// An attempt that takes longer is told of in an event; 540 unless told.
    #[oai(validator(minimum(value = "1"), maximum(value = "86400")))]
    pub soft: Option<u32>,
    /// An attempt that takes longer is cut; 600 unless told.
    #[oai(validator(minimum(value = "1"), maximum(value = "86400")))]
    pub hard: Option<u32>,
    /// A task that runs longer is failed; 43200 unless told.
    #[oai(validator(minimum(value = "1"), maximum(value = "86400")))]
    pub task: Option<u32>,
}

/// Where a job's end is told, signed as Standard Webhooks asks.
#[derive(Debug, Object)]
pub struct JobWebhook {
    /// An address of the public internet, at most 2048 characters.
    #[oai(validator(max_length = 2048))]
    pub url: String,
}
