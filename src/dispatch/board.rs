//! What calls can go to at one moment: the catalogue, and a line to each of its accounts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::line::{self, Line};
use crate::config::Volcengine;
use crate::crypto::digest::DigestKey;
use crate::crypto::sigv4::sign::Signer;
use crate::model::catalogue::Catalogue;
use crate::model::id::AccountId;
use crate::model::operation::Protocol;
use crate::model::upstream::UpstreamName;
use crate::telemetry::metrics;
use crate::upstream::openai::wire::{Bearer, Wire};
use crate::upstream::transport::Patience;
use crate::upstream::volcengine::{self, InvalidAddress};

/// What calls can go to. It never changes; a change makes a new one.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) lines: HashMap<AccountId, Arc<Line>>,
}

impl Board {
    /// One on which nothing is defined yet.
    pub(super) fn blank(catalogue: Arc<Catalogue>) -> Self {
        Self {
            catalogue,
            lines: HashMap::new(),
        }
    }

    /// The lines that `catalogue` defines, beside those that do not change.
    ///
    /// An account whose address or credential cannot stand in a request has no line: it is said in the log.
    pub(super) fn new(catalogue: Arc<Catalogue>, fixed: &[Arc<Line>], max_bytes: usize) -> Self {
        let mut lines: HashMap<_, _> = fixed.iter().map(|line| (line.account, Arc::clone(line))).collect();
        for account in &catalogue.accounts {
            let Some(upstream) = catalogue.upstreams.get(&account.upstream) else {
                continue;
            };
            let (Ok(wire), Ok(bearer)) = (Wire::new(&upstream.base_url), Bearer::new(&account.credential)) else {
                tracing::error!(account = %account.id, "the account's address or credential cannot be used");
                continue;
            };
            let line = Line {
                account: account.id,
                upstream: account.upstream.clone(),
                label: account.id.to_string(),
                patience: patience(upstream.timeout, max_bytes),
                wire: line::Wire::OpenAi {
                    wire: Box::new(wire),
                    bearer,
                    stream_usage: upstream.stream_usage,
                },
            };
            metrics::introduce_account(line.upstream.as_str(), &line.label, Protocol::OpenAi);
            lines.insert(account.id, Arc::new(line));
        }
        Self { catalogue, lines }
    }
}

/// The lines of the `volcengine` upstream, which only the environment defines.
///
/// # Errors
/// [`InvalidAddress`] when the host cannot stand in a URL.
pub(super) fn volcengine_lines(
    settings: Option<&Volcengine>,
    name: &UpstreamName,
    ids: &DigestKey,
    max_bytes: usize,
) -> Result<Vec<Arc<Line>>, InvalidAddress> {
    let Some(settings) = settings else {
        return Ok(Vec::new());
    };
    let line = |credential: &crate::config::Credential| {
        let access_key = credential.access_key.expose();
        let signer = Signer::new(
            access_key.to_owned(),
            credential.secret_key.clone(),
            settings.region.clone(),
            SERVICE,
        );
        let account = ids.account(name.as_str(), access_key);
        let label = account.to_string();
        metrics::introduce_account(volcengine::NAME, &label, Protocol::Volcengine);
        let wire = volcengine::Wire::new(settings.scheme.as_str(), settings.host.as_str(), signer)?;
        Ok(Arc::new(Line {
            account,
            upstream: name.clone(),
            label,
            patience: patience(settings.timeout, max_bytes),
            wire: line::Wire::Volcengine(Box::new(wire)),
        }))
    };
    settings.accounts.iter().map(line).collect()
}

const fn patience(first_byte: Duration, max_bytes: usize) -> Patience {
    Patience {
        first_byte,
        total: first_byte.saturating_add(BODY_PATIENCE),
        max_bytes,
    }
}

/// The service every Volcengine visual signature is for.
const SERVICE: &str = "cv";

/// How much longer than its head the body of a reply may take: it may hold the task id of something paid.
pub(super) const BODY_PATIENCE: Duration = Duration::from_secs(15);
