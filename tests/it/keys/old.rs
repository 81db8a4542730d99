//! Keys of the relay before this one.

use super::*;

#[tokio::test]
async fn keys_of_the_old_relay_come_over_with_their_secrets() {
    let relay = Relay::start().await;
    let rows = json!({ "rows": [
        old_row(),
        { "id": "key_00000000000000bb", "access_key": "ak_brokenbrokenbrok", "secret_key_ciphertext": "v1:AAAA" },
    ]});

    let first = relay
        .operator()
        .post("/admin/keys/import", &rows.to_string())
        .await
        .json();
    let again = relay
        .operator()
        .post("/admin/keys/import", &rows.to_string())
        .await
        .json();

    assert_eq!((&first["added"], &first["skipped"]), (&json!(1), &json!(0)), "{first}");
    assert_eq!(first["errors"].as_array().map(Vec::len), Some(1));
    assert!(text(&first["errors"][0]).contains("key_00000000000000bb"));
    assert_eq!((&again["added"], &again["skipped"]), (&json!(0), &json!(1)));
    let shown = relay.operator().get("/admin/keys/key_00000000000000aa").await.json();
    let holder = client_of(&relay, &json!({ "id": shown["id"], "secret_key": OLD_SECRET }));
    assert_eq!(
        holder.post_signed("/v1/submit", &submit_body("imported")).await.status,
        200
    );
    assert_eq!(
        (&shown["schemes"], &shown["scopes"]),
        (&json!(["signed"]), &json!(["relay"]))
    );
}

/// A row of the old relay's `api_keys` table. Its secret, `sk_` and 32 characters, was sealed under the test's master key
/// with Python's `cryptography`.
fn old_row() -> Value {
    json!({
        "id": "key_00000000000000aa",
        "access_key": OLD_ACCESS_KEY,
        "secret_key_ciphertext": OLD_CIPHERTEXT,
        "description": "from the old relay",
        "status": "active",
        "created_at": "2025-01-01T00:00:00Z",
        "updated_at": "2025-01-01T00:00:00Z",
    })
}

const OLD_ACCESS_KEY: &str = "ak_abcdefghijklmnop";
const OLD_SECRET: &str = "sk_abcdefghijklmnopqrstuvwxyz234567";
const OLD_CIPHERTEXT: &str = "v1:bm9uY2UtdHdlbHZlD3+y3ESVL9/OlM5RrDWP/rqVCToOVhZqdmiDQztK8XKGN50WY1DDxQLPLOtDrQbUFPAN";
