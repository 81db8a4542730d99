//! Sending: which accounts can serve a call, one attempt at one of them, and whether another is worth making.

pub mod pool;
pub mod retry;

use std::sync::Arc;

use tokio::time::Instant;

use crate::config::Volcengine;
use crate::crypto::digest::DigestKey;
use crate::crypto::sigv4::sign::Signer;
use crate::model::call::Call;
use crate::model::clock::Clock;
use crate::model::id::AccountId;
use crate::model::outcome::Outcome;
use crate::model::reply::Reply;
use crate::telemetry::{fields, metrics};
use crate::upstream::Verdict;
use crate::upstream::error::{Fault, Phase, UpstreamError};
use crate::upstream::mark::SentMark;
use crate::upstream::transport::{Outbound, Patience, Transport};
use crate::upstream::volcengine::{self, InvalidAddress, Wire};

/// The accounts, and the way to them.
pub struct Dispatcher {
    accounts: Vec<Account>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    patience: Patience,
}

/// One upstream account that calls go to.
#[derive(Debug)]
struct Account {
    id: AccountId,
    label: String,
    wire: Wire,
}

/// What an attempt brought.
#[derive(Debug)]
pub struct Attempt {
    /// The whole reply with its meaning, or why there is none.
    pub result: Result<(Reply, Verdict), UpstreamError>,
    /// How long the upstream had it.
    pub took: std::time::Duration,
}

impl Attempt {
    /// One that its caller had no more time for, after bytes of it had left.
    #[must_use]
    pub const fn timed_out() -> Self {
        let error = UpstreamError {
            phase: Phase::Head,
            fault: Fault::Timeout,
        };
        Self {
            result: Err(error),
            took: std::time::Duration::ZERO,
        }
    }

    /// How it counts for a paid call.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match &self.result {
            Ok((_, verdict)) => verdict.outcome,
            Err(error) if error.phase == Phase::Connect => Outcome::NotSent,
            Err(_) => Outcome::Unknown,
        }
    }
}

impl Dispatcher {
    /// A dispatcher to the accounts of the `volcengine` upstream.
    ///
    /// An account's id is a keyed digest of upstream and credential, so it is the same after a restart.
    ///
    /// # Errors
    /// [`InvalidAddress`] when the host cannot stand in a URL.
    pub fn new(
        settings: Option<&Volcengine>,
        ids: &DigestKey,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        max_bytes: usize,
    ) -> Result<Self, InvalidAddress> {
        let mut accounts = Vec::new();
        let pairs = settings
            .into_iter()
            .flat_map(|settings| settings.accounts.iter().map(move |pair| (settings, pair)));
        for (settings, credential) in pairs {
            let id = account_id(ids, credential.access_key.expose());
            let signer = Signer::new(
                credential.access_key.expose().to_owned(),
                credential.secret_key.clone(),
                settings.region.clone(),
                SERVICE,
            );
            let wire = Wire::new(settings.scheme.as_str(), settings.host.as_str(), signer)?;
            let label = id.to_string();
            metrics::introduce_account(volcengine::NAME, &label);
            accounts.push(Account { id, label, wire });
        }
        let first_byte = settings.map_or(BODY_PATIENCE, |settings| settings.timeout);
        let patience = Patience {
            first_byte,
            total: first_byte + BODY_PATIENCE,
            max_bytes,
        };
        Ok(Self {
            accounts,
            transport,
            clock,
            patience,
        })
    }

    /// Every account: its id, its upstream's name and its label.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &'static str, String)> {
        self.accounts
            .iter()
            .map(|account| (account.id, volcengine::NAME, account.label.clone()))
    }

    /// The accounts that can serve a call: the one it is pinned to if that still exists, else every one.
    #[must_use]
    pub fn candidates(&self, pinned: Option<AccountId>) -> Vec<AccountId> {
        match pinned.filter(|id| self.accounts.iter().any(|account| account.id == *id)) {
            Some(id) => vec![id],
            None => self.accounts.iter().map(|account| account.id).collect(),
        }
    }

    /// Sends a call once. `mark` tells whether a byte of it left.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; what happened is then what the mark says.
    pub async fn attempt(&self, call: &Call, account: AccountId, number: u32, mark: SentMark) -> Attempt {
        let begun = Instant::now();
        let attempt = Attempt {
            result: self.exchange(call, account, mark).await,
            took: begun.elapsed(),
        };
        let outcome = attempt.outcome();
        if let Err(error) = &attempt.result {
            tracing::warn!(
                { fields::UPSTREAM } = volcengine::NAME,
                { fields::ACCOUNT_ID } = %account,
                { fields::ATTEMPT } = number,
                { fields::OUTCOME } = outcome.label(),
                error = %error,
                "an attempt brought no whole reply"
            );
        }
        if let Some(account) = self.accounts.iter().find(|known| known.id == account) {
            metrics::attempt(volcengine::NAME, &account.label, call.operation, outcome);
        }
        attempt
    }

    async fn exchange(
        &self,
        call: &Call,
        account: AccountId,
        mark: SentMark,
    ) -> Result<(Reply, Verdict), UpstreamError> {
        let unsent = UpstreamError {
            phase: Phase::Connect,
            fault: Fault::Broken,
        };
        let account = self.accounts.iter().find(|known| known.id == account).ok_or(unsent)?;
        let (uri, headers) = account
            .wire
            .request(call.operation, &call.body, call.accept.as_ref(), self.clock.wall())
            .ok_or(unsent)?;
        let outbound = Outbound {
            uri,
            headers,
            body: call.body.clone(),
            mark,
            patience: self.patience,
        };
        let received = self.transport.send(outbound).await?;
        metrics::upstream_duration(volcengine::NAME, call.operation, received.first_byte, received.total);
        let verdict = volcengine::read(call.operation, received.status, &received.headers, &received.body);
        Ok((volcengine::reply(&received), verdict))
    }
}

fn account_id(ids: &DigestKey, access_key: &str) -> AccountId {
    let digest = ids.of("account", &[volcengine::NAME.as_bytes(), access_key.as_bytes()]);
    let (first, _) = digest
        .as_bytes()
        .split_first_chunk::<8>()
        .map_or(([0; 8], &[][..]), |(first, rest)| (*first, rest));
    AccountId::from_bits(u64::from_be_bytes(first))
}

/// The service every Volcengine visual signature is for.
const SERVICE: &str = "cv";

/// How much longer than its head the body of a reply may take: it may hold the task id of something paid.
const BODY_PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);
