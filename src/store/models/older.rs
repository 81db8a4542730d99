//! Models as earlier versions wrote them: their prices knew tokens alone.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::model::catalogue::{Model, Target};
use crate::model::money::Price;

/// The version byte of such a row.
pub(super) const VERSION: u8 = 1;

/// One model.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Row {
    name: String,
    targets: Vec<Target>,
    context_length: Option<NonZeroU32>,
    max_tokens: Option<NonZeroU32>,
    price: Option<Tokens>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Tokens {
    currency: String,
    input: u64,
    output: u64,
}

impl From<Row> for Model {
    /// A price in something that is no currency was never taken.
    fn from(row: Row) -> Self {
        let price = row.price.and_then(|price| {
            Some(Price {
                currency: price.currency.parse().ok()?,
                input: price.input.min(Price::MOST),
                output: price.output.min(Price::MOST),
                cached: None,
                image: None,
                second: None,
            })
        });
        Self {
            name: row.name,
            targets: row.targets,
            context_length: row.context_length,
            max_tokens: row.max_tokens,
            price,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec;
    use crate::store::models::{TABLE, decode};

    #[test]
    fn a_row_of_the_first_version_is_read_with_the_price_it_had() {
        let row = Row {
            name: "m".to_owned(),
            targets: vec![Target {
                upstream: "openai".parse().unwrap(),
                model: "m-1".to_owned(),
                weight: None,
            }],
            context_length: NonZeroU32::new(8_000),
            max_tokens: None,
            price: Some(Tokens {
                currency: "USD".to_owned(),
                input: 150,
                output: 600,
            }),
        };
        let bytes = codec::encode_as(TABLE, VERSION, &row).unwrap();

        let model = decode(&bytes).unwrap();

        let price = model.price.unwrap();
        assert_eq!(
            (price.input, price.output, price.cached, price.image),
            (150, 600, None, None)
        );
        assert_eq!(
            (model.name.as_str(), model.context_length),
            ("m", NonZeroU32::new(8_000))
        );
    }
}
