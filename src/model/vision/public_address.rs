//! Which addresses lie on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may be fetched from on a stranger's word: it is global unicast, stands in no special-purpose
/// block of IANA's registries, carries no other address inside, and serves no cloud's metadata.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|block| block.holds(address)),
        // Loopback, link-local, unique-local, multicast and the forms that carry an IPv4 address lie outside 2000::/3.
        IpAddr::V6(address) => GLOBAL_V6.holds(address) && !NOT_PUBLIC_V6.iter().any(|block| block.holds(address)),
    }
}

/// Addresses that share their first bits.
struct Block<T> {
    first: T,
    bits: u32,
}

impl Block<Ipv4Addr> {
    const fn v4(first: [u8; 4], bits: u32) -> Self {
        let [a, b, c, d] = first;
        let first = Ipv4Addr::new(a, b, c, d);
        Self { first, bits }
    }

    fn holds(&self, address: Ipv4Addr) -> bool {
        let differing = (self.first.to_bits() ^ address.to_bits()).leading_zeros();
        differing >= self.bits
    }
}

impl Block<Ipv6Addr> {
    const fn v6(first: u16, second: u16, bits: u32) -> Self {
        let first = Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0);
        Self { first, bits }
    }

    fn holds(&self, address: Ipv6Addr) -> bool {
        let differing = (self.first.to_bits() ^ address.to_bits()).leading_zeros();
        differing >= self.bits
    }
}

/// IANA's special-purpose blocks (RFC 6890 and its successors), multicast, and one address of Azure.
const NOT_PUBLIC_V4: [Block<Ipv4Addr>; 16] = [
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
const GLOBAL_V6: Block<Ipv6Addr> = Block::v6(0x2000, 0, 3);

/// Within global unicast: IETF protocols with Teredo, documentation, and 6to4, which carries an IPv4 address.
const NOT_PUBLIC_V6: [Block<Ipv6Addr>; 4] = [
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
}
