//! A call that goes on at another account, and one that must not.

use super::*;

#[tokio::test]
async fn a_call_that_no_connection_took_goes_on_at_another_account_with_or_without_a_key() {
    for keyed in [true, false] {
        let provider = Provider::with(&["red", "green"]).await;
        let detour = Detour::of([Way::NoConnection]);
        let relay = provider.behind(Relay::build()).transport(detour).start().await;
        let client = relay.client("app").await;
        let client = if keyed { client.idempotent("k") } else { client };
        all_served(&client, 1).await;
        let settled = relay.settled().await;
        assert_eq!(
            (settled.outcome, settled.attempts, provider.total()),
            (Outcome::Succeeded, 2, 1)
        );
    }
}

#[tokio::test]
async fn a_refused_call_goes_on_with_its_idempotency_key_and_a_repeat_is_the_first_answer() {
    for fault in [error(401), error(402), error(403), limited()] {
        let (provider, _relay, client) = scene(&["red", "green"]).await;
        let keyed = client.idempotent("once");
        provider.next(fault);
        let first = keyed.chat(MODEL).await;
        let again = keyed.chat(MODEL).await;
        assert_eq!((first.status.as_u16(), &first.body), (200, &again.body));
        assert_eq!(provider.total(), 2);
    }
}

#[tokio::test]
async fn a_failed_reply_goes_on_at_another_account_only_without_an_idempotency_key() {
    let (provider, relay, client) = scene(&["red", "green"]).await;
    provider.next(error(500));
    all_served(&client, 1).await;
    assert_eq!(provider.total(), 2);

    let keyed = client.idempotent("paid-once");
    provider.next(error(500));
    let failed = keyed.chat(MODEL).await;
    let again = keyed.chat(MODEL).await;

    assert_eq!((failed.status.as_u16(), provider.total()), (500, 3));
    again.assert_error(409, "OUTCOME_UNKNOWN");
    assert_eq!(provider.total(), 3);
    let outcomes: Vec<_> = relay.settlements().iter().map(|settled| settled.outcome).collect();
    assert_eq!(outcomes, [Outcome::Succeeded, Outcome::Unknown]);
}

#[tokio::test]
async fn a_call_whose_reply_is_lost_after_its_bytes_left_is_never_sent_again() {
    for fault in [Fault::Reset, Fault::Truncate, Fault::Html] {
        let (provider, _relay, client) = scene(&["red", "green", "blue"]).await;
        provider.next(fault.clone());
        let lost = client.chat(MODEL).await;
        assert_eq!(
            (lost.status.as_u16(), provider.total()),
            (502, 1),
            "{fault:?}: {lost:?}"
        );

        provider.next(fault.clone());
        let keyed = client.idempotent("lost");
        let lost = keyed.chat(MODEL).await;
        let again = keyed.chat(MODEL).await;
        assert_eq!(
            (lost.status.as_u16(), provider.total()),
            (502, 2),
            "{fault:?}: {lost:?}"
        );
        again.assert_error(409, "OUTCOME_UNKNOWN");
        assert_eq!(provider.total(), 2);
    }
}

#[tokio::test]
async fn what_failed_and_may_have_been_paid_stays_unknown_when_the_next_attempt_was_not_sent() {
    let provider = Provider::with(&["red", "green"]).await;
    let detour = Detour::of([Way::Through, Way::NoConnection]);
    let relay = provider.behind(Relay::build()).transport(detour).start().await;
    let client = relay.client("app").await;
    provider.next(error(500));

    let reply = client.chat(MODEL).await;

    reply.assert_error(502, "UPSTREAM_FAILED");
    let settled = relay.settled().await;
    assert_eq!((settled.outcome, settled.attempts), (Outcome::Unknown, 2));
    assert_eq!(reply.audit_id(), settled.intent);
}

#[tokio::test]
async fn where_a_call_goes_on_is_on_the_disk_before_it_is_sent_there() {
    let provider = Provider::with(&["red", "green"]).await;
    let detour = Detour::of([Way::Through, Way::Held]);
    let relay = provider.behind(Relay::build()).transport(detour.clone()).start().await;
    let client = relay.client("app").await;
    provider.next(error(401));

    let asking = launch(&client);
    eventually("the second attempt hangs", async || detour.left() == 0).await;
    let relay = relay.lose_power().await.start().await;
    asking.abort();

    let (intent, first) = relay.intents().remove(0);
    let rerouted = relay.log_book().into_iter().find_map(|(_, entry)| match entry.event {
        Event::Rerouted(reroute) => Some(reroute),
        _ => None,
    });
    let rerouted = rerouted.expect("the way is recorded");
    assert_eq!(rerouted.intent, intent);
    assert_ne!(rerouted.account, first.account);
}

#[tokio::test]
async fn a_refused_call_keeps_its_place_while_it_goes_on_elsewhere() {
    let provider = Provider::with(&["red", "green"]).await;
    let build = Relay::build()
        .with("PER_KEY_MAX_CONCURRENT_CALLS", "1")
        .with("PER_KEY_MAX_QUEUE_CALLS", "1");
    let relay = provider.behind(build).start().await;
    let client = relay.client("app").await;
    provider.order(Rule::any(error(401)).after(Duration::from_millis(200)));

    let first = launch(&client);
    eventually("the first is at the provider", async || provider.in_flight() == 1).await;
    let (second, third) = tokio::join!(client.chat(MODEL), client.chat(MODEL));

    let first = first.await.unwrap();
    assert_eq!(first.status, 200, "{first:?}");
    let mut others = [second.status.as_u16(), third.status.as_u16()];
    others.sort_unstable();
    assert_eq!(others, [200, 429], "one waited, one found the queue full");
}
