//! What a reply means, for the call and for the account that got it.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::lenient::lenient;
use crate::model::outcome::Outcome;
use crate::upstream::{Again, Form, Symptom, Verdict};

/// Reads a whole reply. It never fails: what cannot be understood is [`Outcome::Unknown`].
#[must_use]
pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Verdict {
    let form = if is_plain(headers) { Form::of(body) } else { Form::Other };
    let problem = if status.is_success() {
        Problem::default()
    } else {
        Problem::of(body)
    };
    let symptom = match (status.as_u16(), form) {
        (200..=299, Form::Object) => Symptom::Healthy,
        (402, _) => Symptom::Exhausted,
        (400..=499, _) if problem.is_of_money(status) => Symptom::Exhausted,
        (401, _) => Symptom::Unauthorized,
        (403, _) => Symptom::Forbidden,
        (429, _) if problem.is_too_large() => Symptom::Neutral,
        (429, _) => Symptom::Limited,
        (500..=599, _) => Symptom::Failing,
        _ => Symptom::Neutral,
    };
    let outcome = match symptom {
        Symptom::Healthy => Outcome::Succeeded,
        Symptom::Unauthorized | Symptom::Forbidden | Symptom::Exhausted | Symptom::Limited => Outcome::Refused,
        Symptom::Neutral if status.is_client_error() => Outcome::Rejected,
        Symptom::Neutral | Symptom::Failing => Outcome::Unknown,
    };
    Verdict {
        outcome,
        form,
        code: problem.number(),
        task_id: None,
        state: None,
        upstream_request: upstream_request(headers),
        again: match symptom {
            Symptom::Limited => Again::Refused,
            Symptom::Failing => Again::Failed,
            _ => Again::No,
        },
        symptom,
    }
}

/// Reads the head of a reply; `None` unless a stream of events begins behind it, which may pass as it comes.
///
/// The verdict is that of the head: how the stream ends is for [`super::stream::Ending`] to say.
#[must_use]
pub fn opened(status: StatusCode, headers: &HeaderMap) -> Option<Verdict> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = kind.split(';').next().unwrap_or_default().trim_ascii();
    let streams = status == StatusCode::OK && essence.eq_ignore_ascii_case("text/event-stream") && is_plain(headers);
    streams.then(|| Verdict {
        outcome: Outcome::Succeeded,
        form: Form::Object,
        code: None,
        task_id: None,
        state: None,
        upstream_request: upstream_request(headers),
        again: Again::No,
        symptom: Symptom::Healthy,
    })
}

/// Whether the body is as it is, not compressed: nobody asked for that, and neither we nor the client may be able to
/// read it.
fn is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn upstream_request(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    Some(id.to_owned())
}

