//! What the environment defines.

use std::num::NonZeroU32;

use super::key_file::{self, KeyFileError, Stamp};
use super::mask::mask;
use super::seeds;
use crate::config::{Config, Existence, MegaLlm, ModelSettings, OpenAi};
use crate::crypto::digest::DigestKey;
use crate::model::account::Account;
use crate::model::catalogue::Model;
use crate::model::operation::Protocol;
use crate::model::secret::Secret;
use crate::model::upstream::{Source, StreamUsage, Upstream, UpstreamName};

/// What the environment defines. Only the key file's accounts can change while the process lives.
pub(super) struct Environment {
    /// The upstreams whose accounts the variables hold.
    upstreams: Vec<Upstream>,
    /// Those accounts.
    accounts: Vec<Account>,
    megallm: MegaLlm,
    /// The accounts of the key file as it was last read; `None` where none was ever there.
    pooled: Option<Vec<Account>>,
    /// What the key file was when it was last looked at.
    stamp: Option<Stamp>,
    pub(super) models: ModelSettings,
    ids: DigestKey,
}

/// Why the key file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Somebody wants it read.
    Anyway,
    /// It is read only if it is another one than at the last look.
    ForNews,
}

/// A key file as it was found.
pub(super) struct Found {
    stamp: Option<Stamp>,
    keys: Result<Vec<Secret>, KeyFileError>,
}

impl Environment {
    pub(super) fn of(config: &Config, ids: &DigestKey) -> Self {
        let mut environment = Self {
            upstreams: Vec::new(),
            accounts: Vec::new(),
            megallm: config.megallm.clone(),
            pooled: None,
            stamp: None,
            models: config.models.clone(),
            ids: ids.clone(),
        };
        if let Some(volcengine) = &config.volcengine {
            let upstream = Upstream {
                protocol: Protocol::Volcengine,
                ..upstream(
                    name(Protocol::Volcengine.label()),
                    format!("{}://{}", volcengine.scheme, volcengine.host),
                    volcengine.timeout,
                    VOLCENGINE_ATTEMPTS,
                )
            };
            let access_keys = volcengine.accounts.iter().map(|pair| &pair.access_key);
            environment.define(upstream, access_keys);
        }
        for (settings, label) in [(&config.openai, OPENAI), (&config.dashscope, DASHSCOPE)] {
            if let Some(OpenAi {
                base_url,
                timeout,
                max_attempts,
                keys,
            }) = settings
            {
                environment.define(upstream(name(label), base_url.clone(), *timeout, *max_attempts), keys);
            }
        }
        environment
    }

