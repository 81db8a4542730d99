//! Killed during the start itself, or while old entries are removed.

use super::*;

#[tokio::test]
async fn killed_at_any_sync_of_the_recovery_the_next_start_ends_where_one_alone_would() {
    let relay = Relay::build().with("UPSTREAM_MAX_CONCURRENT", "4").start().await;
    let always = Rule::any(Fault::Hang).always();
    relay.upstream.faults().push(always).unwrap();
    let mut clients = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let client = relay.client(name).await.idempotent("order-1");
        drop(client.try_submitting(&submit_body(name)));
        eventually("it is with the upstream", async || relay.seen(name) == 1).await;
        clients.push((name, client));
    }
    let left = relay.lose_power().await;
    let images = left.disk.keep_images();
    let mut left = left.start().await.lose_power().await;

    for image in images.taken() {
        let relay = left.disk(Disk::holding(image)).start().await;
        for (name, client) in &clients {
            let body = submit_body(name);
            let intent = assert_unknown(&client.at(&relay.url).submit(&body).await, &relay, &body);
            assert_eq!(relay.book().settlements(intent), 1);
            assert_eq!(relay.seen(name), 1);
        }
        left = relay.kill().await;
    }
}

#[tokio::test]
async fn killed_at_any_sync_of_the_retention_the_book_is_whole_and_the_key_still_replays() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = submit_body("retention");
    alice.submit(&body).await;
    let left = relay.lose_power().await.with("AUDIT_RETENTION", "1ms");
    let images = left.disk.keep_images();
    let relay = left.start().await;
    eventually("the book is pruned", async || relay.book().calls(&body).is_empty()).await;
    let mut left = relay.lose_power().await;

    for image in images.taken() {
        let relay = left.disk(Disk::holding(image)).start().await;
        let _whole = relay.book();
        assert_replay(&alice.at(&relay.url).submit(&body).await);
        left = relay.kill().await;
    }
}
