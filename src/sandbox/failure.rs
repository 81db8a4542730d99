//! The documented ways in which Volcengine's service says no.

/// A way in which the service refuses a call or a task fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    /// `code` and `status` in the envelope.
    pub(super) code: u32,
    /// The HTTP status.
    pub(super) status: u16,
    /// `message` in the envelope.
    pub(super) message: &'static str,
    /// When it comes to light.
    pub(super) moment: Moment,
}

/// When a [`Failure`] comes to light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The submit is refused.
    Submit,
    /// The task ends with it.
    Result,
}

impl Failure {
    /// The failure that a prompt asks for: with the word `forbidden`, or `fail-` and a documented code.
    pub(super) fn asked_for(prompt: &str) -> Option<&'static Self> {
        let code = match prompt.split_once("fail-") {
            Some((_, rest)) => rest.get(..5)?.parse().ok()?,
            None if prompt.contains("forbidden") => 50412,
            None => return None,
        };
        Self::documented(code)
    }

    /// The failure with this code, if Volcengine's documents list it.
    pub(super) fn documented(code: u32) -> Option<&'static Self> {
        FAILURES.iter().find(|failure| failure.code == code)
    }

    /// What a task ends with that was told to end with `code`, whether or not the documents list it.
    pub(super) fn told(code: u32) -> Self {
        Self::documented(code)
            .copied()
            .unwrap_or(Self::at_result(code, 500, "told to fail"))
    }

    /// One that refuses the submit.
    pub(super) const fn at_submit(code: u32, status: u16, message: &'static str) -> Self {
        Self {
            code,
            status,
            message,
            moment: Moment::Submit,
        }
    }

    /// One that the task ends with.
    const fn at_result(code: u32, status: u16, message: &'static str) -> Self {
        Self {
            code,
            status,
            message,
            moment: Moment::Result,
        }
    }
}

/// The codes of Volcengine's documents, with the HTTP status and message that they give. 50400 is not among them:
/// jimeng-relay's authors met it where an account had no right to a `req_key`.
const FAILURES: &[Failure] = &[
    Failure::at_submit(50400, 400, "Access Denied"),
    Failure::at_submit(50411, 400, "Pre Img Risk Not Pass"),
    Failure::at_result(50511, 400, "Post Img Risk Not Pass"),
    Failure::at_submit(50412, 400, "Text Risk Not Pass"),
    Failure::at_result(50512, 400, "Post Text Risk Not Pass"),
    Failure::at_submit(50413, 400, "Post Text Risk Not Pass"),
    Failure::at_result(50516, 400, "Post Video Risk Not Pass"),
    Failure::at_result(50517, 400, "Post Audio Risk Not Pass"),
    Failure::at_submit(50518, 400, "Pre Img Copyright Not Pass"),
    Failure::at_result(50519, 400, "Post Img Copyright Not Pass"),
    Failure::at_submit(50520, 400, "Risk Internal Error"),
    Failure::at_submit(50521, 400, "Antidirt Internal Error"),
    Failure::at_submit(50522, 400, "Image Copyright Internal Error"),
    Failure::at_submit(50429, 429, "Request Has Reached API Limit, Please Try Later"),
    Failure::at_submit(50430, 429, "Request Has Reached API Concurrent Limit, Please Try Later"),
    Failure::at_submit(50500, 500, "Internal Error"),
    Failure::at_submit(50501, 500, "Internal RPC Error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_asks_for_a_failure_by_word_or_by_code() {
        let code = |prompt| Failure::asked_for(prompt).map(|failure| failure.code);
        assert_eq!(code("a forbidden cat"), Some(50412));
        assert_eq!(code("a cat, fail-50511 please"), Some(50511));
        assert_eq!(code("fail-99999"), None);
        assert_eq!(code("fail-5"), None);
        assert_eq!(code("a cat"), None);
    }
}
