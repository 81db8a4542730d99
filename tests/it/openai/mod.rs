//! OpenAI's API from outside: where a call goes, what of it changes, and what comes back.

mod models;

use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tollgate::auth::KeySpec;
use tollgate::model::key::{Limits, Schemes, Scope, Scopes};
use tollgate::model::outcome::Outcome;
use tollgate::model::usage::{Source, Usage};
use tollgate::sandbox::{Fault, Rule};

use crate::support::{Client, OPENAI_KEY, Relay, Reply, Say, Script, Wire, head, openai_imitation, replying};

const CHAT: &str = "/v1/chat/completions";
const JSON: &str = "Content-Type: application/json";

const ROUTES: [&str; 5] = [
    CHAT,
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/images/generations",
];

/// A reply that a parser would write in another way.
const REPLY: &str = "{ \"choices\":[ ],\"cost\":1.0e4,\n\"text\":\"\\u6210\\u529f\", \"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2} }\n";

/// An upstream that always says this.
async fn saying(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Script {
    Script::start([Say::Bytes(replying(status, headers, body))]).await
}

/// A relay before an upstream that answers every call well, and a client of it.
async fn answered() -> (Relay, Client, Script) {
    let upstream = saying("200 OK", &[JSON], REPLY).await;
    let relay = Relay::build().openai_at(upstream.address).start().await;
    let alice = relay.client("alice").await;
    (relay, alice, upstream)
}

fn bodies(upstream: &Script) -> Vec<String> {
    let heard = upstream.heard().into_iter();
    heard.map(|heard| String::from_utf8(heard.body).unwrap()).collect()
}

/// A chat with a model.
fn chat(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#)
}

#[tokio::test]
async fn every_route_leads_to_its_path_at_the_upstream_with_the_accounts_credential_alone() {
    let (_relay, alice, upstream) = answered().await;
    let alice = alice
        .header("openai-organization", "org-of-the-client")
        .header("openai-beta", "assistants=v2")
        .header("x-forwarded-host", "evil.example");

    for route in ROUTES {
        let reply = alice.post(route, &chat("m")).await;
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, REPLY), "{route}");
    }

    let heard = upstream.heard();
    let lines: Vec<_> = heard.iter().map(|heard| heard.line().to_owned()).collect();
    assert_eq!(lines, ROUTES.map(|route| format!("POST {route} HTTP/1.1")));
    for heard in heard {
        assert_eq!(heard.header("authorization"), [format!("Bearer {OPENAI_KEY}")]);
        assert_eq!(heard.header("openai-beta"), ["assistants=v2"]);
        assert_eq!(heard.header("host"), [upstream.address.to_string()]);
        assert!(!heard.head.contains("org-of-the-client") && !heard.head.contains("evil"));
    }
}

