//! What replacing keys promises, over a store in memory that is killed as it pleases.

mod checking;
mod interleaved;
mod process;
mod shelf;

use std::time::Duration;

use http::{HeaderMap, Method, Uri};

use self::process::{NOW, Process, TTL, action, rekey_of};
use self::shelf::{all_open, fill, none_opens, put};
use super::write::Advance;
use super::{Next, Wrapped};
use crate::auth::{Authenticator, Parts, Plane, rules};
use crate::config::Signatures;
use crate::crypto::keyring::{Keyring, MasterKey};
use crate::crypto::seal::StoreId;
use crate::model::clock::Clock;
use crate::model::clock::fixture::Wall;
use crate::model::record::Event;
use crate::model::secret::Secret;
use crate::store::audit::{self, Order, Verdict, Walk};
use crate::store::error::{OpenError, StoreError};
use crate::store::fixture::{File, master, open_under};
use crate::store::rekeying::{self, Rekeying, Stage};
use crate::store::sealed::{Batch, SealedTable};
use crate::store::{Change, Missing, OpenOptions, Store, Tables};

const ONE: Batch = Batch {
    rows: 1,
    bytes: 1 << 20,
};
const MANY: Batch = Batch {
    rows: 100,
    bytes: 1 << 20,
};

/// The keys as they are, apart from what becomes of them in the store.
fn keys_of(store: &Store) -> Keyring {
    Keyring::new(store.keyring().keys())
}

/// Steps until the next one has to wait.
async fn walk(process: &Process) -> Next {
    loop {
        match process.rekey.step(MANY).await.unwrap() {
            Next::Step => {}
            other => return other,
        }
    }
}

fn stage(store: &Store) -> Stage {
    store.read(rekeying::get).unwrap().unwrap().stage
}

/// Verifies the log book, a few entries at a time.
fn verify(store: &Store) -> Verdict {
    let mut book = match store.read(|rows| Walk::begin(rows, &store.keyring().audit)).unwrap() {
        Ok(book) => book,
        Err(verdict) => return verdict,
    };
    loop {
        if let Some(verdict) = store.read(|rows| book.step(rows, 3)).unwrap() {
            return verdict;
        }
    }
}

/// What the log book says that somebody did with keys.
fn told(store: &Store) -> Vec<String> {
    let entries = store
        .read(|rows| audit::page(rows, 0, Order::Rising, usize::MAX))
        .unwrap();
    let told = entries.into_iter().filter_map(|logged| match logged.entry.event {
        Event::Admin(action) => Some(action.action).filter(|action| action.starts_with("rekey")),
        _ => None,
    });
    told.collect()
}

#[tokio::test]
async fn a_replacement_that_is_killed_at_every_record_loses_nothing_and_leaves_nothing_behind() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let mut process = Process::start(&file, &clock, &[1]);
    let shelf = fill(&process, EACH).await;
    let old = keys_of(&process.store);
    process.rekey.begin(action("rekey.deep")).await.unwrap();

    let mut steps = 0;
    while stage(&process.store) != Stage::Waiting {
        process = process.killed(&file, &clock);
        // Whatever stands near the walk, and everything now and then: each opening costs two derivations of a key.
        let every = if steps % 97 == 0 { 1 } else { 53 };
        all_open(&process.store, shelf.iter().skip(steps % every).step_by(every));
        process.rekey.step(ONE).await.unwrap();
        steps += 1;
    }

    let walked = process.store.read(rekeying::get).unwrap().unwrap();
    // Every job has a private part and a body besides.
    assert!(walked.renewed >= shelf.len() as u64, "{walked:?}");
    assert_eq!((walked.pass, walked.tally.renewed, walked.tally.unreadable), (2, 0, 0));
    all_open(&process.store, &shelf);
    none_opens(&process.store, &shelf, &old);
    assert!(matches!(verify(&process.store), Verdict::Intact { .. }));
}

#[tokio::test]
async fn the_old_keys_go_when_no_digest_of_theirs_can_be_asked_for() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    let shelf = fill(&process, 2).await;
    process.rekey.begin(action("rekey.deep")).await.unwrap();

    let Next::At(until) = walk(&process).await else {
        panic!("{:?}", stage(&process.store))
    };
    assert!(until.since(clock.wall()) >= TTL);
    let process = process.killed(&file, &clock);
    assert_eq!(walk(&process).await, Next::At(until));
    assert_eq!(process.store.keyring().digest.versions().count(), 2);

    clock.forward(TTL + Duration::from_mins(2));
    let process = process.killed(&file, &clock);
    assert_eq!(walk(&process).await, Next::Rest);

    let keyring = process.store.keyring();
    let counts = [keyring.digest.versions().count(), keyring.cursor.versions().count()];
    assert_eq!((counts, keyring.seal.versions().count()), ([1, 1], 1));
    assert_eq!(
        keyring.audit.versions().count(),
        2,
        "the old entries verify under the old key"
    );
    assert!(matches!(stage(&process.store), Stage::Done(_)));
    all_open(&process.store, &shelf);
    assert_eq!(told(&process.store), ["rekey.deep", "rekey.finished"]);
    assert!(matches!(verify(&process.store), Verdict::Intact { .. }));
    let process = process.killed(&file, &clock);
    all_open(&process.store, &shelf);
}

