//! Reading what is submitted. The bodies of items stay the bytes that came.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::error::ApiError;
use crate::api::relayed::Named;
use crate::api::{openai, volcengine};
use crate::jobs::{ItemSpec, JobError, JobSpec, Private};
use crate::model::call::Delivery;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::job::retry::UnknownCalls;
use crate::model::job::{JobKind, Priority, QueueName, RetryPolicy, TimeLimits};
use crate::model::operation::{Operation, Protocol};
use crate::model::webhook::WebhookUrl;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(borrow)]
    items: Option<Vec<AskedItem<'a>>>,
    operation: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    queue: Option<String>,
    priority: Option<u8>,
    delay: Option<f64>,
    not_before: Option<String>,
    deadline: Option<String>,
    #[serde(default)]
    retry: AskedRetry,
    #[serde(default)]
    limits: AskedLimits,
    webhook: Option<AskedWebhook>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedItem<'a> {
    operation: String,
    #[serde(borrow)]
    body: &'a RawValue,
    #[serde(borrow)]
    req_json: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedRetry {
    max_attempts: Option<u32>,
    backoff: Option<u32>,
    max_backoff: Option<u32>,
    unknown_calls: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedLimits {
    soft: Option<u32>,
    hard: Option<u32>,
    task: Option<u32>,
}

/// Its address, alone or in an object.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum AskedWebhook {
    Address(String),
    Object { url: String },
}

/// Reads a job that a caller submits at `now`.
///
/// # Errors
/// [`ApiError`] that names the field.
pub(super) fn job(body: &Bytes, caller: &Caller, now: Timestamp) -> Result<JobSpec, ApiError> {
    let asked: Asked<'_> = serde_json::from_slice(body)
        .map_err(|error| ApiError::validation(format!("the body is not a job: {error}")))?;
    let not_before = not_before(&asked, now)?;
    let deadline = moment("deadline", asked.deadline.as_deref())?;
    if deadline.is_some_and(|deadline| deadline <= not_before.unwrap_or(now)) {
        return Err(wrong("deadline", "the deadline lies before anything could run"));
    }
    let private = Private {
        metadata: metadata(asked.metadata)?,
        webhook: asked.webhook.as_ref().map(webhook).transpose()?,
        request: None,
    };
    Ok(JobSpec {
        kind: JobKind::Batch,
        queue: asked.queue.as_deref().map_or(Ok(QueueName::default_queue()), |name| {
            name.parse().map_err(|error| wrong("queue", format!("{error}")))
        })?,
        priority: priority(asked.priority)?,
        not_before,
        deadline,
        retry: retry(&asked.retry)?,
        limits: limits(&asked.limits)?,
        private,
        items: items(asked, body, caller)?,
    })
}

fn items(asked: Asked<'_>, body: &Bytes, caller: &Caller) -> Result<Vec<ItemSpec>, ApiError> {
    let items = match (asked.items, asked.operation, asked.body) {
        (Some(items), None, None) => items,
        (None, Some(operation), Some(body)) => vec![AskedItem {
            operation,
            body,
            req_json: None,
        }],
        _ => return Err(wrong("items", "send either items, or one operation and its body")),
    };
    if !(1..=JobSpec::MOST_ITEMS).contains(&items.len()) {
        let bounds = format!("a job has 1 to {} items", JobSpec::MOST_ITEMS);
        return Err(wrong("items", bounds));
    }
    items
        .iter()
        .enumerate()
        .map(|(index, item)| read_item(index, item, body, caller))
        .collect()
}

fn read_item(index: usize, asked: &AskedItem<'_>, whole: &Bytes, caller: &Caller) -> Result<ItemSpec, ApiError> {
    let field = |name: &str| format!("items[{index}].{name}");
    let unknown = || wrong(field("operation"), format!("{:?} is no operation", asked.operation));
    let operation = Operation::from_name(&asked.operation).ok_or_else(unknown)?;
    let body = whole.slice_ref(asked.body.get().as_bytes());
    if !body.starts_with(b"{") {
        return Err(wrong(field("body"), "the body is a JSON object"));
    }
    let named = match operation.protocol() {
        Protocol::Volcengine => volcengine::named(operation, caller, &body),
        Protocol::OpenAi => openai::named(operation, &body),
    };
    let Named {
        model,
        task_id,
        delivery,
    } = named.map_err(|error| error.within(&field("body")))?;
    if delivery == Delivery::Stream {
        return Err(JobError::Streamed { index, operation }.into());
    }
    Ok(ItemSpec {
        operation,
        model,
        alias: None,
        task_id,
        body,
        req_json: asked.req_json.map(|raw| text_of(raw, &field("req_json"))).transpose()?,
    })
}

