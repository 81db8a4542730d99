//! What opens S3-compatible object storage, in the variables that AWS's own tools read.

use super::reader::Reader;
use super::value::{self, Wrong};
use crate::model::http_url::HttpUrl;
use crate::model::object_url::{ObjectUrl, ObjectUrlError};
use crate::model::secret::Secret;

/// What opens S3-compatible object storage.
#[derive(Debug, Clone)]
pub struct Aws {
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; `None` where neither is set.
    pub credentials: Option<AwsCredentials>,
    /// `AWS_REGION`, or else `AWS_DEFAULT_REGION`: what requests are signed for.
    pub region: String,
    /// `AWS_ENDPOINT_URL`: where an object store other than AWS's is.
    pub endpoint: Option<String>,
    /// `AWS_VIRTUAL_HOSTED_STYLE_REQUEST`: where a request names its bucket.
    pub addressing: Addressing,
}

/// A pair of keys, and the token of a session where they belong to one.
#[derive(Debug, Clone)]
pub struct AwsCredentials {
    /// The id of the access key, which is no secret.
    pub access_key_id: String,
    /// The secret of the access key.
    pub secret_access_key: Secret,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<Secret>,
}

/// Where a request names its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// In its path, which AWS and most S3-compatible servers take.
    Path,
    /// In its host, which Aliyun's OSS and Volcengine's TOS demand.
    VirtualHost,
}

impl Aws {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let id = reader.text("AWS_ACCESS_KEY_ID");
        let secret = reader.secret("AWS_SECRET_ACCESS_KEY", |text| Ok(Secret::new(text)));
        let session_token = reader.secret("AWS_SESSION_TOKEN", |text| value::visible(Secret::new(text)));
        let credentials = match (id, secret) {
            (Some(access_key_id), Some(secret_access_key)) => Some(AwsCredentials {
                access_key_id,
                secret_access_key,
                session_token,
            }),
            (None, None) => None,
            (id, _) => {
                let missing = if id.is_some() {
                    "AWS_SECRET_ACCESS_KEY"
                } else {
                    "AWS_ACCESS_KEY_ID"
                };
                reader.mistake(missing, "is not set, but its other half is", "set both, or neither");
                None
            }
        };
        let default_region = reader.text("AWS_DEFAULT_REGION");
        let virtual_host = reader.value_or("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", false, value::switch);
        Self {
            credentials,
            region: reader
                .text("AWS_REGION")
                .or(default_region)
                .unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: reader.value("AWS_ENDPOINT_URL", endpoint),
            addressing: if virtual_host {
                Addressing::VirtualHost
            } else {
                Addressing::Path
            },
        }
    }

    /// The place of objects that a variable names, for what is called `folder` where its kind is kept in a folder.
    ///
    /// A bucket without credentials is a mistake: the first use of it may be hours away, when nobody looks.
    pub(super) fn place(&self, reader: &mut Reader<'_>, variable: &str, folder: &str) -> Option<ObjectUrl> {
        let url = reader.value(variable, |text| {
            text.parse().map_err(|error: ObjectUrlError| {
                Wrong::new(
                    error.to_string(),
                    format!("set a folder such as {folder}, or s3://bucket/prefix"),
                )
            })
        })?;
        if matches!(url, ObjectUrl::Bucket { .. }) && self.credentials.is_none() {
            reader.mistake(
                variable,
                "names a bucket, but there are no credentials",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            );
        }
        Some(url)
    }
}

/// A URL without a trailing slash.
fn endpoint(text: &str) -> Result<String, Wrong> {
    let fix = "set the root of an S3-compatible server, such as https://oss-cn-beijing.aliyuncs.com";
    text.parse::<HttpUrl>()
        .map_err(|error| Wrong::new(error.to_string(), fix))?;
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MapVars;

    fn read(vars: &MapVars) -> (Aws, Vec<String>) {
        let mut reader = Reader::new(vars);
        let aws = Aws::read(&mut reader);
        (
            aws,
            reader.mistakes.into_iter().map(|mistake| mistake.variable).collect(),
        )
    }

    #[test]
    fn the_region_is_what_is_set_and_the_endpoint_is_a_root() {
        let vars = MapVars::default()
            .with("AWS_REGION", "eu-west-1")
            .with("AWS_DEFAULT_REGION", "us-west-2")
            .with("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/");
        let (aws, mistakes) = read(&vars);

        assert_eq!((aws.region.as_str(), mistakes.len()), ("eu-west-1", 0));
        assert_eq!(aws.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(aws.addressing, Addressing::Path);
    }

    #[test]
    fn half_a_pair_of_keys_is_a_mistake_and_names_the_other_half() {
        let half = |name| read(&MapVars::default().with(name, "canary")).1;
        assert_eq!(half("AWS_ACCESS_KEY_ID"), ["AWS_SECRET_ACCESS_KEY"]);
        assert_eq!(half("AWS_SECRET_ACCESS_KEY"), ["AWS_ACCESS_KEY_ID"]);
    }

    #[test]
    fn an_endpoint_is_a_url() {
        let (aws, mistakes) = read(&MapVars::default().with("AWS_ENDPOINT_URL", "minio:9000"));
        assert_eq!((aws.endpoint, mistakes), (None, vec!["AWS_ENDPOINT_URL".to_owned()]));
    }

    #[test]
    fn credentials_cannot_be_printed() {
        let vars = MapVars::default()
            .with("AWS_ACCESS_KEY_ID", "id")
            .with("AWS_SECRET_ACCESS_KEY", "canary")
            .with("AWS_SESSION_TOKEN", "canary");
        assert!(!format!("{:?}", read(&vars).0).contains("canary"));
    }
}
