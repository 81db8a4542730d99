//! The headers of a delivery, as Standard Webhooks lays them down.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use http::{HeaderMap, HeaderName, HeaderValue};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use crate::model::clock::Timestamp;

/// The three headers of one attempt: which delivery it is, when it was made, and the signature over both and the
/// payload. `None` for an id that no header can carry, which ours all can.
pub(super) fn headers(key: &[u8], id: &str, at: Timestamp, payload: &str) -> Option<HeaderMap> {
    let signer = Webhook::from_bytes(key.to_vec()).ok()?;
    let signature = signer.sign(id, at.as_seconds(), payload.as_bytes()).ok()?;
    let values = [
        (HEADER_WEBHOOK_ID, id),
        (HEADER_WEBHOOK_TIMESTAMP, &at.as_seconds().to_string()),
        (HEADER_WEBHOOK_SIGNATURE, &signature),
    ];
    let header =
        |(name, value): (&'static str, &str)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?));
    values.into_iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    /// The example of the specification.
    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        let key = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let headers = headers(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp::from_seconds(1_614_265_330),
            r#"{"test": 2432232314}"#,
        )
        .unwrap();
        assert_eq!(headers["webhook-id"], "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(
            headers["webhook-signature"],
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
