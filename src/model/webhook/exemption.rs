//! What webhooks may reach besides the public internet.

use std::net::IpAddr;
use std::str::FromStr;

use crate::model::address::Block;
use crate::model::http_url::{Authority, Host, parse_port};

/// A host, an address or a block of addresses that webhooks may reach although it is not public: `hooks.internal`,
/// `10.0.0.7`, `fd00::/8`. With a port (`hooks.internal:8080`, `10.0.0.0/8:8080`, `[fd00::/8]:8080`) it holds for that
/// one, without for every port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    place: Place,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Name(String),
    Block(Block),
}

/// A text that is no exemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a host, an address or a block of addresses, such as hooks.internal, 10.0.0.7:8080 or fd00::/8")]
pub struct ParseExemptionError;

impl Exemption {
    /// Whether it lets a request for this host's name through, to this port and whatever address it leads to.
    #[must_use]
    pub fn covers_name(&self, name: &str, port: u16) -> bool {
        self.covers_port(port) && matches!(&self.place, Place::Name(exempt) if exempt == name)
    }

    /// Whether it lets a request through to this address and port.
    #[must_use]
    pub fn covers_address(&self, address: IpAddr, port: u16) -> bool {
        self.covers_port(port) && matches!(&self.place, Place::Block(block) if block.holds(address))
    }

    fn covers_port(&self, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
    }
}

impl FromStr for Exemption {
    type Err = ParseExemptionError;

    fn from_str(text: &str) -> Result<Self, ParseExemptionError> {
        if let Ok(block) = text.parse() {
            let place = Place::Block(block);
            return Ok(Self { place, port: None });
        }
        if let Ok(address) = text.parse() {
            let place = Place::Block(Block::only(address));
            return Ok(Self { place, port: None });
        }
        if text.contains('/') {
            let (block, port) = text.rsplit_once(':').ok_or(ParseExemptionError)?;
            let bare = block.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            // Without brackets nobody can tell where an IPv6 address ends and its port begins.
            let block: Block = match bare {
                Some(bare) => bare.parse(),
                None if !block.contains(':') => block.parse(),
                None => return Err(ParseExemptionError),
            }
            .map_err(|_| ParseExemptionError)?;
            let port = Some(parse_port(port).ok_or(ParseExemptionError)?);
            let place = Place::Block(block);
            return Ok(Self { place, port });
        }
        let Authority { host, port } = text.parse().map_err(|_| ParseExemptionError)?;
        let place = match host {
            Host::Name(name) => Place::Name(name),
            Host::Address(address) => Place::Block(Block::only(address)),
        };
        Ok(Self { place, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemption(text: &str) -> Exemption {
        text.parse().expect(text)
    }

    fn covers(text: &str, address: &str, port: u16) -> bool {
        exemption(text).covers_address(address.parse().unwrap(), port)
    }

    #[test]
    fn a_name_covers_itself_on_every_port_or_on_its_own() {
        assert!(exemption("Hooks.Internal").covers_name("hooks.internal", 8080));
        assert!(exemption("hooks.internal:8080").covers_name("hooks.internal", 8080));
        assert!(!exemption("hooks.internal:8080").covers_name("hooks.internal", 80));
        assert!(!exemption("hooks.internal").covers_name("a.hooks.internal", 80));
        assert!(!exemption("hooks.internal").covers_name("internal", 80));
    }

    #[test]
    fn a_block_covers_its_addresses() {
        assert!(covers("10.0.0.0/8", "10.1.2.3", 9));
        assert!(covers("10.0.0.0/8:8080", "10.1.2.3", 8080));
        assert!(!covers("10.0.0.0/8:8080", "10.1.2.3", 80));
        assert!(covers("fd00::/8", "fd12::1", 80));
        assert!(covers("[fd00::/8]:8080", "fd12::1", 8080));
        assert!(!covers("10.0.0.0/8", "::ffff:10.1.2.3", 80));
    }

    #[test]
    fn an_address_covers_itself_alone() {
        assert!(covers("10.0.0.7", "10.0.0.7", 1));
        assert!(covers("10.0.0.7:8080", "10.0.0.7", 8080));
        assert!(covers("::1", "::1", 1));
        assert!(covers("[::1]:8080", "::1", 8080));
        assert!(!covers("[::1]:8080", "::1", 80));
        assert!(!covers("10.0.0.7", "10.0.0.8", 1));
        assert!(!exemption("10.0.0.7").covers_name("10.0.0.7", 1));
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for text in [
            "",
            "*",
            "*.internal",
            "http://hooks.internal",
            "hooks.internal/8",
            "hooks.internal:0",
            "hooks.internal:",
            "10.0.0.0/33",
            "10.0.0.0/8:x",
            "10.0.0.0/8:",
            "fd00::/8:8080",
            "[fd00::/8]",
            "0x7f.1",
        ] {
            assert_eq!(text.parse::<Exemption>(), Err(ParseExemptionError), "{text}");
        }
    }
}
