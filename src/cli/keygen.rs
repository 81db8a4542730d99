//! `tollgate keygen`: a new master key.

use super::error::CliError;
use super::output::write;
use crate::crypto::entropy::OsEntropy;
use crate::crypto::keyring::MasterKey;

/// Prints a new master key, alone on its line, so that it can be put into a file or a variable.
///
/// # Errors
/// [`CliError::Entropy`] or [`CliError::Output`].
pub(super) fn run() -> Result<(), CliError> {
    let key = MasterKey::generate_base64(&OsEntropy)?;
    write(key.expose().as_bytes())?;
    write(b"\n")
}