#[tokio::test]
async fn what_was_written_since_the_last_walk_under_an_old_key_is_found_before_that_key_goes() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    let late = put(&process, SealedTable::Replies, 1).await;
    let straggler = process
        .store
        .read(|rows| crate::store::idempotency::reply(rows, 1))
        .unwrap()
        .unwrap();
    process.rekey.begin(action("rekey.deep")).await.unwrap();
    walk(&process).await;
    // It was sealed before the keys were replaced, and only now comes to the writer.
    process.store.change(Late(straggler)).await.unwrap();

    clock.forward(TTL + Duration::from_mins(2));
    let process = process.killed(&file, &clock);
    assert_eq!(walk(&process).await, Next::Rest);

    all_open(&process.store, [&late]);
    assert_eq!(process.store.keyring().seal.versions().count(), 1);
}

/// Puts a reply as it was sealed before.
struct Late(Vec<u8>);

impl Change for Late {
    type Done = ();

    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), crate::store::error::StoreError> {
        tables.put_reply(1, &self.0)
    }
}

#[tokio::test]
async fn a_bearer_is_let_in_at_every_step() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    let issued = put(&process, SealedTable::ClientKeys, 1).await;
    fill(&process, 1).await;
    let authenticator = |process: &Process| {
        Authenticator::new(
            process.directory.clone(),
            process.store.keyring().clone(),
            rules(Signatures::Superset, "cn-north-1"),
            Some(&Secret::new(ADMIN_TOKEN.to_owned())),
            clock.clone(),
        )
    };
    let enters = |authenticator: &Authenticator, token: &str| {
        let (method, uri, mut headers) = (Method::GET, Uri::from_static("/v1/key"), HeaderMap::new());
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let parts = Parts {
            method: &method,
            uri: &uri,
            headers: &headers,
        };
        authenticator.inspect(&parts, Plane::Data).is_ok()
    };
    let secret = issued.text();
    let door = authenticator(&process);

    process.rekey.begin(action("rekey.deep")).await.unwrap();
    loop {
        assert!(enters(&door, &secret) && enters(&door, ADMIN_TOKEN) && !enters(&door, "sk_of_nobody"));
        if process.rekey.step(ONE).await.unwrap() != Next::Step {
            break;
        }
    }
    clock.forward(TTL + Duration::from_mins(2));
    let process = process.killed(&file, &clock);
    let door = authenticator(&process);
    loop {
        assert!(enters(&door, &secret) && enters(&door, ADMIN_TOKEN));
        if process.rekey.step(ONE).await.unwrap() == Next::Rest {
            break;
        }
    }
    assert!(enters(&door, &secret) && enters(&door, ADMIN_TOKEN));
}

#[tokio::test]
async fn a_second_replacement_goes_on_with_the_first_or_begins_anew_behind_it() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    let shelf = fill(&process, 2).await;
    let first = keys_of(&process.store);
    process.rekey.begin(action("rekey.deep")).await.unwrap();
    process.rekey.step(ONE).await.unwrap();
    let walking = process.store.read(rekeying::get).unwrap();

    process.rekey.begin(action("rekey.deep")).await.unwrap();
    assert_eq!(process.store.read(rekeying::get).unwrap(), walking, "one is under way");
    walk(&process).await;
    let second = keys_of(&process.store);

    process.rekey.begin(action("rekey.deep")).await.unwrap();
    assert_eq!(process.store.keyring().digest.versions().count(), 3);
    all_open(&process.store, &shelf);
    walk(&process).await;
    none_opens(&process.store, &shelf, &first);
    none_opens(&process.store, &shelf, &second);

    assert_eq!(told(&process.store), ["rekey.deep", "rekey.deep"]);
    let process = process.killed(&file, &clock);
    all_open(&process.store, &shelf);
    assert!(matches!(verify(&process.store), Verdict::Intact { .. }));
}

#[tokio::test]
async fn walks_that_never_come_to_an_end_are_given_up_until_somebody_asks_again() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    let shelf = fill(&process, 2).await;
    process.rekey.begin(action("rekey.deep")).await.unwrap();
    let mut rekeying = process.store.read(rekeying::get).unwrap().unwrap();
    rekeying.pass = Rekeying::MOST_PASSES + 1;
    process.store.change(Advance(rekeying.clone())).await.unwrap();

    assert_eq!(process.rekey.step(MANY).await.unwrap(), Next::Rest);
    assert_eq!(process.store.read(rekeying::get).unwrap(), Some(rekeying));
    all_open(&process.store, &shelf);

    process.rekey.begin(action("rekey.deep")).await.unwrap();
    assert!(matches!(walk(&process).await, Next::At(_)));
    assert_eq!(stage(&process.store), Stage::Waiting);
}

