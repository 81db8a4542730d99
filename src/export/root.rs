//! The one number that stands for all rows of a day: a plain SHA-256 chain, which anybody can compute.

use sha2::{Digest as _, Sha256};

use crate::crypto::digest::Digest;

/// A running hash over the lines of a day: `h₀` is 32 zero bytes, and `hₙ = SHA-256(hₙ₋₁ ‖ lineₙ)` with the line as
/// `row::line` writes it, without its line feed.
///
/// It needs no key, so a third party can compute it; that it is the right one, the checkpoint's signature says.
#[derive(Clone, Debug)]
pub struct Root {
    hash: [u8; 32],
    rows: u64,
}

impl Root {
    /// Before the first row.
    #[must_use]
    pub const fn new() -> Self {
        Self { hash: [0; 32], rows: 0 }
    }

    /// Takes in one row.
    pub fn add(&mut self, line: &[u8]) {
        let mut hasher = Sha256::new();
        hasher.update(self.hash);
        hasher.update(line);
        self.hash = hasher.finalize().into();
        self.rows += 1;
    }

    /// What stands for the rows so far.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        Digest::from_bytes(self.hash)
    }

    /// How many rows there were.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_a_chain_of_sha_256() {
        let mut root = Root::new();
        assert_eq!(root.digest().to_string(), "0".repeat(64));
        root.add(b"{}");
        root.add(br#"{"seq":2}"#);
        // python3: h = sha256(bytes(32) + b'{}').digest(); sha256(h + b'{"seq":2}').hexdigest()
        assert_eq!(root.digest().to_string(), CHAINED);
        assert_eq!(root.rows(), 2);
    }

    #[test]
    fn rows_cannot_be_moved_joined_or_left_out() {
        let of = |lines: &[&[u8]]| {
            let mut root = Root::new();
            for line in lines {
                root.add(line);
            }
            root.digest()
        };
        let roots = [
            of(&[b"a", b"b"]),
            of(&[b"b", b"a"]),
            of(&[b"ab"]),
            of(&[b"a"]),
            of(&[b"a", b"b", b""]),
        ];
        let distinct: std::collections::BTreeSet<_> = roots.iter().collect();
        assert_eq!(distinct.len(), roots.len());
    }

    const CHAINED: &str = "2df7bc8ae297b6f3972fd991261de417a35fbceab4f24b7de7ab933abc5d1535";
}
