//! The golden vectors of the signature scheme, from end to end: imported key, head, body.

use super::*;
use crate::crypto::sigv4::fixture::{Golden, Vector, golden};
use crate::model::key::Standing;
use crate::model::legacy::LegacyKey;

impl Golden {
    fn request(&self, vector: &Vector) -> Request {
        let credential = format!("{}/20260224/{}/cv/{}", self.access_key, self.region, vector.suffix);
        let authorization = format!(
            "{} Credential={credential}, SignedHeaders={}, Signature={}",
            vector.algorithm, vector.signed_headers, vector.signature
        );
        let mut request = Request::new()
            .with("host", &self.host)
            .with("x-date", &self.x_date)
            .with("authorization", &authorization);
        request.uri = format!("{}?{}", vector.path, vector.query).parse().unwrap();
        request.body = self.body.clone().into_bytes().leak();
        if let Some(content_type) = &vector.content_type {
            request = request.with("content-type", content_type);
        }
        if vector.signed_headers.contains("x-content-sha256") {
            request = request.with("x-content-sha256", &self.body_sha256);
        }
        request
    }

    /// A relay into which the vectors' key was imported.
    async fn relay(&self, signatures: Signatures) -> Relay {
        let relay = Relay::over(
            File::default(),
            Wall::at("2026-02-24T10:00:00Z".parse().unwrap()),
            signatures,
        );
        let key = LegacyKey {
            id: "key_00000000000000aa".parse().unwrap(),
            access_key: self.access_key.clone(),
            secret: Secret::new(self.secret_key.clone()),
            description: "studio".to_owned(),
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
            expires_at: None,
            standing: Standing::Active,
            rotation_of: None,
        };
        relay.issuer.import(vec![key], &operator()).await.unwrap();
        relay
    }
}

#[tokio::test]
async fn the_golden_vectors_are_let_in_with_an_imported_key() {
    let golden = golden();
    let relay = golden.relay(Signatures::Superset).await;
    assert_eq!(golden.vectors.len(), 5);
    for vector in &golden.vectors {
        let caller = relay.relay(&golden.request(vector));
        assert!(caller.is_ok(), "{}: {caller:?}", vector.name);
        assert_eq!(caller.unwrap().owner.to_string(), "own_00000000000000aa");
    }
}

#[tokio::test]
async fn strictly_only_jimeng_relays_own_vectors_are_let_in() {
    let golden = golden();
    let relay = golden.relay(Signatures::Strict).await;
    let verdicts: Vec<_> = golden
        .vectors
        .iter()
        .map(|vector| relay.relay(&golden.request(vector)).is_ok())
        .collect();
    assert_eq!(verdicts, [true, true, true, false, false]);
}

#[tokio::test]
async fn a_signed_request_holds_for_five_minutes_either_way() {
    let golden = golden();
    let relay = golden.relay(Signatures::Superset).await;
    let request = golden.request(&golden.vectors[0]);
    for (now, is_let_in) in [
        ("2026-02-24T09:55:00Z", true),
        ("2026-02-24T10:05:00Z", true),
        ("2026-02-24T09:54:59Z", false),
        ("2026-02-24T10:05:01Z", false),
    ] {
        relay.clock.set(now.parse().unwrap());
        assert_eq!(relay.relay(&request).is_ok(), is_let_in, "{now}");
    }
}