/// An error reply: OpenAI's `{"error":{…}}`, with the error as a text, or with its parts at the top.
#[derive(Default, Deserialize)]
struct ErrorReply {
    #[serde(default, deserialize_with = "lenient")]
    error: Option<Stated>,
    #[serde(flatten)]
    top: Problem,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stated {
    Parts(Problem),
    Text(String),
}

/// What an upstream says went wrong.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    code: Option<Word>,
    #[serde(rename = "type", default)]
    kind: Option<Word>,
    #[serde(default)]
    message: Option<Word>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(i64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Problem {
    fn of(body: &[u8]) -> Self {
        let ErrorReply { error, top } = serde_json::from_slice(body).unwrap_or_default();
        match error {
            Some(Stated::Parts(problem)) => problem,
            Some(Stated::Text(message)) => Self {
                message: Some(Word::Text(message)),
                ..top
            },
            None => top,
        }
    }

    /// Its number, where the upstream counts its errors.
    fn number(&self) -> Option<i64> {
        match self.code {
            Some(Word::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// Whether the account has no money or plan left. A code that means it does so under any status; a message only
    /// where it can be nothing else than a refusal, and unless it speaks of a rate.
    fn is_of_money(&self, status: StatusCode) -> bool {
        let [code, kind, message] = [&self.code, &self.kind, &self.message].map(|word| text(word.as_ref()));
        if [code, kind]
            .iter()
            .any(|name| SPENT_CODES.iter().any(|spent| name.eq_ignore_ascii_case(spent)))
        {
            return true;
        }
        let message = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
        refused && says(&SPENT_WORDS) && !says(&RATE_WORDS) && !code.starts_with(THROTTLED)
    }

    /// Whether the request alone is more than the limit ever lets through, so that waiting would not help.
    ///
    /// OpenAI's words: "Request too large for gpt-4 in organization … on tokens per min (TPM): Limit 10000, Requested
    /// 12000. The input or output tokens must be reduced in order to run successfully."
    fn is_too_large(&self) -> bool {
        text(self.message.as_ref())
            .to_lowercase()
            .starts_with("request too large")
    }
}

fn text(word: Option<&Word>) -> &str {
    match word {
        Some(Word::Text(text)) => text,
        _ => "",
    }
}

/// Codes and types of OpenAI, DashScope and those who follow them.
const SPENT_CODES: [&str; 5] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "Arrearage",
];

/// What messages say of an account without money, in lower case.
const SPENT_WORDS: [&str; 4] = ["quota", "余额不足", "arrearage", "insufficient balance"];

/// What messages say that name the quota of a minute: it fills by itself.
const RATE_WORDS: [&str; 4] = ["per minute", "per second", "rate limit", "rate_limit"];

/// How DashScope's codes begin that limit the rate (`Throttling.AllocationQuota`), though their messages say quota.
const THROTTLED: &str = "Throttling";

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn verdict(status: u16, body: &str) -> Verdict {
        read(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
        )
    }

    fn meaning(status: u16, body: &str) -> (Outcome, Symptom) {
        let Verdict { outcome, symptom, .. } = verdict(status, body);
        (outcome, symptom)
    }

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn the_status_decides_what_becomes_of_the_call_and_of_the_account() {
        for (status, outcome, symptom) in [
            (200, Outcome::Succeeded, Symptom::Healthy),
            (201, Outcome::Succeeded, Symptom::Healthy),
            (302, Outcome::Unknown, Symptom::Neutral),
            (400, Outcome::Rejected, Symptom::Neutral),
            (401, Outcome::Refused, Symptom::Unauthorized),
            (402, Outcome::Refused, Symptom::Exhausted),
            (403, Outcome::Refused, Symptom::Forbidden),
            (404, Outcome::Rejected, Symptom::Neutral),
            (422, Outcome::Rejected, Symptom::Neutral),
            (429, Outcome::Refused, Symptom::Limited),
            (500, Outcome::Unknown, Symptom::Failing),
            (529, Outcome::Unknown, Symptom::Failing),
        ] {
            assert_eq!(
                meaning(status, r#"{"error":{"message":"x"}}"#),
                (outcome, symptom),
                "{status}"
            );
        }
    }

    #[test]
    fn a_success_that_is_no_json_object_is_unknown_and_speaks_of_no_account() {
        for body in ["<html>", "", "[1]", r#"{"choices":["#] {
            assert_eq!(meaning(200, body), (Outcome::Unknown, Symptom::Neutral), "{body}");
            assert_eq!(verdict(200, body).form, Form::Other);
        }
        let zipped = head(&[("content-encoding", "gzip")]);
        let verdict = read(StatusCode::OK, &zipped, b"{}");
        assert_eq!((verdict.outcome, verdict.form), (Outcome::Unknown, Form::Other));
    }

    #[test]
    fn a_code_that_means_money_exhausts_the_account_under_any_status_of_the_clients() {
        for (status, body) in [
            (
                429,
                r#"{"error":{"message":"You exceeded it","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            ),
            (
                429,
                r#"{"error":{"message":null,"type":"insufficient_quota","code":null}}"#,
            ),
            (400, r#"{"error":{"code":"billing_hard_limit_reached"}}"#),
            (
                400,
                r#"{"code":"Arrearage","message":"Access denied.","request_id":"1"}"#,
            ),
        ] {
            assert_eq!(meaning(status, body), (Outcome::Refused, Symptom::Exhausted), "{body}");
        }
        assert_eq!(
            meaning(500, r#"{"error":{"code":"insufficient_quota"}}"#),
            (Outcome::Unknown, Symptom::Failing)
        );
    }

    #[test]
    fn a_message_of_a_refusal_that_means_money_exhausts_the_account_too() {
        for (status, message) in [
            (403, "The free Quota of this key is used up."),
            (403, "用户余额不足，请充值"),
            (429, "Arrearage: your account is overdue."),
        ] {
            let body = format!(r#"{{"error":{{"message":"{message}","code":1113}}}}"#);
            assert_eq!(meaning(status, &body), (Outcome::Refused, Symptom::Exhausted), "{body}");
            let text = format!(r#"{{"error":"{message}"}}"#);
            assert_eq!(meaning(status, &text).1, Symptom::Exhausted, "{text}");
            assert_eq!(meaning(400, &body), (Outcome::Rejected, Symptom::Neutral), "{body}");
        }
    }

    #[test]
    fn a_quota_that_fills_by_itself_is_a_limit() {
        for body in [
            r#"{"error":{"message":"Quota exceeded: 15 requests per minute"}}"#,
            r#"{"code":"Throttling.AllocationQuota","message":"Allocated quota exceeded, please increase your quota limit."}"#,
        ] {
            assert_eq!(meaning(429, body), (Outcome::Refused, Symptom::Limited), "{body}");
        }
    }

    #[test]
    fn a_request_that_no_wait_lets_through_is_the_clients_and_not_a_limit() {
        let body = r#"{"error":{"message":"Request too large for gpt-4 in organization org-1 on tokens per min (TPM): Limit 10000, Requested 12000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
        assert_eq!(meaning(429, body), (Outcome::Rejected, Symptom::Neutral));
        assert_eq!(verdict(429, body).again, Again::No);
    }

    #[test]
    fn an_error_of_any_shape_is_read_as_far_as_it_goes() {
        assert_eq!(
            verdict(400, r#"{"error":{"code":1210,"message":["x"],"type":{}}}"#).code,
            Some(1210)
        );
        assert_eq!(verdict(400, r#"{"error":{"code":"1210"}}"#).code, None);
        assert_eq!(verdict(400, r#"{"code":7,"error":null}"#).code, Some(7));
        for body in [
            r#"{"error":7}"#,
            r#"{"error":[{}]}"#,
            "[]",
            "<html>",
            r#"{"code":1,"code":2}"#,
        ] {
            assert_eq!(meaning(403, body), (Outcome::Refused, Symptom::Forbidden), "{body}");
        }
    }

    #[test]
    fn only_a_limit_may_be_asked_again_for_a_paid_call() {
        for (status, again) in [
            (200, Again::No),
            (401, Again::No),
            (429, Again::Refused),
            (503, Again::Failed),
        ] {
            assert_eq!(verdict(status, "{}").again, again, "{status}");
        }
    }

    #[test]
    fn a_stream_begins_with_200_and_events_that_are_not_compressed() {
        let events = [
            ("content-type", "Text/Event-Stream; charset=utf-8"),
            ("x-request-id", "req-7"),
        ];
        let verdict = opened(StatusCode::OK, &head(&events)).unwrap();
        assert_eq!(
            (verdict.outcome, verdict.symptom),
            (Outcome::Succeeded, Symptom::Healthy)
        );
        assert_eq!(verdict.upstream_request.as_deref(), Some("req-7"));
        assert_eq!(opened(StatusCode::TOO_MANY_REQUESTS, &head(&events)), None);
        assert_eq!(
            opened(StatusCode::OK, &head(&[("content-type", "application/json")])),
            None
        );
        assert_eq!(opened(StatusCode::OK, &HeaderMap::new()), None);
        let zipped = [("content-type", "text/event-stream"), ("content-encoding", "br")];
        assert_eq!(opened(StatusCode::OK, &head(&zipped)), None);
    }
}
