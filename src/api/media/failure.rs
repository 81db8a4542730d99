//! Why an item made nothing, in the provider's words where it had any.

use crate::api::error::{ApiError, Code};
use crate::jobs::ItemReport;
use crate::model::job::ItemState;
use crate::model::media::{NoOutput, Output};

/// Why an item made nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The provider's code, or a word of ours.
    pub(super) code: String,
    /// A sentence: the provider's own, if it wrote one.
    pub(super) message: String,
    state: ItemState,
    intent: Option<u64>,
}

impl Failure {
    /// Of an item that has ended without success.
    pub(super) fn of(report: &ItemReport) -> Self {
        let (state, intent) = (report.item.state, report.item.intent);
        let answer = report.result.as_ref().map(|reply| Output::read(&reply.body));
        let (code, message) = match (answer, &report.item.error) {
            (Some(Err(NoOutput::Failed { code, message })), _) if !message.is_empty() => (code.to_string(), message),
            (_, Some(error)) => (error.code.clone(), error.message.clone()),
            (Some(Err(other)), None) => ("UPSTREAM_FAILED".to_owned(), other.to_string()),
            (_, None) => (state.label().to_uppercase(), format!("it was {}", state.label())),
        };
        Self {
            code,
            message,
            state,
            intent,
        }
    }

    /// What a caller who waited for the item is answered: what the provider rejects is the caller's to mend.
    pub(super) fn answer(&self) -> ApiError {
        let is_limit = matches!(self.code.as_str(), "50429" | "50430" | "429");
        let code = match (self.state, Code::named(&self.code)) {
            (_, Some(code)) => code,
            (ItemState::Dead, None) if is_limit => Code::RateLimited,
            (ItemState::Failed, None) if self.code.bytes().all(|byte| byte.is_ascii_digit()) => Code::ValidationFailed,
            (ItemState::Cancelled, None) => Code::ValidationFailed,
            (_, None) => Code::UpstreamFailed,
        };
        let is_ours = code.name() == self.code;
        let message = if is_ours {
            self.message.clone()
        } else {
            format!("{}: {}", self.code, self.message)
        };
        ApiError::new(code, message).committed(self.intent)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::model::clock::Timestamp;
    use crate::model::job::Item;
    use crate::model::job::item::ItemError;
    use crate::model::operation::Operation;
    use crate::model::reply::Reply;

    fn report(state: ItemState, error: Option<(&str, &str)>, answer: Option<&'static str>) -> ItemReport {
        let item = Item::new(Operation::Sync2AsyncSubmitTask, None, Timestamp::EPOCH, None);
        ItemReport {
            index: 0,
            item: Item {
                state,
                error: error.map(|(code, message)| ItemError {
                    code: code.to_owned(),
                    message: message.to_owned(),
                }),
                ..item
            },
            result: answer.map(|body| Reply {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: Bytes::from_static(body.as_bytes()),
            }),
        }
    }

    fn status(state: ItemState, code: &str) -> u16 {
        Failure::of(&report(state, Some((code, "why")), None))
            .answer()
            .status()
            .as_u16()
    }

    #[test]
    fn the_providers_words_go_before_ours() {
        let answer = r#"{"code":50511,"message":"Post Img Risk Not Pass","data":null}"#;
        let failed = report(
            ItemState::Failed,
            Some(("50511", "the task failed at the provider")),
            Some(answer),
        );
        let failure = Failure::of(&failed);
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("50511", "Post Img Risk Not Pass")
        );
        assert_eq!(failure.answer().status(), 400);
    }

    #[test]
    fn what_the_provider_rejects_is_the_callers_to_mend_and_nothing_else_is() {
        for (state, code, expected) in [
            (ItemState::Failed, "50412", 400),
            (ItemState::Failed, "KEY_REVOKED", 401),
            (ItemState::Failed, "MODEL_DENIED", 403),
            (ItemState::Failed, "TASK_TIMEOUT", 502),
            (ItemState::Dead, "50430", 429),
            (ItemState::Dead, "50400", 502),
            (ItemState::Dead, "UPSTREAM_TIMEOUT", 504),
            (ItemState::Unknown, "500", 502),
        ] {
            assert_eq!(status(state, code), expected, "{state:?} {code}");
        }
    }

    #[test]
    fn what_was_cancelled_says_so() {
        let failure = Failure::of(&report(ItemState::Cancelled, None, None));
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("CANCELLED", "it was cancelled")
        );
    }
}
