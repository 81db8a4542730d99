//! Changing what is defined.

mod accounts;
mod edit;
mod keys;
mod models;
mod upstreams;

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::task::TaskTracker;

pub use self::accounts::{Decision, Imported, NewAccount};
pub use self::keys::Reloaded;
pub use self::upstreams::NewUpstream;

use self::edit::{Edit, Edits};
use super::environment::{Environment, Look};
use super::error::CurateError;
use super::sources::{Sources, Stored};
use super::standings::Standings;
use crate::config::Config;
use crate::crypto::entropy::Entropy;
use crate::model::account::Account;
use crate::model::caller::Identity;
use crate::model::catalogue::Catalogue;
use crate::model::clock::Clock;
use crate::model::id::{AccountId, RequestId};
use crate::model::record::AdminAction;
use crate::model::upstream::{Source, Upstream, UpstreamName};
use crate::store::Store;
use crate::store::error::StoreError;

/// Who changes something, as the log book names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub identity: Identity,
    /// The request that carried it, if one did.
    pub request: Option<RequestId>,
}

/// Changes what is defined: one commit with the rows and the log book's entries, then the catalogue that calls see.
///
/// Changes take turns; each is decided on what the one before left.
///
/// # Cancel safety
/// Of every change: dropped while it waits for its turn, nothing is done; later, it is done all the same, and the
/// catalogue shows it.
pub struct Curator {
    store: Store,
    sources: Arc<Mutex<Sources>>,
    catalogue: Arc<ArcSwap<Catalogue>>,
    /// Those of the `volcengine` upstream, which calls do not look up in the catalogue.
    signing: Vec<Account>,
    standings: Arc<Standings>,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    follower: Arc<OnceLock<Follower>>,
}

/// Told of every new catalogue.
type Follower = Box<dyn Fn(&Arc<Catalogue>) + Send + Sync>;

/// The right to change what is defined, until it is dropped.
type Turn = OwnedMutexGuard<Sources>;

impl Curator {
    /// Reads what is defined, and opens the stored credentials. Blocks on the disk: for the start. A change runs on
    /// `tasks`, so that it is not torn apart when its caller gives up; wait for them before the store is closed.
    ///
    /// # Errors
    /// [`CurateError::KeyFile`] where there is a key file that cannot be used, [`CurateError::Store`] when a row cannot
    /// be read or was changed outside Tollgate.
    pub fn load(
        config: &Config,
        store: Store,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
    ) -> Result<Self, CurateError> {
        let mut environment = Environment::of(config, &store.keyring().id);
        if let Some(found) = environment.finder(Look::ForNews)() {
            environment.renew(found)?;
        } else {
            environment.warn_of_absence();
        }
        let sources = Sources {
            environment,
            stored: Stored::load(&store)?,
        };
        let catalogue = sources.catalogue();
        for name in sources.stored.upstreams.keys() {
            if catalogue
                .upstreams
                .get(name)
                .is_some_and(|shown| shown.source == Source::Environment)
            {
                tracing::warn!(upstream = %name, "the environment defines an upstream of this name: the stored one rests");
            }
        }
        Ok(Self {
            standings: Arc::new(Standings::load(&store)?),
            store,
            signing: sources.environment.signing_accounts(),
            catalogue: Arc::new(ArcSwap::from_pointee(catalogue)),
            sources: Arc::new(Mutex::new(sources)),
            entropy,
            clock,
            tasks,
            follower: Arc::default(),
        })
    }

    /// Everything that is defined, as of the last change. Whoever keeps it sees each later picture in it.
    #[must_use]
    pub const fn catalogue(&self) -> &Arc<ArcSwap<Catalogue>> {
        &self.catalogue
    }

    /// Has `follower` told of every later catalogue, after its commit and before its change is answered. Only the first
    /// one follows: there is one way to the upstreams.
    pub fn follow(&self, follower: impl Fn(&Arc<Catalogue>) + Send + Sync + 'static) {
        drop(self.follower.set(Box::new(follower)));
    }

    /// Every account of an upstream, in the order of their definition, also of one that signs.
    ///
    /// # Errors
    /// [`CurateError::NotFound`] where there is no such upstream.
    pub fn accounts(&self, upstream: &UpstreamName) -> Result<Vec<Account>, CurateError> {
        let catalogue = self.catalogue.load();
        if !catalogue.upstreams.contains_key(upstream) {
            return Err(CurateError::NotFound { what: "upstream" });
        }
        let accounts = self.signing.iter().chain(&catalogue.accounts);
        Ok(accounts
            .filter(|account| account.upstream == *upstream)
            .cloned()
            .collect())
    }

    /// One of them.
    ///
    /// # Errors
    /// [`CurateError::NotFound`].
    pub fn account(&self, upstream: &UpstreamName, id: AccountId) -> Result<Account, CurateError> {
        let mut accounts = self.accounts(upstream)?.into_iter();
        accounts
            .find(|account| account.id == id)
            .ok_or(CurateError::NotFound { what: "account" })
    }

    /// How the accounts stand.
    #[must_use]
    pub const fn standings(&self) -> &Arc<Standings> {
        &self.standings
    }

    /// Waits for the right to change something. Cancel-safe.
    async fn turn(&self) -> Turn {
        Arc::clone(&self.sources).lock_owned().await
    }

    /// An upstream that the admin interface may change.
    fn own(&self, name: &UpstreamName) -> Result<Upstream, CurateError> {
        let catalogue = self.catalogue.load();
        let upstream = catalogue
            .upstreams
            .get(name)
            .ok_or(CurateError::NotFound { what: "upstream" })?;
        match upstream.source {
            Source::Store => Ok(upstream.clone()),
            Source::Environment => Err(CurateError::ReadOnly { what: "upstream" }),
        }
    }

    /// Commits and publishes, whether or not the caller still waits.
    async fn commit(&self, mut turn: Turn, edits: Vec<(Edit, AdminAction)>) -> Result<(), CurateError> {
        let (store, catalogue) = (self.store.clone(), Arc::clone(&self.catalogue));
        let (standings, follower) = (Arc::clone(&self.standings), Arc::clone(&self.follower));
        let task = self.tasks.spawn(async move {
            for edit in store.change(Edits(edits)).await? {
                edit.show(&mut turn, &standings);
            }
            let next = Arc::new(turn.catalogue());
            catalogue.store(Arc::clone(&next));
            if let Some(follower) = follower.get() {
                follower(&next);
            }
            Ok::<_, StoreError>(())
        });
        Ok(task.await.unwrap_or(Err(StoreError::Panicked))?)
    }
}

impl By {
    /// The log book's entry of what was done.
    fn did(self, action: &str, target: impl std::fmt::Display) -> AdminAction {
        AdminAction {
            actor: self.identity.to_string(),
            action: action.to_owned(),
            target: target.to_string(),
            request: self.request,
        }
    }
}
