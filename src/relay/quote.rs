//! What a call may cost, by what it asks for and what its model costs.

use serde::Deserialize;

use super::error::RelayError;
use crate::model::call::Call;
use crate::model::catalogue::{Catalogue, Route};
use crate::model::control::{self, Spanned, Value};
use crate::model::media::MediaModel;
use crate::model::money::{Label, Quote, Units};
use crate::model::operation::{Operation, Protocol};
use crate::upstream::openai::estimate;

/// Whether the budget of a key allows the model at all: it must have a price in the budget's currency.
///
/// # Errors
/// [`RelayError::Unpriced`].
pub(super) fn check_price(call: &Call, route: &Route) -> Result<(), RelayError> {
    let Some(budget) = call.caller.limits.budget.filter(|_| call.operation.class().is_paid()) else {
        return Ok(());
    };
    match route.price {
        Some(price) if price.currency == budget.currency => Ok(()),
        _ => Err(RelayError::Unpriced {
            model: route.model.clone(),
            currency: budget.currency,
        }),
    }
}

/// What a paid call may cost at most, as far as that can be known: tokens are estimated from its text, and so many are
/// added for the answer as it allows.
pub(super) fn quote(call: &Call, route: &Route, catalogue: &Catalogue) -> Quote {
    let is_known = catalogue.models.contains_key(&route.model)
        || (call.operation.protocol() == Protocol::Volcengine && MediaModel::named(&route.model).is_some());
    Quote {
        label: if is_known { Label::Known } else { Label::IfAnswered },
        price: route.price,
        expected: match call.operation {
            Operation::ImagesGenerations => Units {
                images: choices(&call.body),
                ..Units::default()
            },
            operation if operation.protocol() == Protocol::Volcengine => made(&route.model, &call.body),
            // Only a call with a price pays for the estimate.
            _ if route.price.is_some() => tokens(call, route),
            _ => Units::default(),
        },
    }
}

/// The tokens of a call in words.
fn tokens(call: &Call, route: &Route) -> Units {
    let input = estimate::input(&call.body).min(MOST_TOKENS);
    if call.operation == Operation::Embeddings {
        return Units {
            input,
            ..Units::default()
        };
    }
    let allowed = allowed(&call.body).map(|asked| match route.max_tokens {
        Some(cap) => asked.min(cap.get().into()),
        None => asked,
    });
    let beside_the_question = |context: u64| context.saturating_sub(input);
    let room = route
        .context_length
        .map(|context| beside_the_question(context.get().into()));
    let answer = allowed.or(room).unwrap_or(USUAL_ANSWER).min(MOST_TOKENS);
    Units {
        input,
        output: answer.saturating_mul(choices(&call.body)),
        ..Units::default()
    }
}

/// The most tokens that a request allows for an answer, by whichever name.
fn allowed(body: &[u8]) -> Option<u64> {
    let control = control::scan(body).ok()?;
    let number = |field: &Option<Spanned<Value<'_>>>| field.as_ref().and_then(|field| field.value.as_integer());
    let named = [
        &control.max_tokens,
        &control.max_completion_tokens,
        &control.max_output_tokens,
    ];
    let most = named.into_iter().filter_map(number).max()?;
    u64::try_from(most).ok()
}

/// How many answers, or images, a request asks for.
fn choices(body: &[u8]) -> u64 {
    let asked = control::scan(body).ok().and_then(|control| control.n);
    let number = asked.and_then(|field| field.value.as_integer()).unwrap_or(1);
    u64::try_from(number).unwrap_or(1).clamp(1, MOST_CHOICES)
}

/// What a submit to Volcengine makes: an image, or a film of so many seconds.
fn made(req_key: &str, body: &[u8]) -> Units {
    match MediaModel::named(req_key) {
        Some(MediaModel::Image(_)) => Units {
            images: 1,
            ..Units::default()
        },
        Some(MediaModel::Video(_)) => Units {
            seconds: seconds(body),
            ..Units::default()
        },
        None => Units::default(),
    }
}

/// How long a film is: 24 frames a second and one, so that 121 are five seconds and 241 are ten.
fn seconds(body: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Film {
        frames: Option<u64>,
    }
    let asked = serde_json::from_slice::<Film>(body).ok().and_then(|film| film.frames);
    let frames = asked.unwrap_or(USUAL_FRAMES).min(MOST_FRAMES);
    (frames.saturating_mul(2) + FRAMES_PER_SECOND)
        .div_euclid(2 * FRAMES_PER_SECOND)
        .max(1)
}

/// What an answer is taken to need where the request names no bound and the model's context is not known.
const USUAL_ANSWER: u64 = 4096;

/// No model reads or writes more at once.
const MOST_TOKENS: u64 = (1 << 32) - 1;

/// OpenAI's own bound of `n`.
const MOST_CHOICES: u64 = 128;

/// Volcengine's default (documents 1777001 and 1792710).
const USUAL_FRAMES: u64 = 121;

const FRAMES_PER_SECOND: u64 = 24;

/// A day of film: no number overflows.
const MOST_FRAMES: u64 = 86_400 * FRAMES_PER_SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_lasts_as_long_as_its_frames_say_and_five_seconds_unless_told() {
        for (body, length) in [
            (r#"{"frames":121}"#, 5),
            (r#"{"frames":241}"#, 10),
            ("{}", 5),
            (r#"{"frames":"241"}"#, 5),
            (r#"{"frames":0}"#, 1),
        ] {
            let expected = Units {
                seconds: length,
                ..Units::default()
            };
            assert_eq!(made("jimeng_t2v_v30", body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_submit_of_a_picture_makes_one_and_of_what_nobody_knows_nothing() {
        assert_eq!(made("jimeng_t2i_v40", b"{}").images, 1);
        assert_eq!(made("unheard_of", b"{}"), Units::default());
    }

    #[test]
    fn an_answer_is_as_long_as_any_of_its_bounds_allows() {
        assert_eq!(allowed(br#"{"max_tokens":7,"max_completion_tokens":9}"#), Some(9));
        assert_eq!(allowed(br#"{"max_output_tokens":3}"#), Some(3));
        assert_eq!(allowed(b"{}"), None);
        assert_eq!(
            (choices(br#"{"n":3}"#), choices(b"{}"), choices(br#"{"n":-1}"#)),
            (3, 1, 1)
        );
    }
}
