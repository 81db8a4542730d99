//! The secrets that open the store and the first door, and how strictly callers are checked.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::reader::Reader;
use super::value::{self, Wrong};
use crate::model::secret::Secret;

/// The secrets that open the store and the first door, and how strictly callers are checked.
#[derive(Debug, Clone)]
pub struct Auth {
    /// What the store's data keys are wrapped with.
    pub master: Master,
    /// What it was before the last change. A store that was wrapped with it opens; `rekey` wraps it anew.
    pub previous: Option<Master>,
    /// A bearer token with scope `admin` that no store knows: at least 32 visible ASCII characters.
    pub admin_token: Option<Secret>,
    /// Which signed requests are accepted.
    pub signatures: Signatures,
    /// Who may query a task that we never saw.
    pub unknown_tasks: UnknownTasks,
}

/// What the store's data keys are wrapped with.
#[derive(Debug, Clone)]
pub enum Master {
    /// `API_KEY_ENCRYPTION_KEY`: padded standard base64 of exactly 32 bytes, as jimeng-relay had it.
    Key(Secret),
    /// `ENCRYPTION_PASSPHRASE`, from which a key is derived with Argon2id.
    Passphrase(Secret),
}

/// Which signed requests are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// Every shape that the official SDKs send.
    Superset,
    /// Only what jimeng-relay accepted (`SIGNATURE_STRICT=true`).
    Strict,
}

/// Who may query a task that we never saw. It is never cancelled for anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownTasks {
    /// Everyone in a store's first 24 hours, so that tasks of the replaced relay can be fetched; then nobody.
    Migrate,
    /// Everyone, always.
    Allow,
    /// Nobody.
    Refuse,
}

impl Auth {
    /// `None` where there is no master key; that is then among the mistakes.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let master = master(reader);
        let previous = previous(reader);
        let admin_token = reader.secret("ADMIN_TOKEN", admin_token);
        let strict = reader.value_or("SIGNATURE_STRICT", false, value::switch);
        let unknown_tasks = reader.value_or("UNKNOWN_TASKS", UnknownTasks::Migrate, unknown_tasks);
        Some(Self {
            master: master?,
            previous,
            admin_token,
            signatures: if strict {
                Signatures::Strict
            } else {
                Signatures::Superset
            },
            unknown_tasks,
        })
    }
}

fn master(reader: &mut Reader<'_>) -> Option<Master> {
    let key_is_set = reader.text(KEY).is_some();
    let passphrase_is_set = reader.text(PASSPHRASE).is_some();
    let key = reader.secret(KEY, master_key).map(Master::Key);
    let passphrase = reader.secret(PASSPHRASE, passphrase).map(Master::Passphrase);
    match (key_is_set, passphrase_is_set) {
        (true, true) => {
            let problem = format!("is set beside {KEY}");
            reader.mistake(PASSPHRASE, problem, "keep the one that the store was made with");
        }
        (false, false) => reader.mistake(KEY, format!("is not set, nor is {PASSPHRASE}"), KEY_FIX),
        _ => {}
    }
    key.or(passphrase)
}

fn previous(reader: &mut Reader<'_>) -> Option<Master> {
    if reader.text(PREVIOUS_KEY).is_some() && reader.text(PREVIOUS_PASSPHRASE).is_some() {
        let problem = format!("is set beside {PREVIOUS_KEY}");
        reader.mistake(
            PREVIOUS_PASSPHRASE,
            problem,
            "keep the one that the store is wrapped with",
        );
    }
    let key = reader.secret(PREVIOUS_KEY, master_key).map(Master::Key);
    let passphrase = reader.secret(PREVIOUS_PASSPHRASE, passphrase).map(Master::Passphrase);
    key.or(passphrase)
}

/// Padded standard base64 of exactly 32 bytes.
fn master_key(text: String) -> Result<Secret, Wrong> {
    let key = Secret::new(text);
    let bytes = BASE64
        .decode(key.expose().as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| Wrong::new("is not base64 of 32 bytes", KEY_FIX))?;
    match bytes.len() {
        32 => Ok(key),
        length => Err(Wrong::new(format!("is base64 of {length} bytes, not of 32"), KEY_FIX)),
    }
}

fn passphrase(text: String) -> Result<Secret, Wrong> {
    value::at_least(12, text, "set a long passphrase, such as five random words")
}

fn admin_token(text: String) -> Result<Secret, Wrong> {
    let token = value::at_least(
        32,
        text,
        "set at least 32 random characters, such as `tollgate keygen` prints",
    )?;
    value::visible(token)
}

fn unknown_tasks(text: &str) -> Result<UnknownTasks, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "migrate" => Ok(UnknownTasks::Migrate),
        "allow" => Ok(UnknownTasks::Allow),
        "refuse" => Ok(UnknownTasks::Refuse),
        _ => Err(Wrong::new(
            "is not a rule for unknown tasks",
            "set migrate, allow or refuse",
        )),
    }
}

const KEY: &str = "API_KEY_ENCRYPTION_KEY";
const PASSPHRASE: &str = "ENCRYPTION_PASSPHRASE";
const PREVIOUS_KEY: &str = "API_KEY_ENCRYPTION_KEY_PREVIOUS";
const PREVIOUS_PASSPHRASE: &str = "ENCRYPTION_PASSPHRASE_PREVIOUS";
const KEY_FIX: &str = "set the key that the store was made with; for a new store run `tollgate keygen`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_master_key_is_told_its_length_and_the_command_that_makes_one() {
        let short = master_key(BASE64.encode(&[1; 16])).unwrap_err();
        assert_eq!(short.problem, "is base64 of 16 bytes, not of 32");
        assert!(short.fix.contains("tollgate keygen"));
        assert_eq!(
            master_key("not base64!".to_owned()).unwrap_err().problem,
            "is not base64 of 32 bytes"
        );
    }

    #[test]
    fn a_token_needs_32_visible_characters() {
        assert!(admin_token("x".repeat(32)).is_ok());
        assert!(admin_token("x".repeat(31)).is_err());
        assert!(admin_token("x ".repeat(20)).is_err());
        assert!(admin_token("é".repeat(40)).is_err());
    }
}
