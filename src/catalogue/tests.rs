//! The catalogue without HTTP: what goes before what, and what cannot be smuggled in behind our back.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use super::*;
use crate::config::{Config, MapVars};
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::MasterKey;
use crate::model::account::AccountState;
use crate::model::caller::Identity;
use crate::model::clock::SystemClock;
use crate::model::secret::Secret;
use crate::model::upstream::{Source, StreamUsage, UpstreamName};
use crate::store::error::StoreError;
use crate::store::upstreams::{self, UpstreamRow};
use crate::store::{Change, Missing, OpenOptions, Store, Tables};

/// Base64 of 32 bytes.
const MASTER: &str = "dGhpcy1pcy1hLWZha2Uta2V5LWZvci10aGUtdGVzdHM=";

const BY: By = By {
    identity: Identity::ControlSocket,
    request: None,
};

fn vars() -> MapVars {
    MapVars::default()
        .with("API_KEY_ENCRYPTION_KEY", MASTER)
        .with("KEY_FILE_PATH", "/nowhere/keys.txt")
}

fn store(path: &Path) -> Store {
    let keys = |_| Ok(vec![MasterKey::from_base64(&Secret::new(MASTER.to_owned())).unwrap()]);
    let options = OpenOptions {
        master_keys: &keys,
        cache_bytes: 1 << 20,
        missing: Missing::Create,
        progress: |_| {},
        clock: Arc::new(SystemClock),
        entropy: &OsEntropy,
    };
    Store::open(path, &options).unwrap().store
}

fn load(vars: &MapVars, store: &Store) -> Result<Curator, CurateError> {
    Curator::load(
        &Config::parse(vars).unwrap(),
        store.clone(),
        Arc::new(OsEntropy),
        Arc::new(SystemClock),
        TaskTracker::new(),
    )
}

fn name(text: &str) -> UpstreamName {
    text.parse().unwrap()
}

async fn add(curator: &Curator, upstream: &str, credential: &str) {
    let new = NewUpstream {
        name: name(upstream),
        base_url: "https://api.example.com/v1".to_owned(),
        timeout: Duration::from_mins(1),
        max_attempts: 3,
        stream_usage: StreamUsage::Always,
    };
    curator.add_upstream(new, BY).await.unwrap();
    let account = NewAccount {
        credential: Secret::new(credential.to_owned()),
        weight: NonZeroU32::MIN,
    };
    curator.add_account(&name(upstream), account, BY).await.unwrap();
}

struct Put(UpstreamRow);

impl Change for Put {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        tables.put_upstream(&self.0)
    }
}

#[tokio::test]
async fn a_credential_does_not_follow_its_upstream_to_another_address() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder.path().join("t.redb"));
    add(&load(&vars(), &store).unwrap(), "mine", "fake-key").await;
    assert!(load(&vars(), &store).is_ok());

    let mut row = store.read(upstreams::all).unwrap().remove(0);
    row.base_url = "https://evil.example.com/v1".to_owned();
    store.change(Put(row)).await.unwrap();

    let Err(error) = load(&vars(), &store) else {
        panic!("it was opened for another address")
    };
    assert!(matches!(error, CurateError::Store(StoreError::Seal(_))), "{error}");
}

#[tokio::test]
async fn an_upstream_of_the_environment_goes_before_a_stored_one_of_its_name() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder.path().join("t.redb"));
    add(&load(&vars(), &store).unwrap(), "openai", "fake-stored-key").await;

    let curator = load(&vars().with("OPENAI_API_KEY", "fake-environment-key"), &store).unwrap();
    let catalogue = curator.catalogue().load();

    let credentials: Vec<_> = catalogue
        .accounts
        .iter()
        .map(|account| account.credential.expose())
        .collect();
    assert_eq!(credentials, ["fake-environment-key"]);
    assert_eq!(catalogue.upstreams[&name("openai")].source, Source::Environment);
    // Without the variable it is there again.
    let again = load(&vars(), &store).unwrap();
    assert_eq!(
        again.catalogue().load().accounts[0].credential.expose(),
        "fake-stored-key"
    );
}

#[tokio::test]
async fn an_account_has_the_same_id_wherever_it_is_defined() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder.path().join("t.redb"));
    let environment = load(&vars().with("OPENAI_API_KEY", "fake-key"), &store).unwrap();
    let of_environment = environment.catalogue().load().accounts[0].id;
    let stored = load(&vars(), &store).unwrap();
    add(&stored, "openai", "fake-key").await;
    assert_eq!(stored.catalogue().load().accounts[0].id, of_environment);
}

#[tokio::test]
async fn a_key_file_read_again_tells_what_came_and_went() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder.path().join("t.redb"));
    let file = folder.path().join("keys.txt");
    fs::write(&file, "fake-1\nfake-2\n").unwrap();
    let curator = load(&vars().with("KEY_FILE_PATH", file.to_str().unwrap()), &store).unwrap();

    let unchanged = curator.look_at_keys().await.unwrap();
    fs::write(&file, "fake-2\nfake-3\nfake-4\n").unwrap();
    let changed = curator.look_at_keys().await.unwrap();

    let expected = Reloaded {
        accounts: 3,
        added: 2,
        removed: 1,
    };
    assert_eq!((unchanged, changed), (None, Some(expected)));
}

#[tokio::test]
async fn each_upstream_of_the_environment_brings_the_models_it_is_known_to_serve() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder.path().join("t.redb"));
    let all = vars()
        .with("OPENAI_API_KEY", "fake-1")
        .with("OPENAI_MODEL", "gpt-small")
        .with("DASHSCOPE_API_KEY", "fake-2")
        .with("MEGALLM_BASE_URL", "https://ai.megallm.io/v1");

    let curator = load(&all, &store).unwrap();
    let catalogue = curator.catalogue().load();

    assert_eq!(catalogue.models.len(), 14);
    assert_eq!(catalogue.default_model.as_deref(), Some("gpt-small"));
    for (model, upstream) in [
        ("gpt-small", "openai"),
        ("qwen3-vl-plus", "dashscope"),
        ("llama3-8b-instruct", "megallm"),
    ] {
        let route = catalogue.route(Some(model)).unwrap();
        assert_eq!(route.targets[0].upstream.as_str(), upstream);
    }
    // Nobody knows which of three a name is for that nobody registered.
    assert!(catalogue.route(Some("unregistered")).is_err());
}

#[tokio::test]
async fn followers_hear_of_each_change_before_it_is_answered() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder.path().join("t.redb"));
    let curator = load(&vars(), &store).unwrap();
    let (defined, decided) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (of_catalogues, of_standings) = (Arc::clone(&defined), Arc::clone(&decided));
    curator.follow(move |catalogue| of_catalogues.lock().unwrap().push(catalogue.accounts.len()));
    curator
        .standings()
        .follow(move |id, standing| of_standings.lock().unwrap().push((id, standing.state)));

    add(&curator, "mine", "fake-key").await;
    let id = curator.catalogue().load().accounts[0].id;
    curator.decide(&name("mine"), id, Decision::Disable, BY).await.unwrap();

    assert_eq!(defined.lock().unwrap()[..2], [0, 1]);
    assert_eq!(*decided.lock().unwrap(), [(id, AccountState::OUT)]);
}
