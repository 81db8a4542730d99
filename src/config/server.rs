//! How the process listens, bounds what it holds, and stops.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use super::origins::CorsOrigins;
use super::reader::Reader;
use super::value::{self, KIBIBYTE, Wrong};

/// How the process listens, bounds what it holds, and stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The address to listen on. `::` means every address of both families, and every IPv4 address where the machine
    /// has no IPv6.
    pub host: IpAddr,
    /// The port to listen on; 0 takes any free one.
    pub port: u16,
    /// Where the process runs, as far as its environment tells.
    pub platform: Platform,
    /// How many proxies in front of us are trusted to name the client; 0 means that no forwarded header counts.
    pub trusted_proxy_hops: u8,
    /// How many requests one client address may make to the routes that are limited so; `None` is no limit.
    pub per_address: Option<AddressRate>,
    /// Whose pages may read what the data plane answers.
    pub cors_origins: CorsOrigins,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The largest upstream reply, in bytes.
    pub max_response_bytes: usize,
    /// All bodies in memory together, in bytes; never less than one of the two above.
    pub body_memory_bytes: usize,
    /// How long open connections may take to finish after SIGTERM or SIGINT; zero closes them at once.
    pub drain_timeout: Duration,
    /// The user to become when started as root.
    pub run_as: Option<NonZeroU32>,
}

/// So many requests in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRate {
    /// How long the window is: at least a second.
    pub window: Duration,
    /// How many requests may come in it.
    pub maximum: NonZeroU32,
}

/// The platforms that Tollgate knows, by a variable that each sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// `RAILWAY_ENVIRONMENT` is set.
    Railway,
    /// `FLY_APP_NAME` is set.
    Fly,
    /// Neither is set.
    Other,
}

impl Platform {
    fn detect(reader: &Reader<'_>) -> Self {
        if reader.text("RAILWAY_ENVIRONMENT").is_some() {
            Self::Railway
        } else if reader.text("FLY_APP_NAME").is_some() {
            Self::Fly
        } else {
            Self::Other
        }
    }

    /// The proxies that every request passes before it reaches us.
    const fn proxy_hops(self) -> u8 {
        match self {
            Self::Railway => 1,
            Self::Fly => 2,
            Self::Other => 0,
        }
    }
}

impl Server {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let platform = Platform::detect(reader);
        let host = reader.value_or("HOST", IpAddr::V6(Ipv6Addr::UNSPECIFIED), address);
        let port = reader.value("PORT", port);
        let server_port = reader.value("SERVER_PORT", self::port);
        let server = Self {
            host,
            port: port.or(server_port).unwrap_or(8080),
            platform,
            trusted_proxy_hops: reader.value_or("TRUSTED_PROXY_HOPS", platform.proxy_hops(), hops),
            per_address: address_rate(reader),
            cors_origins: reader.value_or("CORS_ORIGINS", CorsOrigins::Nobody, CorsOrigins::parse),
            max_body_bytes: reader.value_or("MAX_BODY_BYTES", 20 << 20, value::memory_from::<KIBIBYTE>),
            max_response_bytes: reader.value_or("MAX_RESPONSE_BYTES", 64 << 20, value::memory_from::<KIBIBYTE>),
            body_memory_bytes: reader.value_or("BODY_MEMORY_BYTES", 256 << 20, value::memory_from::<KIBIBYTE>),
            drain_timeout: reader.value_or("DRAIN_TIMEOUT", Duration::from_secs(40), value::duration),
            run_as: reader.value("RUN_AS_UID", user),
        };
        let largest = server.max_body_bytes.max(server.max_response_bytes);
        if server.body_memory_bytes < largest {
            reader.mistake(
                "BODY_MEMORY_BYTES",
                "is less than one body may have",
                format!("set at least {largest}, or lower MAX_BODY_BYTES and MAX_RESPONSE_BYTES"),
            );
        }
        server
    }
}

fn address(text: &str) -> Result<IpAddr, Wrong> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse().map_err(|_| {
        Wrong::new(
            "is not an IP address",
            "set one, such as :: or 0.0.0.0 for every address, or 127.0.0.1",
        )
    })
}

fn port(text: &str) -> Result<u16, Wrong> {
    text.parse()
        .map_err(|_| Wrong::new("is not a port", "set a number up to 65535"))
}

fn hops(text: &str) -> Result<u8, Wrong> {
    text.parse()
        .ok()
        .filter(|hops| *hops <= 16)
        .ok_or_else(|| Wrong::new("is not a number of proxies", "set a number from 0 to 16"))
}

fn address_rate(reader: &mut Reader<'_>) -> Option<AddressRate> {
    let window = reader.value_or("RATE_LIMIT_WINDOW_MS", Duration::from_mins(15), window);
    let maximum = reader.value_or("RATE_LIMIT_MAX_REQUESTS", NonZeroU32::new(100), requests);
    maximum.map(|maximum| AddressRate { window, maximum })
}

fn window(text: &str) -> Result<Duration, Wrong> {
    let bounds = 1_000..=86_400_000;
    let milliseconds = text.parse().ok().filter(|milliseconds| bounds.contains(milliseconds));
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        Wrong::new(
            "is not a number of milliseconds from a second to a day",
            "set one such as 900000, which is 15 minutes",
        )
    })
}

/// A number of requests, where zero means that there is no limit.
fn requests(text: &str) -> Result<Option<NonZeroU32>, Wrong> {
    let count = value::count(text)?;
    Ok(u32::try_from(count).ok().and_then(NonZeroU32::new))
}

fn user(text: &str) -> Result<NonZeroU32, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new(
            "is not a user to become",
            "set the number of a user other than root, such as 1000",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MapVars;

    /// The limit of an address in an environment with these two, and the variables that are wrong in it.
    fn rate(window: &str, requests: &str) -> (Option<(u64, u32)>, Vec<String>) {
        let vars = MapVars::default()
            .with("RATE_LIMIT_WINDOW_MS", window)
            .with("RATE_LIMIT_MAX_REQUESTS", requests);
        let mut reader = Reader::new(&vars);
        let rate = Server::read(&mut reader).per_address;
        let wrong = reader.mistakes.into_iter().map(|mistake| mistake.variable).collect();
        (rate.map(|rate| (rate.window.as_secs(), rate.maximum.get())), wrong)
    }

    #[test]
    fn an_address_may_make_a_hundred_requests_in_fifteen_minutes_unless_somebody_says() {
        assert_eq!(rate("", ""), (Some((900, 100)), vec![]));
        assert_eq!(rate("60000", "7"), (Some((60, 7)), vec![]));
        assert_eq!(rate("60000", "0"), (None, vec![]));
    }

    #[test]
    fn a_window_is_milliseconds_from_a_second_to_a_day() {
        for wrong in ["0", "999", "15m", "-1", "86400001"] {
            assert_eq!(rate(wrong, "").1, ["RATE_LIMIT_WINDOW_MS"], "{wrong}");
        }
    }
}
