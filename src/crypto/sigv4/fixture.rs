//! The golden vectors of the signature scheme, for tests.

use serde::Deserialize;

/// The file of golden vectors: one request, signed in several ways.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) x_date: String,
    pub(crate) host: String,
    pub(crate) region: String,
    pub(crate) method: String,
    pub(crate) body: String,
    pub(crate) body_sha256: String,
    pub(crate) vectors: Vec<Vector>,
}

/// One way.
#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) algorithm: String,
    pub(crate) suffix: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: Option<String>,
    pub(crate) signed_headers: String,
    pub(crate) signature: String,
}

pub(crate) fn golden() -> Golden {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sigv4.json"));
    serde_json::from_str(text).unwrap()
}
