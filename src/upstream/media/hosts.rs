//! Where an upstream keeps what it makes.

use http::Uri;
use http::uri::{Authority, Scheme};

use super::MediaError;

/// Where an upstream keeps what it makes: below names of its own, or at its own address.
#[derive(Clone, Debug)]
pub struct MediaHosts {
    /// Names in lower case, without dots around them.
    suffixes: Vec<String>,
    scheme: Scheme,
    own: Authority,
}

/// A place that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) uri: Uri,
    /// Name and port that must lead to the public internet.
    pub(super) look_up: Option<(String, u16)>,
}

impl MediaHosts {
    /// The longest URL: several times what signed ones have.
    pub const MAX_URL: usize = 8192;

    /// Below `suffixes`, or at `scheme://own`, which is the upstream's own address. Only that may be without TLS, as
    /// it is in a sandbox.
    #[must_use]
    pub fn new(suffixes: &[String], scheme: Scheme, own: Authority) -> Self {
        let plain = |suffix: &String| suffix.trim_matches('.').to_ascii_lowercase();
        let suffixes = suffixes.iter().map(plain).filter(|suffix| !suffix.is_empty()).collect();
        Self { suffixes, scheme, own }
    }

    /// The place that a URL of the provider's names, if it is one of its own.
    ///
    /// # Errors
    /// [`MediaError::BadUrl`] and [`MediaError::ForeignHost`].
    pub fn place(&self, url: &str) -> Result<Place, MediaError> {
        if url.len() > Self::MAX_URL {
            return Err(MediaError::BadUrl);
        }
        // A fragment is not sent.
        let url = url.split('#').next().unwrap_or_default();
        let uri: Uri = url.parse().map_err(|_| MediaError::BadUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(MediaError::BadUrl);
        };
        if authority.as_str().contains('@') {
            return Err(MediaError::BadUrl);
        }
        if *scheme == self.scheme && self.is_own(authority) {
            return Ok(Place { uri, look_up: None });
        }
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let is_below = |suffix: &String| {
            host.strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let is_plain = *scheme == Scheme::HTTPS && authority.port_u16().unwrap_or(HTTPS) == HTTPS;
        if !is_plain || !self.suffixes.iter().any(is_below) {
            return Err(MediaError::ForeignHost);
        }
        Ok(Place {
            uri,
            look_up: Some((host, HTTPS)),
        })
    }

    fn is_own(&self, authority: &Authority) -> bool {
        let port = |of: &Authority| {
            of.port_u16()
                .unwrap_or(if self.scheme == Scheme::HTTP { HTTP } else { HTTPS })
        };
        authority.host().eq_ignore_ascii_case(self.own.host()) && port(authority) == port(&self.own)
    }
}

const HTTP: u16 = 80;
const HTTPS: u16 = 443;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts(scheme: Scheme, own: &'static str) -> MediaHosts {
        let suffixes = ["byteimg.com".to_owned(), ".AIGC-cloud.com.".to_owned()];
        MediaHosts::new(&suffixes, scheme, Authority::from_static(own))
    }

    fn volcengine() -> MediaHosts {
        hosts(Scheme::HTTPS, "visual.volcengineapi.com")
    }

    #[test]
    fn the_providers_own_hosts_may_be_asked() {
        for (url, host) in [
            (
                "https://p3-aiop-sign.byteimg.com/tos/a.image?rk3s=7f&x-expires=1",
                "p3-aiop-sign.byteimg.com",
            ),
            ("https://byteimg.com/a", "byteimg.com"),
            ("HTTPS://V26.Aigc-Cloud.COM:443/a.mp4", "v26.aigc-cloud.com"),
            ("https://byteimg.com./a#part", "byteimg.com"),
        ] {
            let place = volcengine().place(url).unwrap();
            assert_eq!(place.look_up, Some((host.to_owned(), 443)), "{url}");
        }
    }

    #[test]
    fn everybody_elses_hosts_may_not() {
        for url in [
            "https://example.com/a.mp4",
            "https://notbyteimg.com/a",
            "https://byteimg.com.evil.example/a",
            "https://evil.example/byteimg.com",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "http://p3.byteimg.com/a",
            "https://p3.byteimg.com:8443/a",
            "http://visual.volcengineapi.com/a",
            "https://visual.volcengineapi.com:444/a",
            "ftp://p3.byteimg.com/a",
        ] {
            assert_eq!(volcengine().place(url), Err(MediaError::ForeignHost), "{url}");
        }
    }

    #[test]
    fn what_parsers_read_differently_is_no_place() {
        for url in [
            "",
            "/a.mp4",
            "//p3.byteimg.com/a",
            "https://p3.byteimg.com@evil.example/a",
            "https://evil.example\\@p3.byteimg.com/a",
            "https://user:pw@p3.byteimg.com/a",
            "https://p3.byteimg.com/a b",
            "https://p3.byteimg.com/\r\nHost: x",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
        ] {
            assert_eq!(volcengine().place(url), Err(MediaError::BadUrl), "{url:?}");
        }
        let long = format!("https://p3.byteimg.com/{}", "a".repeat(MediaHosts::MAX_URL));
        assert_eq!(volcengine().place(&long), Err(MediaError::BadUrl));
    }

    #[test]
    fn the_upstreams_own_address_needs_no_tls_and_no_look_up_where_it_has_none_itself() {
        let sandbox = hosts(Scheme::HTTP, "127.0.0.1:8081");
        assert_eq!(
            sandbox.place("http://127.0.0.1:8081/media/1.mp4").unwrap().look_up,
            None
        );
        for url in [
            "http://127.0.0.1:8082/a",
            "http://127.0.0.1/a",
            "https://127.0.0.1:8081/a",
            "http://127.0.0.2:8081/a",
        ] {
            assert_eq!(sandbox.place(url), Err(MediaError::ForeignHost), "{url}");
        }
        assert!(volcengine().place("https://visual.volcengineapi.com/a").is_ok());
    }

    proptest! {
        #[test]
        fn a_place_is_always_below_a_suffix_on_a_label_boundary(
            host in r"[a-z0-9.@:/\\\[\]-]{0,24}(byteimg\.com|aigc-cloud\.com)?[a-z.:@/]{0,6}"
        ) {
            if let Ok(place) = volcengine().place(&format!("https://{host}/a")) {
                let (name, _) = place.look_up.unwrap();
                let asked = place.uri.host().unwrap().trim_end_matches('.').to_ascii_lowercase();
                prop_assert_eq!(&asked, &name);
                let dotted = format!(".{name}");
                prop_assert!(dotted.ends_with(".byteimg.com") || dotted.ends_with(".aigc-cloud.com"));
            }
        }
    }
}
