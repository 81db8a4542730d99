//! The context guard: a request that would fill its model's context is refused before it costs anything.
//!
//! The rule is the MegaLLM proxy's: a tenth of the context is left for the answer.

use std::num::NonZeroU32;

/// A request is too long for its model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "the context of the model {model:?} would be exceeded: about {current_tokens} tokens, of {limit} in all; start a \
     new conversation"
)]
pub struct ContextExceeded {
    /// The model, as the client named it.
    pub model: String,
    /// What the request is estimated at, in tokens.
    pub current_tokens: u64,
    /// Most tokens of question and answer together.
    pub limit: NonZeroU32,
    /// The estimate in percent of the limit, rounded to two places.
    pub usage_percentage: f64,
}

/// Checks a request of `current_tokens`, as [`super::estimate::input`] counts them, against its model's `limit`.
///
/// # Errors
/// [`ContextExceeded`] when it would take more than 90 % of it.
pub fn check(model: &str, current_tokens: u64, limit: NonZeroU32) -> Result<(), ContextExceeded> {
    let usable = u64::from(limit.get()) * USABLE_PERCENT / 100;
    if current_tokens <= usable {
        return Ok(());
    }
    Err(ContextExceeded {
        model: model.to_owned(),
        current_tokens,
        limit,
        usage_percentage: percentage(current_tokens, limit),
    })
}

#[expect(clippy::cast_precision_loss, reason = "two decimal places need no 53 bits")]
fn percentage(tokens: u64, limit: NonZeroU32) -> f64 {
    (tokens as f64 / f64::from(limit.get()) * 10_000.0).round() / 100.0
}

const USABLE_PERCENT: u64 = 90;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: NonZeroU32 = NonZeroU32::new(8_000).unwrap();

    #[test]
    fn nine_tenths_of_the_context_may_be_used() {
        assert_eq!(check("llama3-8b-instruct", 0, LIMIT), Ok(()));
        assert_eq!(check("llama3-8b-instruct", 7_200, LIMIT), Ok(()));
        assert!(check("llama3-8b-instruct", 7_201, LIMIT).is_err());
    }

    #[test]
    fn the_refusal_says_how_much_was_asked_of_how_much() {
        assert_eq!(
            check("llama3-8b-instruct", 9_001, LIMIT),
            Err(ContextExceeded {
                model: "llama3-8b-instruct".to_owned(),
                current_tokens: 9_001,
                limit: LIMIT,
                usage_percentage: 112.51,
            })
        );
    }

    #[test]
    fn a_usable_part_that_is_not_whole_is_rounded_down() {
        let limit = NonZeroU32::new(11).unwrap();
        assert!(check("m", 9, limit).is_ok());
        assert!(check("m", 10, limit).is_err());
    }
}
