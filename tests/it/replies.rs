//! The room that all kept replies share.

use redb::{Database, TableDefinition};
use tollgate::store::idempotency;

use crate::support::{Disk, Relay, submit_body};

/// The product's bound of all kept replies together.
const ROOM: u64 = 256 << 20;

/// Has a store believe that its kept replies take `bytes`: to keep so many for real would take long.
///
/// The row is written as bytes, so a test must check with [`said_to_keep`] that the store reads them so.
fn say_kept(disk: &Disk, bytes: u64) {
    let rows: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta.v1");
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let txn = database.begin_write().unwrap();
    let value = postcard::to_extend(&bytes, vec![1]).unwrap();
    {
        let mut table = txn.open_table(rows).unwrap();
        let before = table.insert("replies.bytes", &value[..]).unwrap();
        assert!(before.is_some(), "the store has a row of that name");
    }
    txn.commit().unwrap();
}

fn said_to_keep(relay: &Relay) -> u64 {
    relay.services().store.read(idempotency::reply_bytes).unwrap()
}

#[tokio::test]
async fn with_the_room_for_replies_spent_a_new_key_is_503_nothing_is_evicted_and_an_unkeyed_call_goes_through() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    let first = alice.idempotent("order-1").submit(&submit_body("kept")).await;
    let left = relay.stop().await;
    say_kept(&left.disk, ROOM);
    let relay = left.start().await;
    let alice = alice.at(&relay.url);
    assert_eq!(said_to_keep(&relay), ROOM);

    let refused = alice.idempotent("order-2").submit(&submit_body("refused")).await;

    refused.assert_error(503, "STORE_FULL");
    assert_eq!(relay.seen("refused"), 0);
    assert_eq!(relay.book().calls(&submit_body("refused")), []);
    let again = alice.idempotent("order-1").submit(&submit_body("kept")).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(said_to_keep(&relay), ROOM);
    assert_eq!(alice.submit(&submit_body("unkeyed")).await.status, 200);
    assert_eq!((relay.seen("kept"), relay.seen("unkeyed")), (1, 1));
}

#[tokio::test]
async fn one_byte_short_of_the_room_a_new_key_is_still_taken_and_its_reply_kept() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await;
    alice.idempotent("order-1").submit(&submit_body("kept")).await;
    let left = relay.stop().await;
    say_kept(&left.disk, ROOM - 1);
    let relay = left.start().await;
    let alice = alice.at(&relay.url).idempotent("order-2");

    let last = alice.submit(&submit_body("last")).await;

    assert_eq!(last.status, 200, "{last:?}");
    let again = alice.submit(&submit_body("last")).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert!(said_to_keep(&relay) > ROOM);
    assert_eq!(relay.seen("last"), 1);
}
