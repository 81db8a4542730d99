//! What a Volcengine reply means.
//!
//! The code in the body is the truth, not the HTTP status: a failed task is `done` with a code that is not 10000, and
//! some older actions are said to answer errors with 200 (contract file, section 12).

use http::HeaderMap;
use http::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::model::operation::{Class, Operation};
use crate::model::outcome::Outcome;
use crate::model::task::TaskState;
use crate::upstream::{Again, Form, Symptom, Verdict};

/// The parts of a reply that we look at. Anything may be missing or of another type.
#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    task_id: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

/// Reads a whole reply. It never fails: what cannot be understood is [`Outcome::Unknown`].
#[must_use]
pub fn read(operation: Operation, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Verdict {
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let envelope = is_object
        .then(|| serde_json::from_slice::<Envelope<'_>>(body).ok())
        .flatten();
    // An object that names a field twice is still an object: it passes, and tells us nothing.
    let passes = envelope.is_some() || is_object && serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let form = if passes { Form::Object } else { Form::Other };
    let Envelope { code, data } = envelope.unwrap_or_default();
    let code = code.and_then(|raw| serde_json::from_str::<i64>(raw.get()).ok());
    let data = data
        .and_then(|raw| serde_json::from_str::<Data>(raw.get()).ok())
        .unwrap_or_default();

    let answer = Answer::of(status, code);
    let task_id = data
        .task_id
        .filter(|id| !id.is_empty() && operation.class() == Class::Submit);
    let mut outcome = answer.outcome();
    if operation.class() == Class::Submit && outcome == Outcome::Succeeded && task_id.is_none() {
        outcome = Outcome::Unknown;
    }
    Verdict {
        outcome,
        form,
        code,
        task_id,
        state: (operation.class() == Class::Query)
            .then(|| state(operation, answer, data.status.as_deref()))
            .flatten(),
        upstream_request: headers
            .get("x-tt-logid")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned),
        again: answer.again(),
        symptom: answer.symptom(status, code),
    }
}

/// The kinds of answers that Volcengine gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Code 10000.
    Success,
    /// 50429 (too many a second) or 50430 (too many at once): nothing was done, and it may be asked again.
    Limited,
    /// Our credential or its rights: nothing was done.
    Denied,
    /// A risk code: the content was refused, before or after it was made.
    Risk,
    /// Another error of the client's.
    Client,
    /// 5xx, 50500, 50501: it may or may not have been done.
    Failure,
    /// Nothing that we understand.
    Unreadable,
}

impl Answer {
    fn of(status: StatusCode, code: Option<i64>) -> Self {
        match code {
            Some(10_000) if status.is_success() => Self::Success,
            Some(50_429 | 50_430) => Self::Limited,
            Some(50_400) => Self::Denied,
            Some(50_500 | 50_501) => Self::Failure,
            Some(50_401..=50_499 | 50_502..=50_599) => Self::Risk,
            _ => match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied,
                StatusCode::TOO_MANY_REQUESTS => Self::Limited,
                _ if status.is_client_error() => Self::Client,
                _ if status.is_server_error() => Self::Failure,
                _ => Self::Unreadable,
            },
        }
    }

    const fn outcome(self) -> Outcome {
        match self {
            Self::Success => Outcome::Succeeded,
            Self::Limited | Self::Denied => Outcome::Refused,
            Self::Risk | Self::Client => Outcome::Rejected,
            Self::Failure | Self::Unreadable => Outcome::Unknown,
        }
    }

    /// Only a refused credential or signature speaks against the account: those come as a 401 of the gateway, before the
    /// service. 50400 also means that the service was not bought or the content not allowed, so it passes through.
    fn symptom(self, status: StatusCode, code: Option<i64>) -> Symptom {
        match self {
            Self::Success => Symptom::Healthy,
            Self::Limited => Symptom::Limited,
            Self::Denied if status == StatusCode::UNAUTHORIZED && code != Some(50_400) => Symptom::Unauthorized,
            Self::Failure => Symptom::Failing,
            Self::Denied | Self::Risk | Self::Client | Self::Unreadable => Symptom::Neutral,
        }
    }

    const fn again(self) -> Again {
        match self {
            Self::Limited => Again::Refused,
            Self::Failure => Again::Failed,
            Self::Success | Self::Denied | Self::Risk | Self::Client | Self::Unreadable => Again::No,
        }
    }
}

