//! What calls cost, what a key may spend, and what is left of it: over HTTP, across crashes and across midnights.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tollgate::model::clock::Timestamp;
use tollgate::model::day::Day;
use tollgate::model::key::{Limits, Scope};
use tollgate::model::money::Budget;
use tollgate::sandbox::{Fault, Imitation, Rule};

use crate::support::{Brake, Builder, Client, Crash, Disk, Relay, Stop, eventually, openai_imitation, submit_body};

const CHAT: &str = "/v1/chat/completions";
const PROCESS: &str = "CVProcess";
const SUBMIT: &str = "CVSync2AsyncSubmitTask";

/// What an image costs.
const IMAGE: u64 = 100;

/// Gives a model a price.
async fn price(relay: &Relay, model: &str, target: &str, price: Value) {
    let (upstream, name) = target.split_once('=').unwrap();
    let body = json!({ "targets": [{ "upstream": upstream, "model": name }], "price": price });
    let path = format!("/admin/models/{model}");
    let put = relay
        .operator()
        .send(Method::PUT, &path, &body.to_string())
        .await
        .unwrap();
    assert_eq!(put.status, 200, "{put:?}");
}

/// A relay where an image costs [`IMAGE`], and the clock stands at noon, so that no test meets a midnight.
async fn with_images(builder: Builder) -> Relay {
    let relay = builder.start().await;
    to_noon(&relay);
    let image = json!({ "currency": "CNY", "image": IMAGE });
    price(&relay, "jimeng_t2i_v40", "volcengine=jimeng_t2i_v40", image).await;
    relay
}

/// The noon that comes next.
fn to_noon(relay: &Relay) {
    let now = relay.wall();
    let midnight = Day::of(now).ends_at();
    let noon = midnight.plus(Duration::from_hours(12));
    relay.clock.forward(noon.since(now));
}

fn limits(currency: &str, day: u64, month: u64) -> Limits {
    Limits {
        concurrency: NonZeroU32::new(64),
        queue: Some(64),
        budget: Some(Budget {
            currency: currency.parse().unwrap(),
            day: NonZeroU64::new(day),
            month: NonZeroU64::new(month),
        }),
        ..Limits::default()
    }
}

/// What `GET /v1/usage` says.
async fn usage(client: &Client) -> Value {
    let reply = client.get("/v1/usage").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// What was spent, is reserved and is left of a day's budget.
async fn day(client: &Client) -> [u64; 3] {
    let budget = &usage(client).await["budget"]["day"];
    ["spent", "reserved", "left"].map(|what| budget[format!("{what}_microunits")].as_u64().unwrap())
}

/// Waits until a day's budget stands so: what nobody waits for is settled with the next commit.
async fn until_day(client: &Client, expected: [u64; 3]) {
    let what = format!("spent, reserved and left are {expected:?}");
    eventually(&what, async || day(client).await == expected).await;
}

fn chat(stream: bool) -> String {
    json!({
        "model": "gpt-4o-mini", "max_tokens": 500, "stream": stream,
        "messages": [{ "role": "user", "content": "hello, what does it cost?" }],
    })
    .to_string()
}

/// A relay before OpenAI's imitation, whose model costs a micro-unit for a token asked and two for one answered.
async fn with_tokens() -> (Relay, Imitation) {
    let upstream = openai_imitation().await;
    let relay = Relay::build().openai_at(upstream.addr()).start().await;
    to_noon(&relay);
    let tokens = json!({ "currency": "USD", "input": 1_000_000, "output": 2_000_000 });
    price(&relay, "gpt-4o-mini", "openai=gpt-4o-mini", tokens).await;
    (relay, upstream)
}

#[tokio::test]
async fn a_call_that_does_not_fit_is_told_what_is_left_and_when_it_begins_anew_and_is_not_sent() {
    let relay = with_images(Relay::build()).await;
    let alice = relay.client_limited("alice", limits("CNY", 250, 0)).await;
    for marker in ["one", "two"] {
        assert_eq!(alice.submit(&submit_body(marker)).await.status, 200);
    }

    let third = alice.submit(&submit_body("three")).await;

    assert_eq!((third.status.as_u16(), third.code().as_str()), (429, "QUOTA_EXCEEDED"));
    assert_eq!(third.header("x-should-retry"), Some("false"));
    let told = third.json();
    assert_eq!(
        (&told["code"], &told["error"]["type"]),
        (&json!(50_499), &json!("insufficient_quota"))
    );
    let budget = &told["error"]["budget"];
    let resets_at = Day::of(relay.wall()).ends_at();
    assert_eq!(
        *budget,
        json!({
            "period": "day", "currency": "CNY", "limit_microunits": 250, "left_microunits": 50,
            "needed_microunits": 100, "resets_at": resets_at.to_string(),
        })
    );
    let wait: u64 = third.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=43_200).contains(&wait), "{wait}");
    assert_eq!(relay.seen("three"), 0);
    until_day(&alice, [200, 0, 50]).await;
}

