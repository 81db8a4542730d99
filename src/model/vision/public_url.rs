//! URLs that an upstream may be sent to fetch.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::public_address::is_public;

/// An `http` or `https` URL of a host on the public internet, exactly as it was written.
///
/// We never fetch it, but the upstream may, from inside its own network. So only spellings are taken that every parser
/// reads alike: no user, no escapes and no other alphabet in the host, IPv4 only as four plain decimal numbers. What a
/// name resolves to is not ours to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Why a URL is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// It is longer than [`PublicUrl::MAX_LENGTH`].
    #[error("the image's URL is longer than {} bytes", PublicUrl::MAX_LENGTH)]
    TooLong,
    /// It begins with neither `http://` nor `https://`.
    #[error("the image's URL must begin with http:// or https://")]
    Scheme,
    /// It holds a space, a control character or a backslash, which parsers drop or replace.
    #[error("the image's URL holds a space, a control character or a backslash")]
    Character,
    /// It has user information before the host.
    #[error("the image's URL must not name a user")]
    User,
    /// Its port is not a plain number from 1 to 65535.
    #[error("the port of the image's URL is not a plain number from 1 to 65535")]
    Port,
    /// Its host is neither a name of ASCII letters, digits, hyphens and underscores nor an address in its usual form.
    #[error("the host of the image's URL is neither a plain name nor an address in its usual form")]
    Host,
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
        let rest = SCHEMES.iter().find_map(|scheme| without_prefix(text, scheme));
        let rest = rest.ok_or(PublicUrlError::Scheme)?;
        let unread = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
        if text.contains(unread) {
            return Err(PublicUrlError::Character);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(PublicUrlError::User);
        }
        check_authority(authority)?;
        Ok(Self(text.to_owned()))
    }
}

/// `text` without `prefix`, written in any case.
pub(super) fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A host, and after a colon a port.
fn check_authority(authority: &str) -> Result<(), PublicUrlError> {
    let (is_public, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(PublicUrlError::Host)?;
        let address: Ipv6Addr = host.parse().map_err(|_| PublicUrlError::Host)?;
        (is_public(address.into()), port)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(end);
        (is_public_name(host)?, port)
    };
    let is_whole = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    match (is_whole, is_public) {
        (false, _) => Err(PublicUrlError::Port),
        (true, false) => Err(PublicUrlError::NotPublic),
        (true, true) => Ok(()),
    }
}

/// Whether a name, or an IPv4 address, is public.
fn is_public_name(host: &str) -> Result<bool, PublicUrlError> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(PublicUrlError::Host);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    // No top-level domain begins with a digit, and a host whose last label is a number in any base is an IPv4 address
    // (WHATWG URL, "ends in a number").
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        let address: Ipv4Addr = host.parse().map_err(|_| PublicUrlError::Host)?;
        return Ok(is_public(address.into()));
    }
    let is_within = |domain: &&str| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    Ok(host.contains('.') && !NOT_PUBLIC.iter().any(is_within))
}

fn is_port(text: &str) -> bool {
    text.len() <= 5
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok()
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const SCHEMES: [&str; 2] = ["http://", "https://"];

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
    fn an_ipv4_address_has_one_spelling() {
        for url in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.01/",
            "http://8.8.8.0x8/",
            "http://example.com.1/",
            "http://1.1.1.1.1/",
            "http://256.1.1.1/",
        ] {
            assert_eq!(refused(url), PublicUrlError::Host, "{url}");
        }
    }

    #[test]
    fn a_host_that_parsers_read_differently_is_refused() {
        for url in [
            "http:///etc/passwd",
            "http://",
            "http://?x",
            "http://.com/",
            "http://a..com/",
            "http://127%2e0.0.1/",
            "http://①②⑦.⓪.⓪.①/",
            "http://ⓛocalhost.com/",
            "http://127。0。0。1/",
            "http://[::1",
            "http://[fe80::1%25eth0]/",
            "http://[127.0.0.1]/",
            "http://exa$mple.com/",
        ] {
            assert_eq!(refused(url), PublicUrlError::Host, "{url}");
        }
        for url in [
            "http://example.com\\@127.0.0.1/",
            "http://exam\tple.com/",
            "http://example.com/a b",
            "http://example.com/\u{a0}",
            "http://example.com\r\nHost: x/",
        ] {
            assert_eq!(refused(url), PublicUrlError::Character, "{url:?}");
        }
    }

    #[test]
    fn users_odd_ports_and_other_schemes_are_refused() {
        for url in [
            "http://me:pw@example.com/",
            "http://example.com@127.0.0.1/",
            "http://@example.com/",
        ] {
            assert_eq!(refused(url), PublicUrlError::User, "{url}");
        }
        for port in ["", "0", "080", "65536", "80:80", "+80", "8o", "99999999999"] {
            assert_eq!(
                refused(&format!("http://example.com:{port}/")),
                PublicUrlError::Port,
                "{port}"
            );
        }
        assert_eq!(refused("http://[2606:4700::1]8080/"), PublicUrlError::Port);
        for url in [
            "ftp://example.com/",
            "file:///etc/passwd",
            "//example.com/",
            "http:/example.com",
            "http:example.com",
        ] {
            assert_eq!(refused(url), PublicUrlError::Scheme, "{url}");
        }
        assert_eq!(
            refused(&format!("http://example.com/{}", "a".repeat(PublicUrl::MAX_LENGTH))),
            PublicUrlError::TooLong
        );
    }
}