#[tokio::test]
async fn whoever_waits_for_a_file_that_failed_is_told() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    process.rekey.begin(action("rekey.deep")).await.unwrap();

    process.store.failed().cancel();

    assert!(matches!(process.rekey.state().await, Err(StoreError::Io(_))));
}

#[tokio::test]
async fn what_was_damaged_before_is_counted_and_left_alone() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    put(&process, SealedTable::Replies, 2).await;
    process.store.change(Late(vec![7; 40])).await.unwrap();

    process.rekey.begin(action("rekey.deep")).await.unwrap();
    walk(&process).await;

    let rekeying = process.store.read(rekeying::get).unwrap().unwrap();
    assert_eq!((rekeying.renewed, rekeying.tally.unreadable), (1, 1));
    let left = process
        .store
        .read(|rows| crate::store::idempotency::reply(rows, 1))
        .unwrap();
    assert_eq!(left, Some(vec![7; 40]));
}

#[tokio::test]
async fn after_a_rekey_the_old_master_key_opens_nothing_and_says_so() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let process = Process::start(&file, &clock, &[1]);
    let shelf = fill(&process, 1).await;
    process.store.close();
    let process = Process::start(&file, &clock, &[2, 1]);
    assert_eq!(process.rekey.state().await.unwrap().wrapped, Wrapped::Previous);

    let state = process.rekey.rewrap(action("rekey")).await.unwrap();
    assert_eq!(state.wrapped, Wrapped::Current);
    process.rekey.rewrap(action("rekey")).await.unwrap();

    assert_eq!(told(&process.store), ["rekey"], "the second had nothing to do");
    process.store.close();
    let Err(error) = open_under(&file, clock.clone(), &[1]) else {
        panic!("the old master key opened it")
    };
    assert!(matches!(error, OpenError::WrongKey));
    assert!(error.to_string().contains("API_KEY_ENCRYPTION_KEY"), "{error}");
    assert!(
        matches!(open_under(&file, clock.clone(), &[3, 1]), Err(OpenError::WrongKey)),
        "a wrong previous key"
    );
    let process = Process::start(&file, &clock, &[2]);
    all_open(&process.store, &shelf);
}

#[tokio::test]
async fn a_replacement_of_the_data_keys_takes_the_present_master_key_too() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    Process::start(&file, &clock, &[1]).store.close();
    let process = Process::start(&file, &clock, &[2, 1]);

    process.rekey.begin(action("rekey.deep")).await.unwrap();

    assert_eq!(process.rekey.state().await.unwrap().wrapped, Wrapped::Current);
    process.store.close();
    assert!(matches!(
        open_under(&file, clock.clone(), &[1]),
        Err(OpenError::WrongKey)
    ));
    assert_eq!(open_under(&file, clock.clone(), &[2]).unwrap().master_key, 0);
}

#[tokio::test]
async fn a_passphrase_takes_the_place_of_another_or_of_a_key() {
    let (file, clock) = (File::default(), Wall::at(NOW));
    Process::start(&file, &clock, &[1]).store.close();
    let phrase =
        |text: &str, id: StoreId| MasterKey::from_passphrase(&Secret::new(text.to_owned()), id.as_bytes()).unwrap();
    let open = |keys: &dyn Fn(StoreId) -> Vec<MasterKey>| {
        let keys = |id| Ok(keys(id));
        let options = OpenOptions {
            master_keys: &keys,
            cache_bytes: 1 << 20,
            missing: Missing::Refuse,
            progress: |_| {},
            clock: clock.clone(),
            entropy: &crate::crypto::entropy::OsEntropy,
        };
        Store::open_backend(file.clone(), &options)
    };
    let rewrap = async |keys: &dyn Fn(StoreId) -> Vec<MasterKey>| {
        let opened = open(keys).unwrap();
        let present = keys(opened.store.id()).swap_remove(0);
        let rekey = rekey_of(&opened.store, present, Wrapped::by(opened.master_key), &clock);
        rekey.rewrap(action("rekey")).await.unwrap();
        opened.store.close();
    };
    let first = |id| phrase("correct horse battery staple", id);
    let second = |id| phrase("five words chosen by dice", id);

    rewrap(&|id| vec![first(id), master(1)]).await;
    rewrap(&|id| vec![second(id), first(id)]).await;

    assert!(matches!(open(&|id| vec![first(id)]), Err(OpenError::WrongKey)));
    assert!(matches!(
        open(&|id| vec![phrase("another passphrase", id)]),
        Err(OpenError::WrongKey)
    ));
    assert_eq!(open(&|id| vec![second(id)]).unwrap().master_key, 0);
}

/// Secrets in each table.
const EACH: u64 = 60;

const ADMIN_TOKEN: &str = "operator-canary-token-0123456789abcdef";
