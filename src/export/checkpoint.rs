//! A signed statement about the log book at one entry, in a form that a person can read.
//!
//! ```text
//! tollgate checkpoint 1
//! store: 5f0c6d0e8a7b4c1d9e2f3a4b5c6d7e8f
//! seq: 180
//! digest: 3cae71fe…
//! time: 2026-02-24T23:59:58.2Z
//! day: 2026-02-24
//! first: 121
//! before: 91b5c0aa…
//! rows: 77aa01c2…
//! key: 16434178…
//! signature: 9d01b2c4…
//! ```
//!
//! The signature is Ed25519 over everything before its line, line feeds included. The four lines from `day` on are there
//! where the checkpoint is of a day's export.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

use crate::crypto::digest::Digest;
use crate::crypto::seal::StoreId;
use crate::crypto::signing::{CheckpointKey, PublicKey, Signature};
use crate::model::clock::Timestamp;
use crate::model::day::Day;
use crate::store::chain::Link;
use crate::store::exports::Span;

/// What a checkpoint states: the chain of this store ended with this entry at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The store.
    pub store: StoreId,
    /// The entry, its digest, and when it was written.
    pub head: Link,
    /// What is stated of the day that ended with it, where a day did.
    pub day: Option<DayRows>,
}

/// What a checkpoint states of a day's export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRows {
    /// The day.
    pub day: Day,
    /// Its first entry; the last is the checkpoint's.
    pub first: u64,
    /// The chain's digest of the entry before the first: what the checkpoint of the day before states as its own.
    pub before: Digest,
    /// The root over its rows.
    pub rows: Digest,
}

/// A checkpoint with its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What is stated.
    pub checkpoint: Checkpoint,
    /// Whose signature it claims to carry.
    pub key: PublicKey,
    /// The signature.
    pub signature: Signature,
}

/// Why a checkpoint is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// Another key signed it.
    #[error("is signed with another key than the one that was given")]
    OtherKey,
    /// The key is right and the signature is not.
    #[error("was changed: its signature does not fit")]
    Changed,
}

impl Checkpoint {
    /// Of the head as it stands.
    #[must_use]
    pub const fn of_head(store: StoreId, head: Link) -> Self {
        Self { store, head, day: None }
    }

    /// Of a day's export.
    #[must_use]
    pub const fn of_day(store: StoreId, day: Day, span: &Span, rows: Digest) -> Self {
        Self {
            store,
            head: Link {
                seq: span.last,
                digest: span.digest,
                at: span.at,
            },
            day: Some(DayRows {
                day,
                first: span.first,
                before: span.before,
                rows,
            }),
        }
    }

    /// The same, signed. The same checkpoint always gets the same signature.
    #[must_use]
    pub fn sign(self, key: &CheckpointKey) -> Signed {
        let public = key.public();
        Signed {
            checkpoint: self,
            key: public,
            signature: key.sign(self.message(&public).as_bytes()),
        }
    }

    /// What is signed.
    fn message(&self, key: &PublicKey) -> String {
        let Self { store, head, day } = self;
        let day = day.map(|rows| {
            format!(
                "day: {}\nfirst: {}\nbefore: {}\nrows: {}\n",
                rows.day, rows.first, rows.before, rows.rows
            )
        });
        format!(
            "{TITLE}\nstore: {store}\nseq: {}\ndigest: {}\ntime: {}\n{}key: {key}\n",
            head.seq,
            head.digest,
            head.at,
            day.unwrap_or_default()
        )
    }
}

impl Signed {
    /// Whether `key` signed it.
    ///
    /// # Errors
    /// [`Disbelief`], which reads on after the checkpoint's name.
    pub fn believe(&self, key: &PublicKey) -> Result<&Checkpoint, Disbelief> {
        if self.key != *key {
            return Err(Disbelief::OtherKey);
        }
        if key.accepts(self.checkpoint.message(key).as_bytes(), &self.signature) {
            Ok(&self.checkpoint)
        } else {
            Err(Disbelief::Changed)
        }
    }
}

/// The text of the checkpoint's file.
impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.checkpoint.message(&self.key))?;
        writeln!(f, "signature: {}", self.signature)
    }
}

/// A text that is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a checkpoint of this version of Tollgate")]
pub struct ParseCheckpointError;

