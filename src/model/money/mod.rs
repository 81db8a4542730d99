//! Money: amounts are whole micro-units (millionths of the currency's unit), so that sums are exact.

mod budget;
mod price;
mod quote;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use budget::{Budget, OverBudget, Period, Spending};
pub use price::{Price, Units};
pub use quote::{Hold, Label, Quote};

/// A currency, by the three capital letters of ISO 4217. Which ones exist is not looked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "[u8; 3]", into = "[u8; 3]")]
pub struct Currency([u8; 3]);

/// An amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Of what.
    pub currency: Currency,
    /// How much, in millionths of its unit.
    pub microunits: u64,
}

/// A text that is no currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, such as USD")]
pub struct ParseCurrencyError;

impl Currency {
    /// Its letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Its letters, for keys of rows.
    #[must_use]
    pub const fn bytes(self) -> [u8; 3] {
        self.0
    }
}

impl TryFrom<[u8; 3]> for Currency {
    type Error = ParseCurrencyError;

    fn try_from(letters: [u8; 3]) -> Result<Self, ParseCurrencyError> {
        let fits = letters.iter().all(u8::is_ascii_uppercase);
        fits.then_some(Self(letters)).ok_or(ParseCurrencyError)
    }
}

impl From<Currency> for [u8; 3] {
    fn from(currency: Currency) -> Self {
        currency.0
    }
}

impl FromStr for Currency {
    type Err = ParseCurrencyError;

    fn from_str(text: &str) -> Result<Self, ParseCurrencyError> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| ParseCurrencyError)?;
        letters.try_into()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("USD".parse::<Currency>().unwrap().to_string(), "USD");
        for text in ["", "usd", "US", "USDT", "U D", "日"] {
            assert!(text.parse::<Currency>().is_err(), "{text:?}");
        }
    }
}
