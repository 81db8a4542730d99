//! The whole reply is in.

use super::*;

#[tokio::test]
async fn killed_with_the_reply_in_it_is_unknown_and_naming_its_task_makes_it_a_replay() {
    let (relay, brake, alice) = braked(Stop::AfterReply).await;
    let body = submit_body("reply-in");
    let _in_flight = alice.try_submitting(&body);
    brake.until_stopped(1).await;

    let left = relay.lose_power().await;
    brake.stop_at(Stop::Nowhere);
    let (relay, alice) = restart(left, &alice).await;

    let intent = assert_unknown(&alice.submit(&body).await, &relay, &body);
    resolve(&relay, intent, r#"{"task_id":"7392616336519610409"}"#).await;
    let repeat = alice.submit(&body).await;
    assert_replay(&repeat);
    assert_eq!(repeat.task_id(), "7392616336519610409");
    assert_eq!(relay.seen("reply-in"), 1);
}

#[tokio::test]
async fn a_reply_whose_settlement_is_not_committed_is_still_given_and_marked() {
    for (left, marker) in [
        (Disk::image as fn(&Disk) -> Vec<u8>, "unsettled-lost"),
        (Disk::page_cache, "unsettled-kept"),
    ] {
        let (relay, alice) = spoiled(Fault::None).await;
        relay.upstream.faults().clear();
        let slow = Rule::any(Fault::None).after(Duration::from_millis(100));
        relay.upstream.faults().push(slow).unwrap();
        let body = submit_body(marker);
        let in_flight = alice.try_submitting(&body);
        eventually("it is with the upstream", async || relay.seen(marker) == 1).await;
        relay.disk.fail_sync(1, io::ErrorKind::Other);

        let reply = in_flight.await.unwrap().unwrap();

        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("tollgate-record"), Some("failed"));
        relay.services().store.failed().cancelled().await;
        let disk = Disk::holding(left(&relay.disk));
        let (relay, alice) = restart(relay.kill().await.disk(disk), &alice).await;
        let settled = relay.book().calls(&body)[0].1;
        let repeat = alice.submit(&body).await;
        match settled {
            // The batch had reached the disk.
            Some(Outcome::Succeeded) => {
                assert_replay(&repeat);
                assert_eq!(repeat.body, reply.body);
            }
            _ => {
                assert_unknown(&repeat, &relay, &body);
            }
        }
        assert_eq!(relay.seen(marker), 1);
    }
}

#[tokio::test]
async fn power_lost_after_the_settlement_makes_the_repeat_a_replay_and_the_task_stays_its_owners() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let bob = relay.client("bob").await;
    let body = submit_body("settled");
    let first = alice.submit(&body).await;

    let (relay, alice) = restart(relay.lose_power().await, &alice).await;

    let repeat = alice.submit(&body).await;
    assert_replay(&repeat);
    assert_eq!(repeat.body, first.body);
    assert_eq!(relay.seen("settled"), 1);
    let query = query_body(&first.task_id());
    assert_eq!(alice.query(&query).await.status, 200);
    assert_eq!(bob.at(&relay.url).query(&query).await.status, 404);
}

#[tokio::test]
async fn what_the_upstream_refused_outright_is_sent_afresh() {
    let unauthorized = Answer {
        status: StatusCode::UNAUTHORIZED,
        ..Answer::default()
    };
    for (fault, times, marker) in [
        (Fault::concurrency_limit(), 3, "refused-limit"),
        (Fault::Answer(unauthorized), 1, "refused-account"),
    ] {
        let relay = Relay::start().await;
        let rule = Rule::any(fault).times(NonZeroU32::new(times).unwrap());
        relay.upstream.faults().push(rule).unwrap();
        let alice = relay.client("alice").await.idempotent("order-1");
        let body = submit_body(marker);

        let refused = alice.submit(&body).await;

        assert!(refused.status.is_client_error(), "{refused:?}");
        let (relay, alice) = restart(relay.lose_power().await, &alice).await;
        assert_eq!(relay.book().calls(&body)[0].1, Some(Outcome::Refused));
        assert_fresh(&alice.submit(&body).await);
        assert_eq!(relay.seen(marker), u64::from(times) + 1);
    }
}

#[tokio::test]
async fn what_the_upstream_rejected_for_what_it_says_is_replayed() {
    let relay = Relay::start().await;
    let alice = relay.client("alice").await.idempotent("order-1");
    let body = r#"{"req_key":"jimeng_t2i_v40","prompt":"fail-50411","marker":"rejected"}"#;
    let first = alice.submit(body).await;

    let (relay, alice) = restart(relay.lose_power().await, &alice).await;
    let repeat = alice.submit(body).await;

    assert_eq!((repeat.status, &repeat.body), (first.status, &first.body));
    assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    assert_eq!(relay.seen("rejected"), 1);
}