/// Volcengine takes it as a JSON text within JSON; a client may write it so, or as an object.
fn text_of(raw: &RawValue, field: &str) -> Result<String, ApiError> {
    let text = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
    if text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
        Ok(text)
    } else {
        Err(wrong(field, "req_json is a JSON object"))
    }
}

fn not_before(asked: &Asked<'_>, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    match (asked.delay, asked.not_before.as_deref()) {
        (Some(_), Some(_)) => Err(wrong("delay", "send either delay or not_before")),
        (Some(delay), None) if (0.0..=LONGEST_DELAY).contains(&delay) => {
            Ok(Some(now.plus(Duration::from_secs_f64(delay))).filter(|_| delay > 0.0))
        }
        (Some(_), None) => Err(wrong("delay", "a delay is 0 to 31536000 seconds")),
        (None, text) => moment("not_before", text),
    }
}

fn moment(field: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| {
        text.parse()
            .map_err(|_| wrong(field, format!("{field} is a moment such as 2026-02-24T10:00:00Z")))
    })
    .transpose()
}

fn priority(asked: Option<u8>) -> Result<Priority, ApiError> {
    asked.map_or(Ok(Priority::default()), |number| {
        Priority::new(number).ok_or_else(|| wrong("priority", "a priority is 0 to 9, the highest first"))
    })
}

fn retry(asked: &AskedRetry) -> Result<RetryPolicy, ApiError> {
    let standard = RetryPolicy::default();
    let backoff = within("retry.backoff", asked.backoff, standard.backoff, 1, 3600)?;
    let unknown_calls = match asked.unknown_calls.as_deref() {
        None | Some("leave") => UnknownCalls::Leave,
        Some("retry") => UnknownCalls::Retry,
        Some(_) => return Err(wrong("retry.unknown_calls", "unknown_calls is leave or retry")),
    };
    Ok(RetryPolicy {
        max_attempts: within("retry.max_attempts", asked.max_attempts, standard.max_attempts, 1, 20)?,
        backoff,
        max_backoff: within(
            "retry.max_backoff",
            asked.max_backoff,
            standard.max_backoff.max(backoff),
            backoff,
            86_400,
        )?,
        unknown_calls,
    })
}

fn limits(asked: &AskedLimits) -> Result<TimeLimits, ApiError> {
    let standard = TimeLimits::default();
    let hard = within("limits.hard", asked.hard, standard.hard, 1, 86_400)?;
    Ok(TimeLimits {
        soft: within("limits.soft", asked.soft, standard.soft.min(hard), 1, hard)?,
        hard,
        task: within("limits.task", asked.task, standard.task, 1, 86_400)?,
    })
}

fn within(field: &str, asked: Option<u32>, standard: u32, least: u32, most: u32) -> Result<u32, ApiError> {
    match asked.unwrap_or(standard) {
        number if (least..=most).contains(&number) => Ok(number),
        _ => Err(wrong(field, format!("{field} is {least} to {most}"))),
    }
}

fn webhook(asked: &AskedWebhook) -> Result<WebhookUrl, ApiError> {
    let (AskedWebhook::Address(url) | AskedWebhook::Object { url }) = asked;
    url.parse().map_err(|error| wrong("webhook.url", format!("{error}")))
}

fn metadata(asked: Option<&RawValue>) -> Result<String, ApiError> {
    let text = asked.map_or("{}", RawValue::get);
    if !text.starts_with('{') {
        return Err(wrong("metadata", "metadata is a JSON object"));
    }
    if text.len() > JobSpec::MOST_METADATA {
        return Err(wrong(
            "metadata",
            format!("metadata has at most {} bytes", JobSpec::MOST_METADATA),
        ));
    }
    Ok(text.to_owned())
}

fn wrong(field: impl Into<String>, message: impl Into<String>) -> ApiError {
    ApiError::validation(message.into()).about(field.into())
}

/// A year, in seconds.
const LONGEST_DELAY: f64 = 31_536_000.0;
