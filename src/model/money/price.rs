//! What a model costs.

use serde::{Deserialize, Serialize};

use super::{Currency, Money};

/// What a model costs, in micro-units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The currency.
    pub currency: Currency,
    /// Of a million tokens of input.
    pub input: u64,
    /// Of a million tokens of output.
    pub output: u64,
    /// Of a million tokens of input that the upstream had in its cache; `None` where they cost as much as others.
    pub cached: Option<u64>,
    /// Of an image that is made.
    pub image: Option<u64>,
    /// Of a second of film that is made.
    pub second: Option<u64>,
}

/// What a call uses of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Units {
    /// Tokens of input, those out of a cache among them.
    pub input: u64,
    /// Of these, tokens out of the upstream's cache.
    pub cached: u64,
    /// Tokens of output.
    pub output: u64,
    /// Images.
    pub images: u64,
    /// Seconds of film.
    pub seconds: u64,
}

impl Price {
    /// The most that one part of a price may be: a million units of the currency. It keeps every sum far from overflow.
    pub const MOST: u64 = 1_000_000_000_000;

    /// What so much costs, rounded up to a whole micro-unit.
    #[must_use]
    pub fn of(&self, units: Units) -> Money {
        let cached = units.cached.min(units.input);
        let tokens = [
            (units.input - cached, self.input),
            (cached, self.cached.unwrap_or(self.input)),
            (units.output, self.output),
        ];
        let made = [
            (units.images, self.image.unwrap_or(0)),
            (units.seconds, self.second.unwrap_or(0)),
        ];
        let sum = |parts: &[(u64, u64)]| -> u128 {
            let products = parts
                .iter()
                .map(|(count, price)| u128::from(*count) * u128::from(*price));
            products.fold(0, u128::saturating_add)
        };
        let cost = sum(&tokens).div_ceil(MILLION).saturating_add(sum(&made));
        Money {
            currency: self.currency,
            microunits: u64::try_from(cost).unwrap_or(u64::MAX),
        }
    }

    /// Every part of it, by its name.
    #[must_use]
    pub const fn parts(&self) -> [(&'static str, Option<u64>); 5] {
        [
            ("price.input", Some(self.input)),
            ("price.output", Some(self.output)),
            ("price.cached", self.cached),
            ("price.image", self.image),
            ("price.second", self.second),
        ]
    }
}

const MILLION: u128 = 1_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price() -> Price {
        Price {
            currency: "USD".parse().unwrap(),
            input: 150_000,
            output: 600_000,
            cached: Some(75_000),
            image: Some(40_000),
            second: Some(100_000),
        }
    }

    fn cost(units: Units) -> u64 {
        price().of(units).microunits
    }

    #[test]
    fn tokens_cost_by_the_million_and_what_is_made_by_the_piece() {
        let million = Units {
            input: 1_000_000,
            output: 1_000_000,
            ..Units::default()
        };
        assert_eq!(cost(million), 750_000);
        let made = Units {
            images: 3,
            seconds: 5,
            ..Units::default()
        };
        assert_eq!(cost(made), 3 * 40_000 + 5 * 100_000);
        assert_eq!(cost(Units::default()), 0);
    }

    #[test]
    fn cached_input_has_a_price_of_its_own_or_that_of_input() {
        let units = Units {
            input: 1_000_000,
            cached: 400_000,
            ..Units::default()
        };
        assert_eq!(cost(units), 90_000 + 30_000);
        let plain = Price {
            cached: None,
            ..price()
        };
        assert_eq!(plain.of(units).microunits, 150_000);
    }

    #[test]
    fn a_fraction_of_a_micro_unit_is_a_whole_one() {
        let one = Units {
            input: 1,
            ..Units::default()
        };
        assert_eq!(cost(one), 1);
    }

    proptest! {
        #[test]
        fn no_count_overflows_and_more_never_costs_less(input: u64, cached: u64, output: u64, images: u64) {
            let units = Units { input, cached, output, images, seconds: 0 };
            let more = Units { output: output.saturating_add(1), ..units };
            prop_assert!(cost(more) >= cost(units));
        }
    }
}