#[tokio::test]
async fn tokens_are_settled_as_the_upstream_counted_them_in_one_piece_and_as_a_stream() {
    let (relay, _upstream) = with_tokens().await;
    let alice = relay.client_limited("alice", limits("USD", 100_000, 0)).await;

    for stream in [false, true] {
        let reply = alice.post(CHAT, &chat(stream)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    eventually("both are settled", async || relay.consumed().len() == 2).await;
    let (input, output) = relay
        .consumed()
        .into_iter()
        .fold((0, 0), |sum, (usage, _)| (sum.0 + usage.input, sum.1 + usage.output));
    let told = usage(&alice).await;
    let item = &told["items"][0];
    assert_eq!(
        (
            &item["model"],
            &item["calls"],
            &item["input_tokens"],
            &item["output_tokens"]
        ),
        (&json!("gpt-4o-mini"), &json!(2), &json!(input), &json!(output))
    );
    let cost = input + 2 * output;
    assert_eq!(item["cost_microunits"], cost);
    assert_eq!(
        told["totals"],
        json!([{ "currency": "USD", "calls": 2, "cost_microunits": cost }])
    );
    until_day(&alice, [cost, 0, 100_000 - cost]).await;
    let metrics = relay.operator().get("/metrics").await.text();
    // Every test of this process adds to it.
    let series = "tollgate_cost_microunits_total{currency=\"USD\",model=\"gpt-4o-mini\"} ";
    let told = metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap();
    assert!(told.parse::<u64>().unwrap() >= cost, "{told}");
}

#[tokio::test]
async fn a_key_with_a_budget_uses_only_models_with_a_price_in_its_currency() {
    let (relay, upstream) = with_tokens().await;
    let alice = relay.client_limited("alice", limits("CNY", 1_000_000, 0)).await;

    let other_currency = alice.post(CHAT, &chat(false)).await;
    let unpriced = alice.submit(&submit_body("unpriced")).await;

    for refused in [other_currency, unpriced] {
        refused.assert_error(403, "MODEL_DENIED");
        assert!(refused.text().contains("tollgate model put"), "{refused:?}");
    }
    assert_eq!((upstream.seen().account("first").total, relay.seen("unpriced")), (0, 0));
}

#[tokio::test]
async fn without_a_budget_a_call_without_a_price_costs_nothing_and_is_counted() {
    let relay = Relay::start().await;
    to_noon(&relay);
    let alice = relay.client("alice").await;
    assert_eq!(alice.submit(&submit_body("free")).await.status, 200);

    let told = usage(&alice).await;

    let item = &told["items"][0];
    assert_eq!(
        (
            &item["calls"],
            &item["images"],
            &item["cost_microunits"],
            item.get("currency")
        ),
        (&json!(1), &json!(1), &json!(0), None)
    );
    assert_eq!(told["budget"], Value::Null);
}

#[tokio::test]
async fn what_the_upstream_refused_or_never_saw_is_given_back() {
    let brake = Arc::new(Brake::new(Stop::NoConnection));
    let relay = with_images(Relay::build().transport(brake.clone())).await;
    let alice = relay.client_limited("alice", limits("CNY", IMAGE, 0)).await;

    assert_eq!(alice.submit(&submit_body("unconnected")).await.status, 502);
    until_day(&alice, [0, 0, IMAGE]).await;

    brake.stop_at(Stop::Nowhere);
    let limit = Rule::on(PROCESS, Fault::concurrency_limit()).always();
    relay.upstream.faults().push(limit).unwrap();
    let refused = alice.process(&submit_body("refused")).await;
    assert_ne!(refused.status, 200, "{refused:?}");
    until_day(&alice, [0, 0, IMAGE]).await;
    assert_eq!(usage(&alice).await["items"], json!([]));
}

#[tokio::test]
async fn an_unknown_outcome_holds_the_estimate_until_a_person_decides() {
    let relay = with_images(Relay::build()).await;
    let alice = relay.client_limited("alice", limits("CNY", 250, 0)).await;
    for key in ["lost", "found"] {
        relay.upstream.faults().push(Rule::on(SUBMIT, Fault::Reset)).unwrap();
        alice.idempotent(key).submit(&submit_body(key)).await;
    }
    until_day(&alice, [200, 0, 50]).await;
    assert_eq!(usage(&alice).await["items"][0]["estimated_calls"], 2);
    let resolve = async |key: &str, verdict: Value| {
        let intent = alice.idempotent(key).submit(&submit_body(key)).await.audit_id();
        let path = format!("/admin/audit/{intent}/resolve");
        let resolved = relay.operator().post(&path, &verdict.to_string()).await;
        assert_eq!(resolved.status, 200, "{resolved:?}");
    };

    resolve("lost", json!({ "outcome": "not_sent" })).await;
    until_day(&alice, [100, 0, 150]).await;
    resolve("found", json!({ "task_id": "7392616336519610409" })).await;

    until_day(&alice, [100, 0, 150]).await;
    assert_eq!(usage(&alice).await["totals"][0]["cost_microunits"], 100);
}

#[tokio::test]
async fn an_unknown_outcome_of_a_call_without_a_key_is_decided_as_well_and_once() {
    let relay = with_images(Relay::build()).await;
    let alice = relay.client_limited("alice", limits("CNY", 250, 0)).await;
    relay.upstream.faults().push(Rule::on(PROCESS, Fault::Reset)).unwrap();
    let intent = alice.process(&submit_body("nobody repeats it")).await.audit_id();
    until_day(&alice, [100, 0, 150]).await;
    let path = format!("/admin/audit/{intent}/resolve");
    let resolve = async || relay.operator().post(&path, r#"{"outcome":"not_sent"}"#).await;

    let resolved = resolve().await;

    assert_eq!(resolved.status, 200, "{resolved:?}");
    until_day(&alice, [0, 0, 250]).await;
    let again = resolve().await;
    assert_eq!(
        (again.status.as_u16(), again.code().as_str()),
        (400, "VALIDATION_FAILED")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_never_spend_more_than_there_is() {
    let relay = with_images(Relay::build().with("UPSTREAM_MAX_CONCURRENT", "16")).await;
    let alice = relay.client_limited("alice", limits("CNY", 5 * IMAGE + 1, 0)).await;

    let calls = (0..40).map(|number| {
        let alice = alice.clone();
        async move { alice.process(&submit_body(&format!("rush-{number}"))).await }
    });
    let replies = join_all(calls).await;

    let made = replies.iter().filter(|reply| reply.status == 200).count();
    let turned_away = replies
        .iter()
        .filter(|reply| reply.status == 429 && reply.code() == "QUOTA_EXCEEDED")
        .count();
    assert_eq!((made, turned_away), (5, 35));
    until_day(&alice, [500, 0, 1]).await;
}

#[tokio::test]
async fn keys_of_one_rotation_family_spend_together() {
    let relay = with_images(Relay::build()).await;
    let alice = relay.client_limited("alice", limits("CNY", IMAGE, 0)).await;
    assert_eq!(alice.submit(&submit_body("before")).await.status, 200);
    let path = format!("/admin/keys/{}/rotate", alice.issued().key.id);
    let rotated = relay.operator().post(&path, "{}").await.json();
    let bearer = format!("Bearer {}", rotated["secret_key"].as_str().unwrap());
    let heir = relay.stranger().header("authorization", &bearer);

    assert_eq!(
        rotated["limits"]["budget"],
        json!({ "currency": "CNY", "day_microunits": IMAGE })
    );
    heir.submit(&submit_body("after"))
        .await
        .assert_error(429, "QUOTA_EXCEEDED");
}

#[tokio::test]
async fn a_new_day_and_a_new_month_begin_with_the_whole_budget() {
    let relay = with_images(Relay::build()).await;
    let alice = relay.client_limited("alice", limits("CNY", IMAGE, 0)).await;
    let bob = relay.client_limited("bob", limits("CNY", 0, IMAGE)).await;
    for client in [&alice, &bob] {
        assert_eq!(client.submit(&submit_body("first")).await.status, 200);
        client
            .submit(&submit_body("second"))
            .await
            .assert_error(429, "QUOTA_EXCEEDED");
    }

    relay.clock.forward(Duration::from_hours(24));
    until_day(&alice, [0, 0, IMAGE]).await;
    assert_eq!(alice.submit(&submit_body("next day")).await.status, 200);

    relay.clock.forward(Duration::from_hours(24 * 31));
    assert_eq!(bob.submit(&submit_body("next month")).await.status, 200);
    let told = usage(&alice).await;
    let days: Vec<_> = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["day"])
        .collect();
    assert!(days.is_empty(), "they lie further back than thirty days: {days:?}");
}

#[tokio::test]
async fn a_call_counts_on_the_day_on_which_it_was_asked() {
    let brake = Arc::new(Brake::new(Stop::AfterReply));
    let relay = with_images(Relay::build().transport(brake.clone())).await;
    let alice = relay.client_limited("alice", limits("CNY", IMAGE, 0)).await;
    let asked_on = Day::of(relay.wall());
    let late = alice.try_submitting(&submit_body("late"));
    brake.until_stopped(1).await;
    until_day(&alice, [0, IMAGE, 0]).await;

    relay.clock.forward(Duration::from_hours(24));
    late.abort();
    brake.stop_at(Stop::Nowhere);

    until_day(&alice, [0, 0, IMAGE]).await;
    let left = relay.kill().await;
    let relay = left.start().await;
    let told = usage(&alice.at(&relay.url)).await;
    assert_eq!(
        (&told["items"][0]["day"], &told["items"][0]["cost_microunits"]),
        (&json!(asked_on.to_string()), &json!(IMAGE))
    );
}

#[tokio::test]
async fn killed_between_intent_and_settlement_the_estimate_is_spent_and_nothing_stays_reserved() {
    let brake = Arc::new(Brake::new(Stop::AfterReply));
    let relay = with_images(Relay::build().transport(brake.clone())).await;
    let alice = relay
        .client_limited("alice", limits("CNY", 250, 0))
        .await
        .idempotent("order-1");
    let _in_flight = alice.try_submitting(&submit_body("killed"));
    brake.until_stopped(1).await;
    until_day(&alice, [0, 100, 150]).await;

    let left = relay.kill().await;
    brake.stop_at(Stop::Nowhere);
    let relay = left.start().await;
    let alice = alice.at(&relay.url);

    until_day(&alice, [100, 0, 150]).await;
    let intent = alice.submit(&submit_body("killed")).await.audit_id();
    let path = format!("/admin/audit/{intent}/resolve");
    relay.operator().post(&path, r#"{"outcome":"not_sent"}"#).await;
    until_day(&alice, [0, 0, 250]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_lost_at_any_sync_loses_no_cost_and_reserves_nothing_for_ever() {
    let relay = with_images(Relay::build().with("UPSTREAM_MAX_CONCURRENT", "4")).await;
    let alice = relay.client_limited("alice", limits("CNY", 100 * IMAGE, 0)).await;
    let moments = Arc::new(Mutex::new(Vec::new()));
    let (kept, upstream) = (moments.clone(), relay.upstream.clone());
    relay.disk.before_every_sync(move |Crash { lost, torn }| {
        let sent = upstream.seen().markers.len() as u64;
        kept.lock().unwrap().push(([lost, torn], sent));
    });
    relay
        .upstream
        .faults()
        .push(Rule::on(PROCESS, Fault::ResetMidBody))
        .unwrap();
    relay
        .upstream
        .faults()
        .push(Rule::on(PROCESS, Fault::concurrency_limit()))
        .unwrap();
    let calls = (0..8).map(|number| {
        let alice = alice.clone();
        async move { drop(alice.process(&submit_body(&format!("power-{number}"))).await) }
    });
    join_all(calls).await;
    let mut left = relay.kill().await;
    let moments = std::mem::take(&mut *moments.lock().unwrap());

    for (images, sent) in moments {
        for image in images {
            let relay = left.disk(Disk::holding(image)).start().await;
            let alice = alice.at(&relay.url);
            let [spent, reserved, _] = day(&alice).await;
            let told = usage(&alice).await;
            let sum: u64 = told["totals"]
                .as_array()
                .unwrap()
                .iter()
                .map(|total| total["cost_microunits"].as_u64().unwrap())
                .sum();
            assert_eq!((reserved, sum), (0, spent));
            // One of them was refused outright, which costs nothing.
            assert!(spent >= sent.saturating_sub(1) * IMAGE, "{spent} spent, {sent} sent");
            left = relay.stop().await;
        }
    }
}

#[tokio::test]
async fn an_item_of_a_job_that_does_not_fit_spends_no_attempt_and_waits_for_the_next_day() {
    let relay = with_images(Relay::build()).await;
    let alice = relay.client_with("alice", [Scope::Relay, Scope::Jobs]).await;
    relay.limit(&alice, limits("CNY", IMAGE, 0)).await;
    assert_eq!(alice.submit(&submit_body("spent")).await.status, 200);
    let body = json!({ "req_key": "jimeng_t2i_v40", "prompt": "x", "marker": "waits" });
    let id = alice.job(&json!({ "operation": PROCESS, "body": body })).await;
    let path = format!("/v1/jobs/{id}/items");
    let item = async || alice.get(&path).await.json()["items"][0].clone();
    eventually("it was turned away", async || {
        item().await["error"]["code"] == "QUOTA_EXCEEDED"
    })
    .await;

    let waiting = item().await;

    assert_eq!(
        (&waiting["state"], &waiting["attempts"]),
        (&json!("queued"), &json!(0)),
        "{waiting}"
    );
    assert_eq!(relay.seen("waits"), 0);
    relay.later(Duration::from_hours(24) + Duration::from_mins(2)).await;
    eventually("it is done on the next day", async || relay.seen("waits") == 1).await;
}

#[tokio::test]
async fn an_operator_sees_everybodys_usage_by_what_is_asked_for() {
    let relay = with_images(Relay::build()).await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    for client in [&alice, &alice, &bob] {
        assert_eq!(client.submit(&submit_body("seen")).await.status, 200);
    }
    let today = Day::of(relay.wall()).to_string();
    let operator = relay.operator();

    let by_default = operator.get("/admin/usage").await.json();
    assert_eq!(
        by_default["items"],
        json!([{
            "day": today, "model": "jimeng_t2i_v40", "currency": "CNY", "calls": 3, "input_tokens": 0,
            "cached_tokens": 0, "output_tokens": 0, "images": 3, "seconds": 0, "cost_microunits": 300,
            "estimated_calls": 0,
        }])
    );
    let by_key = operator.get("/admin/usage?group_by=key").await.json();
    let of = |client: &Client| {
        let owner = client.issued().key.owner.to_string();
        let items = by_key["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["owner"] == owner).unwrap()["calls"].clone()
    };
    assert_eq!((of(&alice), of(&bob)), (json!(2), json!(1)));
    let of_bob = operator
        .get(&format!("/admin/usage?key={}", bob.issued().key.id))
        .await
        .json();
    assert_eq!(
        of_bob["totals"],
        json!([{ "currency": "CNY", "calls": 1, "cost_microunits": 100 }])
    );
    let of_nothing = operator.get("/admin/usage?model=other").await.json();
    assert_eq!((&of_nothing["items"], &of_nothing["totals"]), (&json!([]), &json!([])));
    let first = operator.get("/admin/usage?group_by=key&limit=1").await.json();
    let rest = format!(
        "/admin/usage?group_by=key&limit=1&cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    let second = operator.get(&rest).await.json();
    assert_ne!(first["items"], second["items"]);
    assert_eq!(
        (&second["next_cursor"], &second["totals"]),
        (&Value::Null, &first["totals"])
    );
}

#[tokio::test]
async fn a_list_by_day_and_key_goes_on_where_its_page_ended() {
    let relay = with_images(Relay::build()).await;
    let (alice, bob) = (relay.client("alice").await, relay.client("bob").await);
    for client in [&alice, &bob, &alice, &bob] {
        assert_eq!(client.submit(&submit_body("seen")).await.status, 200);
        relay.later(Duration::from_hours(14)).await;
    }
    let operator = relay.operator();
    let mut whole = operator.get("/admin/usage?group_by=day,key,model").await.json();
    assert_eq!(whole["next_cursor"], Value::Null, "{whole}");

    let (mut items, mut cursor) = (Vec::new(), String::new());
    for _ in 0..8 {
        let path = format!("/admin/usage?group_by=day,key,model&limit=1{cursor}");
        let page = operator.get(&path).await.json();
        items.extend(page["items"].as_array().unwrap().clone());
        assert_eq!(page["totals"], whole["totals"]);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }

    assert_eq!(whole["items"].take(), Value::Array(items));
    assert_eq!(whole["totals"][0]["calls"], 4);
    let other = operator.get(&format!("/admin/usage?group_by=day,key{cursor}")).await;
    other.assert_error(400, "VALIDATION_FAILED");
}

#[tokio::test]
async fn days_that_are_none_or_too_many_are_refused() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    for query in [
        "from=yesterday",
        "to=2026-11-31",
        "from=2026-11-21&to=2026-11-20",
        "from=2024-01-01&to=2026-01-01",
        "group_by=hour",
        "key=nobody",
        "key=key_0123456789abcdef",
    ] {
        operator
            .get(&format!("/admin/usage?{query}"))
            .await
            .assert_error(400, "VALIDATION_FAILED");
    }
    let whole_year = operator.get("/admin/usage?from=2024-01-01&to=2024-12-31").await;
    assert_eq!(whole_year.status, 200);
}

#[tokio::test]
async fn a_budget_is_given_changed_and_handed_on_only_within_ones_own() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    let maker = relay.client_with("maker", [Scope::Relay, Scope::Admin]).await;
    relay
        .limit(
            &maker,
            Limits {
                concurrency: None,
                queue: None,
                ..limits("USD", 100, 1_000)
            },
        )
        .await;
    let key = |budget: Value| json!({ "limits": { "budget": budget } }).to_string();
    let within = json!({ "currency": "USD", "day_microunits": 100, "month_microunits": 500 });

    let made = maker.post("/admin/keys", &key(within.clone())).await;
    assert_eq!((made.status.as_u16(), &made.json()["limits"]["budget"]), (201, &within));
    for beyond in [
        json!({ "currency": "USD", "day_microunits": 101, "month_microunits": 500 }),
        json!({ "currency": "USD", "day_microunits": 100 }),
        json!({ "currency": "CNY", "day_microunits": 1, "month_microunits": 1 }),
        Value::Null,
    ] {
        maker
            .post("/admin/keys", &key(beyond))
            .await
            .assert_error(403, "SCOPE_DENIED");
    }
    for wrong in [
        json!({ "currency": "usd", "day_microunits": 1 }),
        json!({ "currency": "USD" }),
        json!({ "currency": "USD", "day_microunits": 0 }),
        json!(5),
    ] {
        operator
            .post("/admin/keys", &key(wrong))
            .await
            .assert_error(400, "VALIDATION_FAILED");
    }
    let path = format!("/admin/keys/{}", made.json()["id"].as_str().unwrap());
    let lifted = operator.send(Method::PATCH, &path, r#"{"limits":null}"#).await.unwrap();
    assert_eq!((lifted.status.as_u16(), lifted.json().get("limits")), (200, None));
}

#[tokio::test]
async fn the_moment_of_a_reset_is_a_midnight_by_utc() {
    let relay = with_images(Relay::build()).await;
    let alice = relay.client_limited("alice", limits("CNY", 1_000, 10_000)).await;
    let told = usage(&alice).await;
    for period in ["day", "month"] {
        let resets_at: Timestamp = told["budget"][period]["resets_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(resets_at.as_seconds() % 86_400, 0);
        assert!(resets_at > relay.wall());
    }
}
