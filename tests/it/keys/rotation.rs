//! A key that is followed by another, or by none.

use super::*;

#[tokio::test]
async fn after_a_rotation_both_keys_work_until_the_grace_is_over() {
    let relay = Relay::start().await;
    let old = relay.client("rotated").await;
    let task = old.submit(&submit_body("rotation")).await.task_id();
    let path = format!("/admin/keys/{}/rotate", old.issued().key.id);
    let body = json!({ "grace_seconds": 60 });
    let reply = relay.operator().post(&path, &body.to_string()).await;
    let key = reply.json();
    let new = holder(&relay, &key);

    assert_eq!(
        (reply.status.as_u16(), &key["rotation_of"]),
        (201, &json!(old.issued().key.id.to_string()))
    );
    assert_eq!(
        (&key["description"], &key["owner"]),
        (&json!("rotated"), &json!(old.issued().key.owner.to_string()))
    );
    assert_eq!(old.get("/v1/key").await.status, 200);
    // Tasks belong to the family, so the new key fetches what the old one submitted.
    assert_eq!(new.query(&query_body(&task)).await.status, 200);

    relay.clock.forward(Duration::from_secs(61));
    assert_eq!(old.get("/v1/key").await.code(), "KEY_EXPIRED");
    assert_eq!(new.get("/v1/key").await.status, 200);
}

#[tokio::test]
async fn a_rotation_without_grace_revokes_and_one_never_prolongs() {
    let relay = Relay::start().await;
    let old = relay.client("at once").await;
    let path = format!("/admin/keys/{}/rotate", old.issued().key.id);
    relay.operator().post(&path, r#"{"grace_seconds":0}"#).await;
    assert_eq!(old.get("/v1/key").await.code(), "KEY_REVOKED");

    let soon = relay.clock.wall().plus(Duration::from_secs(30)).to_string();
    let key = create(&relay, &json!({ "expires_at": soon })).await;
    let rotated = relay
        .operator()
        .post(&format!("/admin/keys/{}/rotate", text(&key["id"])), "{}")
        .await
        .json();
    let kept = relay
        .operator()
        .get(&format!("/admin/keys/{}", text(&key["id"])))
        .await
        .json();
    assert_eq!(
        (&kept["expires_at"], &rotated["expires_at"]),
        (&key["expires_at"], &key["expires_at"])
    );
}

#[tokio::test]
async fn a_revocation_holds_from_the_next_request_on() {
    let relay = Relay::start().await;
    let client = relay.client("revoked").await;
    assert_eq!(client.get("/v1/key").await.status, 200);

    let path = format!("/admin/keys/{}/revoke", client.issued().key.id);
    let reply = relay.operator().post(&path, "").await.json();

    assert_eq!(
        reply,
        json!({ "id": client.issued().key.id.to_string(), "status": "revoked" })
    );
    assert_eq!(client.get("/v1/key").await.code(), "KEY_REVOKED");
    assert_eq!(relay.operator().post(&path, "").await.json(), reply);
    let again = relay.operator().post(&path.replace("/revoke", "/rotate"), "{}").await;
    assert_eq!(again.code(), "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_revocation_that_comes_while_a_body_arrives_holds() {
    let relay = Relay::start().await;
    let client = relay.client("slow").await;
    let body = submit_body("slow-body");
    let pieces = [&body[..10], &body[10..20], &body[20..]];
    let (more, chunks) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    let stream = futures_util::stream::unfold(chunks, |mut chunks| async { Some((chunks.recv().await?, chunks)) });
    let bearer = format!("Bearer {}", client.issued().secret.expose());
    let headers = http::HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer.parse().unwrap())]);
    let sender = client.clone();
    let sending = async move {
        sender
            .post_with("/v1/submit", reqwest::Body::wrap_stream(stream), headers)
            .await
    };
    let revoking = async {
        // There is room for one piece: when the second one fits, the first is on its way.
        more.send(Ok(pieces[0].to_owned())).await.unwrap();
        more.send(Ok(pieces[1].to_owned())).await.unwrap();
        relay
            .operator()
            .post(&format!("/admin/keys/{}/revoke", client.issued().key.id), "")
            .await;
        more.send(Ok(pieces[2].to_owned())).await.unwrap();
        drop(more);
    };

    let (reply, ()) = tokio::join!(sending, revoking);

    assert_eq!(reply.code(), "KEY_REVOKED");
    assert_eq!(relay.seen("slow-body"), 0);
}