    fn define<'a>(&mut self, upstream: Upstream, credentials: impl IntoIterator<Item = &'a Secret>) {
        let accounts = credentials
            .into_iter()
            .map(|credential| account(&upstream.name, credential, &self.ids));
        self.accounts.extend(accounts);
        self.upstreams.push(upstream);
    }

    /// Every upstream that there is now.
    pub(super) fn upstreams(&self) -> Vec<Upstream> {
        let mut upstreams = self.upstreams.clone();
        if self.megallm.existence == Existence::Certain || self.pooled.is_some() {
            let MegaLlm {
                base_url,
                timeout,
                max_attempts,
                ..
            } = &self.megallm;
            upstreams.push(upstream(name(MEGALLM), base_url.clone(), *timeout, *max_attempts));
        }
        upstreams
    }

    /// Every account, in the order of the variables and of the key file's lines.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().chain(self.pooled.iter().flatten())
    }

    /// The accounts of the `volcengine` upstream, which only the environment defines.
    pub(super) fn signing_accounts(&self) -> Vec<Account> {
        let is_signing = |account: &&Account| account.upstream.as_str() == Protocol::Volcengine.label();
        self.accounts.iter().filter(is_signing).cloned().collect()
    }

    /// The models that its upstreams are known to serve.
    pub(super) fn models(&self) -> Vec<Model> {
        let mut models = Vec::new();
        for upstream in self.upstreams() {
            match upstream.name.as_str() {
                OPENAI => models.extend(
                    self.models
                        .openai_model
                        .iter()
                        .map(|model| seeds::plain(model, &upstream.name)),
                ),
                DASHSCOPE => models.push(seeds::plain(&self.models.vision_model, &upstream.name)),
                MEGALLM => models.extend(seeds::megallm(&upstream.name)),
                _ => {}
            }
        }
        models
    }

    /// The model of a call that names none.
    pub(super) fn default_model(&self) -> Option<String> {
        let has_megallm = || {
            self.upstreams()
                .iter()
                .any(|upstream| upstream.name.as_str() == MEGALLM)
        };
        let ModelSettings {
            default_model,
            openai_model,
            ..
        } = &self.models;
        let named = default_model.as_ref().or(openai_model.as_ref()).cloned();
        named.or_else(|| has_megallm().then(|| seeds::MEGALLM_DEFAULT.to_owned()))
    }

    /// How to find the key file as it is. What it gives blocks on the disk, and finds nothing where `look` asks for news
    /// and there is none. That the file is gone is no news: an editor may be about to put a new one in its place.
    pub(super) fn finder(&self, look: Look) -> impl FnOnce() -> Option<Found> + Send + 'static {
        let (path, known) = (self.megallm.key_file.clone(), self.stamp);
        move || {
            // Looked at before it is read: a change in between is found the next time.
            let stamp = key_file::stamp(&path);
            if look == Look::ForNews && stamp.as_ref().is_ok_and(|stamp| stamp.is_none() || *stamp == known) {
                return None;
            }
            Some(match stamp {
                Ok(stamp) => Found {
                    stamp,
                    keys: key_file::read(&path),
                },
                Err(error) => Found {
                    stamp: None,
                    keys: Err(error),
                },
            })
        }
    }

    /// Says that there is no key file, where there should be one.
    pub(super) fn warn_of_absence(&self) {
        if self.megallm.existence == Existence::Certain {
            tracing::warn!(
                path = %self.megallm.key_file.display(),
                "KEY_FILE_PATH names no file: the upstream megallm has no accounts until there is one"
            );
        }
    }

    /// Takes over what the key file holds, and says how many accounts that added and removed. The accounts of before stay
    /// where it cannot be read; the same file is then not read again until it changes.
    pub(super) fn renew(&mut self, found: Found) -> Result<(usize, usize), KeyFileError> {
        self.stamp = found.stamp;
        let keys = found.keys?;
        let before: Vec<_> = self.pooled.iter().flatten().map(|account| account.id).collect();
        let upstream = name(MEGALLM);
        self.pooled = Some(keys.iter().map(|key| account(&upstream, key, &self.ids)).collect());
        let after: Vec<_> = self.pooled.iter().flatten().map(|account| account.id).collect();
        let added = after.iter().filter(|id| !before.contains(id)).count();
        let removed = before.iter().filter(|id| !after.contains(id)).count();
        Ok((added, removed))
    }
}

fn upstream(name: UpstreamName, base_url: String, timeout: std::time::Duration, max_attempts: NonZeroU32) -> Upstream {
    Upstream {
        name,
        protocol: Protocol::OpenAi,
        base_url,
        timeout,
        max_attempts: max_attempts.get(),
        stream_usage: StreamUsage::default(),
        source: Source::Environment,
    }
}

fn account(upstream: &UpstreamName, credential: &Secret, ids: &DigestKey) -> Account {
    Account {
        id: ids.account(upstream.as_str(), credential.expose()),
        upstream: upstream.clone(),
        mask: mask(credential.expose()),
        weight: NonZeroU32::MIN,
        source: Source::Environment,
        credential: credential.clone(),
    }
}

#[expect(clippy::expect_used, reason = "only the four names below are passed")]
fn name(label: &str) -> UpstreamName {
    label.parse().expect("a short plain name")
}

const OPENAI: &str = "openai";
const DASHSCOPE: &str = "dashscope";
/// The upstream whose accounts stand in the key file.
pub(super) const MEGALLM: &str = "megallm";

/// How often a Volcengine call that may be repeated is made.
const VOLCENGINE_ATTEMPTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
