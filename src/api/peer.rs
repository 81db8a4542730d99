//! The client's address, behind as many proxies as the operator says there are.

use std::net::IpAddr;

use poem::Request;

/// The address of the client: the peer's own, or what the outermost of `hops` trusted proxies wrote.
///
/// Each proxy appends the address it saw to `X-Forwarded-For`, so the client's is the `hops`-th from the right; whatever
/// stands left of it was written by the client and is not looked at.
#[must_use]
pub fn address(request: &Request, hops: u8) -> Option<IpAddr> {
    let direct = request
        .remote_addr()
        .as_socket_addr()
        .map(|peer| peer.ip().to_canonical());
    let Some(place) = usize::from(hops).checked_sub(1) else {
        return direct;
    };
    let forwarded = request
        .headers()
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let entries: Vec<&str> = forwarded.flat_map(|line| line.split(',')).map(str::trim).collect();
    let entry = entries
        .len()
        .checked_sub(place + 1)
        .and_then(|index| entries.get(index));
    entry.and_then(|text| parse(text)).or(direct)
}

/// How a client came to us, or to the outermost proxy that we trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear, as far as we know.
    Http,
    /// Over TLS, which a trusted proxy ended.
    Https,
}

/// How the client came, as the outermost of `hops` trusted proxies wrote it. Most proxies replace `X-Forwarded-Proto`; where
/// each appends, the place is the one of the address.
#[must_use]
pub fn scheme(request: &Request, hops: u8) -> Scheme {
    if hops == 0 {
        return Scheme::Http;
    }
    let lines = request.headers().get_all(FORWARDED_PROTO).iter();
    let mut from_the_right = lines.rev().filter_map(|value| value.to_str().ok());
    let entry = from_the_right
        .by_ref()
        .flat_map(|line| line.rsplit(','))
        .take(usize::from(hops))
        .last();
    match entry {
        Some(scheme) if scheme.trim().eq_ignore_ascii_case("https") => Scheme::Https,
        _ => Scheme::Http,
    }
}

/// An address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    let address = bare.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

/// Whether a request carries a header that only proxies write.
#[must_use]
pub fn is_forwarded(request: &Request) -> bool {
    PROXY_HEADERS.iter().any(|name| request.headers().contains_key(*name))
}

/// Whether a request came straight from a private or loopback peer, and not through any proxy.
#[must_use]
pub fn is_private_and_direct(request: &Request, hops: u8) -> bool {
    let private = request
        .remote_addr()
        .as_socket_addr()
        .is_some_and(|peer| match peer.ip().to_canonical() {
            IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
            IpAddr::V6(address) => {
                address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
            }
        });
    hops == 0 && private && !is_forwarded(request)
}

const FORWARDED_FOR: &str = "x-forwarded-for";

const FORWARDED_PROTO: &str = "x-forwarded-proto";

const PROXY_HEADERS: [&str; 7] = [
    "forwarded",
    FORWARDED_FOR,
    "x-forwarded-host",
    FORWARDED_PROTO,
    "x-forwarded-port",
    "x-real-ip",
    "fly-client-ip",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(lines: &[&str]) -> Request {
        let mut builder = Request::builder();
        for line in lines {
            builder = builder.header(FORWARDED_FOR, *line);
        }
        builder.finish()
    }

    #[test]
    fn the_client_stands_as_far_from_the_right_as_there_are_proxies() {
        let request = forwarded(&["6.6.6.6, 203.0.113.9", "10.0.0.7"]);
        assert_eq!(address(&request, 2), "203.0.113.9".parse().ok());
        assert_eq!(address(&request, 1), "10.0.0.7".parse().ok());
    }

    #[test]
    fn without_trusted_proxies_a_forwarded_header_is_not_looked_at() {
        assert_eq!(address(&forwarded(&["203.0.113.9"]), 0), None);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_it_maps() {
        let request = forwarded(&["[::ffff:203.0.113.9]:4711"]);
        assert_eq!(address(&request, 1), "203.0.113.9".parse().ok());
    }

    #[test]
    fn the_scheme_is_what_the_outermost_trusted_proxy_says() {
        let came = |lines: &[&str], hops| {
            let mut builder = Request::builder();
            for line in lines {
                builder = builder.header(FORWARDED_PROTO, *line);
            }
            scheme(&builder.finish(), hops)
        };
        assert_eq!(came(&["https"], 0), Scheme::Http);
        assert_eq!(came(&["https"], 1), Scheme::Https);
        assert_eq!(came(&["https"], 2), Scheme::Https);
        assert_eq!(came(&["https, http"], 2), Scheme::Https);
        assert_eq!(came(&["https", "http"], 2), Scheme::Https);
        assert_eq!(came(&["https, http"], 1), Scheme::Http);
        assert_eq!(came(&[], 1), Scheme::Http);
    }

    #[test]
    fn any_forwarded_header_makes_a_peer_a_stranger() {
        let request = Request::builder().header("x-real-ip", "127.0.0.1").finish();
        assert!(!is_private_and_direct(&request, 0));
    }
}
