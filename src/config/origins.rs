//! The web pages that may read answers: `CORS_ORIGINS`.

use super::value::{self, Wrong};

/// Whose pages may read what the data plane answers, when a browser loads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Nobody's but our own.
    Nobody,
    /// Everybody's: `*`.
    Anybody,
    /// Those of these origins, each as a browser writes it: `https://app.example`, `http://localhost:3000`.
    Listed(Vec<String>),
}

impl CorsOrigins {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let items = value::list(text)?;
        if items.iter().any(|item| item == "*") {
            return match items.as_slice() {
                [_] => Ok(Self::Anybody),
                _ => Err(Wrong::new("has * beside other origins", "set * alone, or origins only")),
            };
        }
        let origins: Option<Vec<String>> = items.iter().map(|item| origin(item)).collect();
        origins.map(Self::Listed).ok_or_else(|| {
            Wrong::new(
                "names something that is no origin",
                "write each as a scheme and a host, without a path or a final slash, such as https://app.example or \
                 http://localhost:3000",
            )
        })
    }
}

/// An origin as a browser writes it: lower case, and no port that its scheme has anyway (RFC 6454, section 6.2).
fn origin(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let is_host = match host.strip_prefix('[') {
        Some(inside) => inside
            .strip_suffix(']')
            .is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    if !is_scheme || !is_host {
        return None;
    }
    match (port, scheme) {
        (None, _) | (Some("80"), "http") | (Some("443"), "https") => Some(format!("{scheme}://{host}")),
        (Some(port), _) => {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
            Some(format!("{scheme}://{host}:{port}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<String> {
        match CorsOrigins::parse(text).unwrap() {
            CorsOrigins::Listed(origins) => origins,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_star_alone_is_everybody_in_both_ways_to_write_a_list() {
        assert_eq!(CorsOrigins::parse("*"), Ok(CorsOrigins::Anybody));
        assert_eq!(CorsOrigins::parse(r#"["*"]"#), Ok(CorsOrigins::Anybody));
        assert!(CorsOrigins::parse("*,https://a.example").is_err());
    }

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        assert_eq!(
            listed("https://App.Example:443, http://localhost:3000,http://[::1]:80,capacitor://localhost"),
            [
                "https://app.example",
                "http://localhost:3000",
                "http://[::1]",
                "capacitor://localhost"
            ]
        );
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in [
            "app.example",
            "https://",
            "https://a.example/",
            "https://a.example/path",
            "https://user@a.example",
            "https://a.example:0",
            "https://a.example:x",
            "https://*.example",
            "null",
            "https://\u{e4}.example",
            "http://[::1",
        ] {
            assert!(CorsOrigins::parse(text).is_err(), "{text}");
        }
    }
}
