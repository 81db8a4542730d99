//! `kill -9` of the real program under load, over and over on one file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use tollgate::crypto::entropy::{self, OsEntropy};
use tollgate::model::outcome::Outcome;
use tollgate::sandbox::Imitation;

use crate::support::{Book, Client, Program, imitation, query_body, submit_body};

/// Numbers that are the same for the same seed (xorshift64).
struct Random(u64);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What the clients did in one round.
#[derive(Default)]
struct Done {
    /// Markers of keyed submits and calls that were begun.
    keyed: Mutex<Vec<(Route, String)>>,
    /// Markers of whatever got a 2xx.
    answered: Mutex<BTreeSet<String>>,
}

type Route = &'static str;

const SUBMIT: Route = "/v1/submit";
const CALL: Route = "/?Action=CVProcess&Version=2022-08-31";

/// Works until the server is gone.
async fn load(clients: &[Client], admin: &Client, round: u64, done: &Done) {
    let keyed = async |client: &Client, path: Route, name: &str| {
        for number in 0.. {
            let marker = format!("{name}-{round}-{number}");
            done.keyed.lock().unwrap().push((path, marker.clone()));
            let keyed = client.idempotent(&marker);
            match keyed.send(Method::POST, path, &submit_body(&marker)).await {
                Ok(reply) if reply.status == 200 => drop(done.answered.lock().unwrap().insert(marker)),
                Ok(reply) => panic!("{marker}: {reply:?}"),
                Err(_) => return,
            }
        }
    };
    let unkeyed = async |client: &Client| {
        for number in 0.. {
            let marker = format!("plain-{round}-{number}");
            match client.send(Method::POST, SUBMIT, &submit_body(&marker)).await {
                Ok(reply) if reply.status == 200 => drop(done.answered.lock().unwrap().insert(marker)),
                Ok(reply) => panic!("{marker}: {reply:?}"),
                Err(_) => return,
            }
        }
    };
    let administering = async || {
        let new = r#"{"description":"one more"}"#;
        while admin.send(Method::POST, "/admin/keys", new).await.is_ok() {
            let query = query_body("7392616336519610409");
            if clients[0].send(Method::POST, "/v1/get-result", &query).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(
        keyed(&clients[0], SUBMIT, "submit"),
        keyed(&clients[1], SUBMIT, "other"),
        keyed(&clients[2], CALL, "call"),
        unkeyed(&clients[3]),
        administering(),
    );
}

/// What the file must hold, whatever the moment of the kill was.
fn check(book: &Book, upstream: &Imitation, round: u64, done: &Done) {
    let of_this_round = format!("-{round}-");
    for (marker, seen) in upstream.seen().markers {
        assert_eq!(seen.count, 1, "{marker} was sent twice");
        if marker.contains(&of_this_round) {
            assert_eq!(book.calls(&submit_body(&marker)).len(), 1, "{marker} has no intent");
        }
    }
    for marker in done.answered.lock().unwrap().iter() {
        let calls = book.calls(&submit_body(marker));
        assert!(
            matches!(calls[..], [(_, Some(Outcome::Succeeded))]),
            "{marker}: {calls:?}"
        );
    }
}

async fn thirty_rounds(database: &Path, seed: u64) {
    let mut random = Random(seed | 1);
    let upstream = imitation(Duration::from_millis(1)).await;
    let admin_token = "an-admin-token-of-32-characters-at-least";
    let program = Program::on(database)
        .before(upstream.addr())
        .with("UPSTREAM_MAX_CONCURRENT", "8")
        .with("ADMIN_TOKEN", admin_token);
    let clients = ["alice", "bob", "carol", "dave"].map(|name| program.client(name));
    let admin = Client::new(String::new(), None).header("authorization", &format!("Bearer {admin_token}"));
    let mut unknown = 0;
    let mut before = Done::default();

    for round in 0..30 {
        let server = program.serve();
        let clients: Vec<_> = clients.iter().map(|client| client.at(&server.url)).collect();
        for (path, marker) in before.keyed.into_inner().unwrap() {
            let client = &clients[usize::from(marker.starts_with("other")) + 2 * usize::from(path == CALL)];
            let repeat = client.idempotent(&marker).post(path, &submit_body(&marker)).await;
            match (repeat.status.as_u16(), repeat.code().as_str()) {
                (200, _) => {}
                (409, "OUTCOME_UNKNOWN") => {
                    assert!(
                        !before.answered.lock().unwrap().contains(&marker),
                        "{marker} was answered"
                    );
                    unknown += 1;
                }
                _ => panic!("{marker}: {repeat:?}"),
            }
            assert!(upstream.seen().marker(&marker) <= 1, "{marker} was sent twice");
        }
        let done = Done::default();
        let admin = admin.at(&server.url);
        let until = Duration::from_millis(10 + random.below(120));
        let killing = async {
            // No signal, but a random moment of the load: whatever it cuts must come out right.
            tokio::time::sleep(until).await;
            server.kill();
        };
        tokio::join!(load(&clients, &admin, round, &done), killing);
        check(&Book::of(&program.open_copy().store), &upstream, round, &done);
        before = done;
    }

    eprintln!("{unknown} outcomes were unknown after 30 kills");
    let verified = program.run(&["audit", "verify", "--json"]);
    assert!(verified.succeeded(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_of_thirty_kills_under_load_nothing_is_sent_twice_and_no_record_is_lost() {
    let seed = u64::from_le_bytes(entropy::random(&OsEntropy).unwrap());
    eprintln!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    thirty_rounds(&folder.path().join("tollgate.redb"), seed).await;
}