impl FromStr for Signed {
    type Err = ParseCheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = ParseCheckpointError;
        let mut lines = Lines(text.lines().peekable());
        if lines.0.next() != Some(TITLE) {
            return Err(wrong);
        }
        let store = HEXLOWER
            .decode(lines.value("store")?.as_bytes())
            .map_err(|_| ParseCheckpointError)?;
        let store = StoreId::from_bytes(store.try_into().map_err(|_| ParseCheckpointError)?);
        let head = Link {
            seq: lines.read("seq")?,
            digest: lines.read("digest")?,
            at: lines.read::<Timestamp>("time")?,
        };
        let has_day = lines.0.peek().is_some_and(|line| line.starts_with("day: "));
        let day = if has_day {
            Some(DayRows {
                day: lines.read("day")?,
                first: lines.read("first")?,
                before: lines.read("before")?,
                rows: lines.read("rows")?,
            })
        } else {
            None
        };
        let signed = Self {
            checkpoint: Checkpoint { store, head, day },
            key: lines.read("key")?,
            signature: lines.read("signature")?,
        };
        // One checkpoint has one text.
        if signed.to_string() == text {
            Ok(signed)
        } else {
            Err(wrong)
        }
    }
}

struct Lines<'a>(std::iter::Peekable<std::str::Lines<'a>>);

impl<'a> Lines<'a> {
    fn value(&mut self, name: &str) -> Result<&'a str, ParseCheckpointError> {
        let line = self.0.next().ok_or(ParseCheckpointError)?;
        line.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(": "))
            .ok_or(ParseCheckpointError)
    }

    fn read<T: FromStr>(&mut self, name: &str) -> Result<T, ParseCheckpointError> {
        self.value(name)?.parse().map_err(|_| ParseCheckpointError)
    }
}

const TITLE: &str = "tollgate checkpoint 1";

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::crypto::digest::DigestKey;

    fn key(byte: u8) -> CheckpointKey {
        CheckpointKey::derive(&DigestKey::from_bytes(Zeroizing::new([byte; 32])))
    }

    fn of_head() -> Checkpoint {
        let head = Link {
            seq: 180,
            digest: Digest::from_bytes([3; 32]),
            at: Timestamp::from_micros(1_771_977_598_200_000),
        };
        Checkpoint::of_head(StoreId::from_bytes([1; 16]), head)
    }

    fn of_day() -> Checkpoint {
        Checkpoint {
            day: Some(DayRows {
                day: "2026-02-24".parse().unwrap(),
                first: 121,
                before: Digest::from_bytes([4; 32]),
                rows: Digest::from_bytes([5; 32]),
            }),
            ..of_head()
        }
    }

    #[test]
    fn a_checkpoint_can_be_read_by_a_person() {
        let text = of_day().sign(&key(7)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "tollgate checkpoint 1",
                "store: 01010101010101010101010101010101",
                "seq: 180",
                "digest: 0303030303030303030303030303030303030303030303030303030303030303",
                "time: 2026-02-24T23:59:58.2Z",
                "day: 2026-02-24",
            ]
        );
        assert_eq!(lines.len(), 11);
    }

    #[test]
    fn a_checkpoint_reads_back_what_it_shows() {
        for checkpoint in [of_head(), of_day()] {
            let signed = checkpoint.sign(&key(7));
            let read: Signed = signed.to_string().parse().unwrap();
            assert_eq!(read, signed);
            assert_eq!(read.believe(&key(7).public()), Ok(&checkpoint));
        }
    }

    #[test]
    fn a_changed_checkpoint_is_not_believed() {
        let text = of_day().sign(&key(7)).to_string();
        for (from, to) in [
            ("seq: 180", "seq: 181"),
            ("first: 121", "first: 120"),
            ("02-24\nfirst", "02-25\nfirst"),
            ("rows: 05", "rows: 06"),
            ("before: 04", "before: 05"),
            ("store: 01", "store: 02"),
            ("58.2Z", "58.3Z"),
        ] {
            assert!(text.contains(from), "{from}");
            let changed: Signed = text.replace(from, to).parse().unwrap();
            assert_eq!(changed.believe(&key(7).public()), Err(Disbelief::Changed), "{from}");
        }
    }

    #[test]
    fn a_checkpoint_of_another_key_is_said_to_be_one() {
        let signed = of_head().sign(&key(8));
        assert_eq!(signed.believe(&key(7).public()), Err(Disbelief::OtherKey));
        // Also where it claims the right one.
        let claimed = signed
            .to_string()
            .replace(&key(8).public().to_string(), &key(7).public().to_string());
        let claimed: Signed = claimed.parse().unwrap();
        assert_eq!(claimed.believe(&key(7).public()), Err(Disbelief::Changed));
    }

    #[test]
    fn what_is_no_checkpoint_or_one_in_another_spelling_is_refused() {
        let text = of_day().sign(&key(7)).to_string();
        for wrong in [
            String::new(),
            text.replace("checkpoint 1", "checkpoint 2"),
            text.replace("seq: 180", "seq: 0180"),
            text.replace("seq: ", "seq:"),
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            format!("{text}more: 1\n"),
            text.lines().filter(|line| !line.starts_with("rows")).collect(),
        ] {
            assert_eq!(wrong.parse::<Signed>(), Err(ParseCheckpointError), "{wrong}");
        }
    }
}
