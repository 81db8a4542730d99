//! URLs of `http` and `https`, taken apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The parts of an `http` or `https` URL that decide where it leads.
///
/// Only spellings are taken that every parser reads alike: no user, no escapes and no other alphabet in the host, IPv4
/// only as four plain decimal numbers. So what is judged here is what is reached, whoever parses the text next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// How the host is spoken to.
    pub scheme: Scheme,
    /// Whom it names.
    pub authority: Authority,
}

/// How a host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// A host, and a port where one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port, from 1; `None` for the one of the scheme.
    pub port: Option<u16>,
}

/// Whom a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case and without a final dot.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text is no such URL. Each is a sentence without its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpUrlError {
    /// It begins with neither `http://` nor `https://`.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// It holds a space, a control character or a backslash, which parsers drop or replace.
    #[error("holds a space, a control character or a backslash")]
    Character,
    /// It has user information before the host.
    #[error("must not name a user")]
    User,
    /// Its port is not a plain number from 1 to 65535.
    #[error("has a port that is not a plain number from 1 to 65535")]
    Port,
    /// Its host is neither a name of ASCII letters, digits, hyphens and underscores nor an address in its usual form.
    #[error("has a host that is neither a plain name nor an address in its usual form")]
    Host,
}

impl Scheme {
    /// The port where none is named.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, HttpUrlError> {
        let schemes = [("http://", Scheme::Http), ("https://", Scheme::Https)];
        let mut found = schemes
            .iter()
            .filter_map(|(prefix, scheme)| Some((without_prefix(text, prefix)?, *scheme)));
        let (rest, scheme) = found.next().ok_or(HttpUrlError::Scheme)?;
        let unread = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
        if text.contains(unread) {
            return Err(HttpUrlError::Character);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(HttpUrlError::User);
        }
        let authority = authority.parse()?;
        Ok(Self { scheme, authority })
    }
}

impl FromStr for Authority {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, HttpUrlError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or(HttpUrlError::Host)?;
            let address: Ipv6Addr = host.parse().map_err(|_| HttpUrlError::Host)?;
            (Host::Address(address.into()), port)
        } else {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (name_or_ipv4(host)?, port)
        };
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':').and_then(parse_port).ok_or(HttpUrlError::Port)?),
        };
        Ok(Self { host, port })
    }
}

/// `text` without `prefix`, written in any case.
#[must_use]
pub fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A port from 1, as a plain number without zeros before it.
#[must_use]
pub fn parse_port(text: &str) -> Option<u16> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn name_or_ipv4(host: &str) -> Result<Host, HttpUrlError> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(HttpUrlError::Host);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    // No top-level domain begins with a digit, and a host whose last label is a number in any base is an IPv4 address
    // (WHATWG URL, "ends in a number").
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        let address: Ipv4Addr = host.parse().map_err(|_| HttpUrlError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    Ok(Host::Name(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<HttpUrl, HttpUrlError> {
        url.parse()
    }

    fn refused(url: &str) -> HttpUrlError {
        parse(url).expect_err(url)
    }

    #[test]
    fn a_url_is_taken_apart() {
        let url = parse("HTTPS://Example.COM.:8443/A?b#c").unwrap();
        assert_eq!(url.scheme, Scheme::Https);
        assert_eq!(url.authority.host, Host::Name("example.com".to_owned()));
        assert_eq!(url.authority.port, Some(8443));

        let url = parse("http://[::1]?x").unwrap();
        assert_eq!(url.authority.host, Host::Address("::1".parse().unwrap()));
        assert_eq!((url.authority.port, url.scheme.port()), (None, 80));
    }

    #[test]
    fn an_ipv4_address_has_one_spelling() {
        assert_eq!(
            parse("http://127.0.0.1./").unwrap().authority.host,
            Host::Address(Ipv4Addr::LOCALHOST.into())
        );
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
            assert_eq!(refused(url), HttpUrlError::Host, "{url}");
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
            assert_eq!(refused(url), HttpUrlError::Host, "{url}");
        }
        for url in [
            "http://example.com\\@127.0.0.1/",
            "http://exam\tple.com/",
            "http://example.com/a b",
            "http://example.com/\u{a0}",
            "http://example.com\r\nHost: x/",
        ] {
            assert_eq!(refused(url), HttpUrlError::Character, "{url:?}");
        }
    }

    #[test]
    fn users_odd_ports_and_other_schemes_are_refused() {
        for url in [
            "http://me:pw@example.com/",
            "http://example.com@127.0.0.1/",
            "http://@example.com/",
        ] {
            assert_eq!(refused(url), HttpUrlError::User, "{url}");
        }
        for port in ["", "0", "080", "65536", "80:80", "+80", "8o", "99999999999"] {
            assert_eq!(
                refused(&format!("http://example.com:{port}/")),
                HttpUrlError::Port,
                "{port}"
            );
        }
        assert_eq!(refused("http://[2606:4700::1]8080/"), HttpUrlError::Port);
        for url in [
            "ftp://example.com/",
            "file:///etc/passwd",
            "//example.com/",
            "http:/example.com",
            "http:example.com",
        ] {
            assert_eq!(refused(url), HttpUrlError::Scheme, "{url}");
        }
    }
}
