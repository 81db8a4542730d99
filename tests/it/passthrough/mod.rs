//! Bytes pass through, and failures keep their meaning.

mod answered;
mod asked;

use http::Method;
use tollgate::model::outcome::{Outcome, Reason};
use tollgate::sandbox::{Answer, Fault, Rule};

use crate::support::{Heard, Relay, Say, Script, Wire, accepted, head, query_body, replying, submit_body};

const SUBMIT: &str = "/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31";
const JSON: &str = "Content-Type: application/json";

/// Bodies that a parser would write in another way.
const ODD: [&str; 6] = [
    r#"{"req_key": "jimeng_t2i_v40", "prompt": "\u706f\u5854", "seed": -1, "scale": 0.50}"#,
    "{\n\t\"zebra\" : 1.0E+2 ,\r\n \"req_key\":\"a\\/b\", \"apple\":12345678901234567890123 }\n",
    r#"{"req_key":"灯塔","nested":{"task_id":1,"TASK_ID":2},"😀":"\ud83d\ude00"}"#,
    r#"{"unknown":{"fields":[null,true,{}]},"req_key":"x","dup":1,"dup":2}"#,
    "prompt=a+lighthouse&req_key=x",
    "\u{0}\u{1}binary\u{7f} not JSON at all",
];

/// A relay before an upstream that answers so.
async fn answered(bytes: Vec<u8>) -> (Relay, Script) {
    let upstream = Script::start([Say::Bytes(bytes)]).await;
    let relay = Relay::build().upstream_at(upstream.address).start().await;
    (relay, upstream)
}

fn only(upstream: &Script) -> Heard {
    let mut heard = upstream.heard();
    assert_eq!(heard.len(), 1);
    heard.remove(0)
}

#[tokio::test]
async fn a_large_body_and_a_large_reply_pass() {
    let (large, huge) = ("p".repeat(3 << 20), "r".repeat(9 << 20));
    let (relay, upstream) = answered(replying(
        "200 OK",
        &[JSON],
        format!(r#"{{"code":10000,"data":{{"b":"{huge}"}}}}"#),
    ))
    .await;
    let alice = relay.client("alice").await;

    let reply = alice.process(&format!(r#"{{"req_key":"x","image":"{large}"}}"#)).await;

    assert_eq!(reply.json()["data"]["b"], huge);
    assert_eq!(only(&upstream).body.len(), large.len() + 26);
}
