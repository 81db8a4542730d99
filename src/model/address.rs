//! Which addresses lie on the public internet, and blocks of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Whether an address may be reached on a stranger's word: it is global unicast, stands in no special-purpose block of
/// IANA's registries, carries no other address inside, and serves no cloud's metadata.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|block| block.holds(address.into())),
        // Loopback, link-local, unique-local, multicast and the forms that carry an IPv4 address lie outside 2000::/3.
        IpAddr::V6(address) => {
            GLOBAL_V6.holds(address.into()) && !NOT_PUBLIC_V6.iter().any(|block| block.holds(address.into()))
        }
    }
}

/// Addresses of one family that share their first bits, written as in `10.0.0.0/8` (RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    first: IpAddr,
    bits: u32,
}

/// A text that is no block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address, a slash and a number of bits, such as 10.0.0.0/8")]
pub struct ParseBlockError;

impl Block {
    /// The block of one address.
    #[must_use]
    pub const fn only(address: IpAddr) -> Self {
        let bits = match address {
            IpAddr::V4(_) => Ipv4Addr::BITS,
            IpAddr::V6(_) => Ipv6Addr::BITS,
        };
        Self { first: address, bits }
    }

    /// Whether an address stands in it. An IPv4 address in the form of IPv6 is an IPv6 address.
    #[must_use]
    pub const fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }

    const fn v4(first: [u8; 4], bits: u32) -> Self {
        let [a, b, c, d] = first;
        let first = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        Self { first, bits }
    }

    const fn v6(first: u16, second: u16, bits: u32) -> Self {
        let first = IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0));
        Self { first, bits }
    }
}

impl FromStr for Block {
    type Err = ParseBlockError;

    fn from_str(text: &str) -> Result<Self, ParseBlockError> {
        let (first, bits) = text.split_once('/').ok_or(ParseBlockError)?;
        let whole = Self::only(first.parse().map_err(|_| ParseBlockError)?);
        let is_plain = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        match bits.parse() {
            Ok(bits) if is_plain && bits <= whole.bits => Ok(Self { bits, ..whole }),
            _ => Err(ParseBlockError),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// IANA's special-purpose blocks (RFC 6890 and its successors), multicast, and one address of Azure.
const NOT_PUBLIC_V4: [Block; 16] = [
    Block::v4([0, 0, 0, 0], 8),
    Block::v4([10, 0, 0, 0], 8),
    // Carrier-grade NAT, and Alibaba's metadata at 100.100.100.200.
    Block::v4([100, 64, 0, 0], 10),
    Block::v4([127, 0, 0, 0], 8),
    // Most clouds' metadata is at 169.254.169.254.
    Block::v4([169, 254, 0, 0], 16),
    Block::v4([172, 16, 0, 0], 12),
    Block::v4([192, 0, 0, 0], 24),
    Block::v4([192, 0, 2, 0], 24),
    Block::v4([192, 88, 99, 0], 24),
    Block::v4([192, 168, 0, 0], 16),
    Block::v4([198, 18, 0, 0], 15),
    Block::v4([198, 51, 100, 0], 24),
    Block::v4([203, 0, 113, 0], 24),
    Block::v4([224, 0, 0, 0], 4),
    Block::v4([240, 0, 0, 0], 4),
    // Azure's own services, seen from inside any of its machines.
    Block::v4([168, 63, 129, 16], 32),
];

/// Global unicast.
const GLOBAL_V6: Block = Block::v6(0x2000, 0, 3);

/// Within global unicast: IETF protocols with Teredo, documentation, and 6to4, which carries an IPv4 address.
const NOT_PUBLIC_V6: [Block; 4] = [
    Block::v6(0x2001, 0, 23),
    Block::v6(0x2001, 0x0db8, 32),
    Block::v6(0x2002, 0, 16),
    Block::v6(0x3fff, 0, 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn private_local_and_carried_addresses_are_not() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_block_holds_the_addresses_that_share_its_first_bits() {
        for (block, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.1.7/32", "192.168.1.7", "192.168.1.6"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "ffff::", "1.1.1.1"),
            ("127.0.0.0/8", "127.0.0.1", "::ffff:127.0.0.1"),
        ] {
            let parsed: Block = block.parse().unwrap();
            assert!(parsed.holds(inside.parse().unwrap()), "{block} {inside}");
            assert!(!parsed.holds(outside.parse().unwrap()), "{block} {outside}");
            assert_eq!(parsed.to_string(), block);
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10/8",
            "a/8",
            "1.1.1.1/8/8",
        ] {
            assert_eq!(text.parse::<Block>(), Err(ParseBlockError), "{text}");
        }
    }
}
