//! The intent is with the writer.

use super::*;

#[tokio::test]
async fn power_lost_before_the_intent_is_synced_leaves_nothing_and_it_is_sent_afresh() {
    let (relay, brake, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("unsynced");
    let gate = relay.disk.hold_syncs();
    let _in_flight = alice.try_submitting(&body);
    eventually("the intent waits for its sync", async || gate.holds_one()).await;

    let (relay, alice) = restart(relay.lose_power().await, &alice).await;

    assert_eq!(relay.seen("unsynced"), 0);
    assert_eq!(relay.book().calls(&body), []);
    assert_fresh(&alice.submit(&body).await);
    drop(brake);
}

#[tokio::test]
async fn killed_before_the_intent_is_acknowledged_it_is_unknown_if_the_page_cache_has_it() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("unacknowledged");
    let gate = relay.disk.hold_syncs();
    let _in_flight = alice.try_submitting(&body);
    eventually("the intent waits for its sync", async || gate.holds_one()).await;

    let (relay, alice) = restart(relay.kill().await, &alice).await;

    assert_eq!(relay.seen("unacknowledged"), 0);
    let recovered = relay.book().calls(&body);
    let repeat = alice.submit(&body).await;
    if recovered.is_empty() {
        assert_fresh(&repeat);
    } else {
        assert_unknown(&repeat, &relay, &body);
    }
}

#[tokio::test]
async fn an_intent_whose_commit_fails_is_503_and_nothing_is_sent_before_or_after_the_restart() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("commit-error");
    relay.disk.fail_sync(1, io::ErrorKind::Other);

    let refused = alice.submit(&body).await;

    assert_eq!(refused.status, 503);
    assert_eq!(relay.seen("commit-error"), 0);
    let (relay, alice) = restart(relay.lose_power().await, &alice).await;
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("commit-error"), 1);
}

#[tokio::test]
async fn an_intent_that_takes_longer_than_two_seconds_is_503_settled_as_not_sent_and_sent_afresh() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("slow-disk");
    let gate = relay.disk.hold_syncs();

    let refused = alice.submit(&body).await;

    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (503, "AUDIT_UNAVAILABLE")
    );
    assert_eq!(relay.seen("slow-disk"), 0);
    gate.open();
    let not_sent = async || matches!(relay.book().calls(&body)[..], [(_, Some(Outcome::NotSent))]);
    eventually("the writer settles it as not sent", not_sent).await;
    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("slow-disk"), 1);
}

#[tokio::test]
async fn a_repeat_while_the_first_intent_is_still_with_the_writer_waits_and_is_sent_afresh() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("slow-repeat");
    let gate = relay.disk.hold_syncs();
    assert_eq!(alice.submit(&body).await.status, 503);

    let repeat = alice.try_submitting(&body);
    until_repeats_wait(&relay, 1).await;
    gate.open();

    assert_fresh(&repeat.await.unwrap().unwrap());
    assert_eq!(relay.seen("slow-repeat"), 1);
}

#[tokio::test]
async fn a_caller_gone_while_its_intent_is_with_the_writer_leaves_its_key_to_be_sent_afresh() {
    let (relay, _script, alice) = braked(Stop::Nowhere).await;
    let body = submit_body("gone-early");
    let gate = relay.disk.hold_syncs();
    let in_flight = alice.try_submitting(&body);
    let admitted = async || relay.gate(Class::Submit).in_use == 1 && gate.holds_one();
    eventually("the intent waits for its sync", admitted).await;

    in_flight.abort();
    let withdrawn = async || relay.gate(Class::Submit).in_use == 0;
    eventually("its call is withdrawn", withdrawn).await;
    gate.open();

    assert_fresh(&alice.submit(&body).await);
    assert_eq!(relay.seen("gone-early"), 1);
    let book = relay.book();
    let mut outcomes: Vec<_> = book.calls(&body).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes.pop(), Some(Some(Outcome::Succeeded)));
    // The sync that was held may have been another one: then the first intent never reached the writer.
    assert!(
        outcomes.iter().all(|outcome| *outcome == Some(Outcome::NotSent)),
        "{outcomes:?}"
    );
}
