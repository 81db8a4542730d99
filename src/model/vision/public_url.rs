//! URLs that an upstream may be sent to fetch.

use std::fmt;
use std::str::FromStr;

use crate::model::address::is_public;
use crate::model::http_url::{Host, HttpUrl, HttpUrlError};

/// An `http` or `https` URL of a host on the public internet, exactly as it was written.
///
/// We never fetch it, but the upstream may, from inside its own network. What a name resolves to is not ours to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Why a URL is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// It is longer than [`PublicUrl::MAX_LENGTH`].
    #[error("the image's URL is longer than {} bytes", PublicUrl::MAX_LENGTH)]
    TooLong,
    /// It is no URL, or one that parsers read differently.
    #[error("the image's URL {0}")]
    Malformed(#[from] HttpUrlError),
    /// Its host is not on the public internet.
    #[error("the host of the image's URL is not on the public internet")]
    NotPublic,
}

impl PublicUrl {
    /// The most bytes of a URL. Signed URLs of object stores have one to two thousand.
    pub const MAX_LENGTH: usize = 8192;

    /// The URL, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(PublicUrlError::TooLong);
        }
        let url: HttpUrl = text.parse()?;
        let is_public = match &url.authority.host {
            Host::Name(name) => is_public_name(name),
            Host::Address(address) => is_public(*address),
        };
        if !is_public {
            return Err(PublicUrlError::NotPublic);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether a name does not show that it leads into somebody's own network.
fn is_public_name(host: &str) -> bool {
    let is_within = |domain: &&str| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    host.contains('.') && !NOT_PUBLIC.iter().any(is_within)
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Domains that lead into somebody's own network (RFC 6761, 6762, 7686, 8375, ICANN's `.internal`), and the names of
/// clouds' metadata that lie elsewhere.
const NOT_PUBLIC: [&str; 12] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "in-addr.arpa",
    "ip6.arpa",
    "onion",
    "metadata.goog",
    "metadata.tencentyun.com",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> PublicUrlError {
        url.parse::<PublicUrl>().expect_err(url)
    }

    #[test]
    fn a_url_of_a_public_host_stays_as_it_was_written() {
        for url in [
            "https://example.com/a.png",
            "http://example.com",
            "HTTPS://Example.COM/A%20b.png?x=1&sig=a%2Bb#top",
            "https://my_bucket.oss-cn-beijing.aliyuncs.com:443/图.png",
            "http://1.1.1.1/a.png",
            "http://[2606:4700:4700::1111]:8080/a.png",
            "https://xn--bcher-kva.example.com./x",
            "https://example.com?mail=a@b",
            "https://local.example.com/",
            "https://mylocal.com/",
        ] {
            assert_eq!(url.parse::<PublicUrl>().map(|url| url.to_string()), Ok(url.to_owned()));
        }
    }

    #[test]
    fn hosts_inside_somebodys_network_are_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://10.0.0.8:9000/a.png",
            "http://169.254.169.254/latest/meta-data/",
            "http://100.100.100.200/latest/meta-data/",
            "http://0.0.0.0/",
            "http://127.0.0.1./",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:8.8.8.8]/",
            "http://[::ffff:7f00:1]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[ff02::1]/",
            "http://localhost:3000/",
            "http://LocalHost./",
            "http://a.localhost/",
            "http://printer.local/",
            "http://metadata.google.internal/computeMetadata/v1/",
            "http://metadata.tencentyun.com/",
            "http://redis/",
            "http://redis:6379/",
        ] {
            assert_eq!(refused(url), PublicUrlError::NotPublic, "{url}");
        }
    }

    #[test]
    fn what_parsers_read_differently_is_refused_for_its_own_reason() {
        let malformed = |url: &str| refused(url).to_string();
        assert_eq!(
            malformed("ftp://example.com/"),
            "the image's URL must begin with http:// or https://"
        );
        assert_eq!(
            malformed("http://me@example.com/"),
            "the image's URL must not name a user"
        );
        assert_eq!(refused("http://0x7f.1/"), PublicUrlError::Malformed(HttpUrlError::Host));
    }

    #[test]
    fn a_url_that_is_too_long_is_refused() {
        let url = format!("http://example.com/{}", "a".repeat(PublicUrl::MAX_LENGTH));
        assert_eq!(refused(&url), PublicUrlError::TooLong);
    }
}