/// What an answer to a query tells of its task; `None` if it tells nothing.
fn state(operation: Operation, answer: Answer, status: Option<&str>) -> Option<TaskState> {
    match (answer, operation) {
        (Answer::Success, Operation::CancelTask) => Some(TaskState::Cancelled),
        (Answer::Success, _) => match status? {
            "in_queue" => Some(TaskState::InQueue),
            "generating" => Some(TaskState::Generating),
            "done" => Some(TaskState::Done),
            "not_found" => Some(TaskState::NotFound),
            "expired" => Some(TaskState::Expired),
            "cancelled" => Some(TaskState::Cancelled),
            _ => None,
        },
        (Answer::Risk, operation) if operation != Operation::CancelTask => Some(TaskState::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(status: u16, body: &str) -> Verdict {
        read(
            Operation::Sync2AsyncSubmitTask,
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
        )
    }

    fn query(status: u16, body: &str) -> Verdict {
        read(
            Operation::Sync2AsyncGetResult,
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
        )
    }

    #[test]
    fn a_submit_succeeds_with_code_10000_and_a_task_id() {
        let verdict = submit(
            200,
            r#"{"code":10000,"data":{"task_id":"7392616336519610409"},"status":10000}"#,
        );
        assert_eq!(verdict.outcome, Outcome::Succeeded);
        assert_eq!(verdict.task_id.as_deref(), Some("7392616336519610409"));
    }

    #[test]
    fn a_success_without_a_task_id_is_unknown() {
        for body in [
            r#"{"code":10000}"#,
            r#"{"code":10000,"data":{"task_id":""}}"#,
            r#"{"code":10000,"data":[]}"#,
        ] {
            assert_eq!(submit(200, body).outcome, Outcome::Unknown, "{body}");
        }
    }

    #[test]
    fn the_code_decides_whatever_the_status_says() {
        for (status, code, outcome) in [
            (200, 50_413, Outcome::Rejected),
            (400, 50_411, Outcome::Rejected),
            (500, 50_512, Outcome::Rejected),
            (429, 50_430, Outcome::Refused),
            (200, 50_429, Outcome::Refused),
            (400, 50_400, Outcome::Refused),
            (500, 50_500, Outcome::Unknown),
            (200, 50_501, Outcome::Unknown),
            (500, 10_000, Outcome::Unknown),
        ] {
            assert_eq!(
                submit(status, &format!(r#"{{"code":{code},"data":null}}"#)).outcome,
                outcome,
                "{status} {code}"
            );
        }
    }

    #[test]
    fn without_a_known_code_the_status_decides() {
        for (status, outcome) in [
            (400, Outcome::Rejected),
            (401, Outcome::Refused),
            (403, Outcome::Refused),
            (404, Outcome::Rejected),
            (429, Outcome::Refused),
            (302, Outcome::Unknown),
            (200, Outcome::Unknown),
            (502, Outcome::Unknown),
        ] {
            assert_eq!(submit(status, "<html>").outcome, outcome, "{status}");
        }
    }

    #[test]
    fn a_reply_that_is_no_json_object_cannot_pass() {
        for body in ["<html>", "", "[1]", r#"{"code":10000"#, "\"text\""] {
            assert_eq!(submit(200, body).form, Form::Other, "{body}");
        }
        assert_eq!(submit(500, r#" {"anything":1}"#).form, Form::Object);
    }

    #[test]
    fn a_task_is_finished_by_its_status_or_a_risk_code_but_never_by_a_limit_or_a_failure() {
        assert_eq!(
            query(200, r#"{"code":10000,"data":{"status":"done"}}"#).state,
            Some(TaskState::Done)
        );
        assert_eq!(
            query(200, r#"{"code":10000,"data":{"status":"not_found"}}"#).state,
            Some(TaskState::NotFound)
        );
        assert_eq!(
            query(400, r#"{"code":50511,"data":null}"#).state,
            Some(TaskState::Failed)
        );
        for code in [50_400, 50_429, 50_430, 50_500, 50_501] {
            assert_eq!(query(429, &format!(r#"{{"code":{code}}}"#)).state, None, "{code}");
        }
    }
}
