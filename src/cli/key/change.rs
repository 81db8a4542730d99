//! What a key may do, as the flags of `key create` and `key update` say it.

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cli::error::CliError;
use crate::model::clock::Timestamp;
use crate::model::key::{Scheme, Scope};

/// What a key may do. What is not given stays as the server decides.
#[derive(Debug, Default, Args, Serialize)]
pub(super) struct Grant {
    /// What it is for, several by commas
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scopes())]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    /// How it proves itself, several by commas
    #[arg(long = "scheme", value_name = "SCHEME", value_delimiter = ',', value_parser = schemes())]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    schemes: Vec<String>,
    /// A model (`req_key`) that it may use, several by commas
    #[arg(long = "model", value_name = "MODEL", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
    #[command(flatten)]
    #[serde(skip_serializing_if = "Limits::is_empty")]
    limits: Limits,
}

/// What a key may take at once and in a length of time; what is missing is as the server decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(super) struct Limits {
    /// Submits in flight at once, instead of `PER_KEY_MAX_CONCURRENT`
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) concurrency: Option<u32>,
    /// Submits that may wait for a place, instead of `PER_KEY_MAX_QUEUE`
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<u32>,
    /// Submits and calls in any minute
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requests_per_minute: Option<u32>,
    /// Submits and calls in any 24 hours
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requests_per_day: Option<u32>,
    /// Tokens of calls in any minute
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tokens_per_minute: Option<u64>,
    /// What it may spend by UTC, in millionths, as USD,day=5000000,month=100000000
    #[arg(long, value_name = "CURRENCY,day=N,month=N", value_parser = budget)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) budget: Option<Budget>,
}

/// What a key may spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budget {
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day_microunits: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    month_microunits: Option<u64>,
}

impl Limits {
    /// Whether all is as the server decides.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What changes about a key: new values, and those that are taken away.
#[derive(Debug, Args)]
pub(super) struct Change {
    /// What you call it
    #[arg(long, allow_hyphen_values = true)]
    description: Option<String>,
    /// When it expires, as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    #[command(flatten)]
    grant: Grant,
    /// Take a value away, several by commas: no expiry, all models, the server's limits
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    clear: Vec<Field>,
}

/// A value of a key that it can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Field {
    Description,
    ExpiresAt,
    Models,
    Concurrency,
    Queue,
    RequestsPerMinute,
    RequestsPerDay,
    TokensPerMinute,
    Budget,
}

impl Change {
    /// Whether a limit is given or taken away.
    pub(super) fn has_limits(&self) -> bool {
        let cleared = |field: &Field| !matches!(field, Field::Description | Field::ExpiresAt | Field::Models);
        !self.grant.limits.is_empty() || self.clear.iter().any(cleared)
    }

    /// The change to a key that has `limits`, as the admin interface wants it: what is missing stays, what is null
    /// goes.
    ///
    /// # Errors
    /// [`CliError::Usage`] where nothing changes, or where a value is both given and taken away.
    pub(super) fn into_patch(self, limits: Limits) -> Result<Value, CliError> {
        let has_limits = self.has_limits();
        let Grant {
            scopes,
            schemes,
            models,
            limits: given,
        } = self.grant;
        let given_values = [
            ("description", self.description.map(Value::from)),
            ("expires_at", self.expires_at.map(|moment| moment.to_string().into())),
            ("scopes", (!scopes.is_empty()).then(|| scopes.into())),
            ("schemes", (!schemes.is_empty()).then(|| schemes.into())),
            ("models", (!models.is_empty()).then(|| models.into())),
        ];
        let mut patch: Map<String, Value> = given_values
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
            .collect();
        let mut limits = Limits {
            concurrency: given.concurrency.or(limits.concurrency),
            queue: given.queue.or(limits.queue),
            requests_per_minute: given.requests_per_minute.or(limits.requests_per_minute),
            requests_per_day: given.requests_per_day.or(limits.requests_per_day),
            tokens_per_minute: given.tokens_per_minute.or(limits.tokens_per_minute),
            budget: given.budget.clone().or(limits.budget),
        };
        for field in self.clear {
            let contradicts = match field {
                Field::Description => clear(&mut patch, "description"),
                Field::ExpiresAt => clear(&mut patch, "expires_at"),
                Field::Models => clear(&mut patch, "models"),
                Field::Concurrency => lift(&mut limits.concurrency, given.concurrency.as_ref()),
                Field::Queue => lift(&mut limits.queue, given.queue.as_ref()),
                Field::RequestsPerMinute => lift(&mut limits.requests_per_minute, given.requests_per_minute.as_ref()),
                Field::RequestsPerDay => lift(&mut limits.requests_per_day, given.requests_per_day.as_ref()),
                Field::TokensPerMinute => lift(&mut limits.tokens_per_minute, given.tokens_per_minute.as_ref()),
                Field::Budget => lift(&mut limits.budget, given.budget.as_ref()),
            };
            if contradicts {
                return Err(CliError::Usage(
                    "a value is both set and cleared: decide on one".to_owned(),
                ));
            }
        }
        if has_limits {
            let limits = if limits.is_empty() { Value::Null } else { json!(limits) };
            patch.insert("limits".to_owned(), limits);
        }
        if patch.is_empty() {
            return Err(CliError::Usage(
                "nothing to change: give a new value, or --clear one".to_owned(),
            ));
        }
        Ok(patch.into())
    }
}

/// Clears a value, and says whether it was given.
fn clear(patch: &mut Map<String, Value>, name: &str) -> bool {
    let old = patch.insert(name.to_owned(), Value::Null);
    old.is_some_and(|old| !old.is_null())
}

/// Takes a limit away, and says whether it was given.
fn lift<T, G>(limit: &mut Option<T>, given: Option<&G>) -> bool {
    *limit = None;
    given.is_some()
}

fn budget(text: &str) -> Result<Budget, String> {
    let wrong = || "write three letters and what may be spent, as USD,day=5000000,month=100000000".to_owned();
    let mut parts = text.split(',');
    let mut budget = Budget {
        currency: parts.next().unwrap_or_default().to_owned(),
        day_microunits: None,
        month_microunits: None,
    };
    for part in parts {
        let (name, amount) = part.split_once('=').ok_or_else(wrong)?;
        let amount = amount.parse().map_err(|_| wrong())?;
        let old = match name {
            "day" => budget.day_microunits.replace(amount),
            "month" => budget.month_microunits.replace(amount),
            _ => return Err(wrong()),
        };
        if old.is_some() {
            return Err(wrong());
        }
    }
    let says_something = budget.day_microunits.is_some() || budget.month_microunits.is_some();
    if says_something { Ok(budget) } else { Err(wrong()) }
}

fn scopes() -> PossibleValuesParser {
    PossibleValuesParser::new(Scope::ALL.iter().map(|scope| scope.label()))
}

fn schemes() -> PossibleValuesParser {
    PossibleValuesParser::new(Scheme::ALL.iter().map(|scheme| scheme.label()))
}