#[tokio::test]
async fn the_imitation_answers_on_every_route() {
    let upstream = openai_imitation().await;
    let relay = Relay::build().openai_at(upstream.addr()).start().await;
    let alice = relay.client("alice").await;
    for (route, body) in [
        (CHAT, chat("m")),
        ("/v1/completions", r#"{"model":"m","prompt":"hello"}"#.to_owned()),
        ("/v1/embeddings", r#"{"model":"m","input":"hello"}"#.to_owned()),
        ("/v1/responses", r#"{"model":"m","input":"hello"}"#.to_owned()),
        ("/v1/images/generations", r#"{"model":"m","prompt":"hello"}"#.to_owned()),
    ] {
        let reply = alice.post(route, &body).await;
        assert_eq!(reply.status, 200, "{route}: {reply:?}");
        assert_eq!(upstream.seen().action(route), 1);
    }
}

#[tokio::test]
async fn a_body_reaches_the_upstream_byte_for_byte() {
    let (_relay, alice, upstream) = answered().await;
    let odd = [
        r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"tool_call_id":"c","role":"tool","content":"1"}],"model":"m"}"#,
        r#"{"model":"m","messages":[{"content":[{"type":"text","text":"?"},{"type":"image_url","image_url":{"url":"data:,"}}],"role":"user"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]}"#,
        "{ \"temperature\" : 1.0E+0 ,\r\n\"zebra\":12345678901234567890123, \"model\":\"m\",\"top_p\":0.50,\"apple\":[null,{}],\"messages\":[1] }\n",
        r#"{"messages":[{"role":"user","content":"\u706f\u5854 灯塔"}],"model":"m","base_url":"http://evil.example","api_base":"http://evil.example","x":1,"x":2}"#,
    ];
    for body in odd {
        assert_eq!(alice.post(CHAT, body).await.status, 200, "{body}");
    }
    assert_eq!(bodies(&upstream), odd);
}

#[tokio::test]
async fn an_error_of_the_upstream_keeps_its_status_and_its_body() {
    let error = r#"{"error":{"message":"as the upstream says it","type":"x","param":null,"code":"y"},"more":1.0}"#;
    for status in [
        "400 Bad Request",
        "404 Not Found",
        "409 Conflict",
        "422 Unprocessable Entity",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "503 Service Unavailable",
    ] {
        // Longer than any call may take, so that none waits for another attempt.
        let upstream = saying(status, &[JSON, "Retry-After: 3600"], error).await;
        let relay = Relay::build().openai_at(upstream.address).start().await;
        let reply = relay.client("alice").await.post(CHAT, &chat("m")).await;
        assert_eq!(
            (reply.status.as_str(), reply.text().as_str()),
            (&status[..3], error),
            "{status}"
        );
        assert_eq!(reply.header("retry-after"), Some("3600"));
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_for_any_minute_does_not_cool_the_account() {
    let error = r#"{"error":{"message":"Request too large for m on tokens per min (TPM): Limit 10, Requested 12.","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let upstream = Script::start([
        Say::Bytes(replying("429 Too Many Requests", &[JSON], error)),
        Say::Bytes(replying("200 OK", &[JSON], REPLY)),
    ])
    .await;
    let relay = Relay::build().openai_at(upstream.address).start().await;
    let alice = relay.client("alice").await;

    let refused = alice.post(CHAT, &chat("m")).await;
    let next = alice.post(CHAT, &chat("m")).await;

    assert_eq!((refused.status.as_u16(), refused.text().as_str()), (429, error));
    assert_eq!(next.status, 200, "{next:?}");
}

#[tokio::test]
async fn a_success_that_is_none_is_the_upstreams_failure() {
    for fault in [
        Fault::Html,
        Fault::Gzip,
        Fault::Compressed,
        Fault::Garbage,
        Fault::Truncate,
        Fault::Redirect {
            to: "http://127.0.0.1:1/".parse().unwrap(),
        },
        Fault::Oversize { bytes: 100 << 20 },
    ] {
        for streams in [false, true] {
            let upstream = openai_imitation().await;
            upstream.faults().push(Rule::any(fault.clone())).unwrap();
            let relay = Relay::build().openai_at(upstream.addr()).start().await;
            let alice = relay.client("alice").await;
            if streams && matches!(fault, Fault::Garbage | Fault::Truncate | Fault::Oversize { .. }) {
                continue;
            }
            let body = chat("m").replace("\"messages\"", &format!("\"stream\":{streams},\"messages\""));
            let reply = alice.post(CHAT, &body).await;
            reply.assert_error(502, "UPSTREAM_FAILED");
            assert_eq!(reply.header("x-should-retry"), Some("false"), "{fault:?}");
            assert_eq!(upstream.seen().total, 1, "{fault:?}");
            assert_eq!(relay.settled().await.outcome, Outcome::Unknown, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_or_not_at_all_is_refused_and_nothing_is_paid() {
    let (relay, alice, upstream) = answered().await;
    for body in [
        "",
        "not json",
        "[1]",
        r#"{"model":"m","messages":[{}]"#,
        r#"{"model":"a","model":"b","messages":[{}]}"#,
        r#"{"model":"a","Model":"b","messages":[{}]}"#,
        r#"{"model":"a","STREAM":true,"messages":[{}]}"#,
        r#"{"model":"a","max_tokens":1,"Max_Tokens":9,"messages":[{}]}"#,
        r#"{"model":"a","messages":[{}],"messages":[{},{}]}"#,
        r#"{"model":7,"messages":[{}]}"#,
        r#"{"model":"","messages":[{}]}"#,
        r#"{"messages":[{}]}"#,
        r#"{"model":"m","messages":[]}"#,
        r#"{"model":"m","messages":[ ]}"#,
    ] {
        let reply = alice.post(CHAT, body).await;
        reply.assert_error(400, "VALIDATION_FAILED");
    }
    let nothing = alice.post(CHAT, r#"{"model":"m","messages":[]}"#).await;
    assert_eq!(nothing.json()["error"]["param"], "messages");
    let unnamed = alice.post(CHAT, r#"{"messages":[{}]}"#).await;
    assert_eq!(unnamed.json()["error"]["param"], "model");
    assert!(upstream.heard().is_empty() && relay.intents().is_empty());
}

#[tokio::test]
async fn a_body_of_a_hundred_megabytes_is_refused_unread() {
    let (relay, alice, upstream) = answered().await;
    let mut wire = Wire::to(&relay).await;
    let length = "Content-Length: 104857600";
    wire.send(head(&relay, "POST", CHAT, &[&alice.bearer(), length])).await;
    wire.reply().await.assert_error(413, "BODY_TOO_LARGE");
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn nobody_calls_without_a_key() {
    let (relay, _, upstream) = answered().await;
    for route in ROUTES {
        let reply: Reply = relay.stranger().post_with(route, chat("m"), HeaderMap::new()).await;
        reply.assert_error(401, "AUTH_FAILED");
    }
    relay
        .stranger()
        .get("/v1/models")
        .await
        .assert_error(401, "AUTH_FAILED");
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn what_a_call_used_is_recorded_as_reported() {
    let (relay, alice, _upstream) = answered().await;
    alice.post(CHAT, &chat("m")).await;
    assert_eq!(relay.settled().await.outcome, Outcome::Succeeded);
    assert_eq!(
        relay.consumed(),
        [(
            Usage {
                input: 5,
                output: 2,
                cached: 0
            },
            Source::Reported
        )]
    );
}

#[tokio::test]
async fn a_repeat_under_an_idempotency_key_is_answered_from_the_record() {
    let (relay, alice, upstream) = answered().await;
    let alice = alice.idempotent("chat-1");
    let first = alice.post(CHAT, &chat("m")).await;

    let second = alice.post(CHAT, &chat("m")).await;

    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!((second.status, second.body), (first.status, first.body));
    assert_eq!((upstream.heard().len(), relay.intents().len()), (1, 1));
    let other = alice.post(CHAT, &chat("n")).await;
    other.assert_error(409, "IDEMPOTENCY_CONFLICT");
}
