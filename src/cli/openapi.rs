//! `tollgate openapi`: the document of the HTTP interface.

use super::error::CliError;
use super::output::write;
use crate::api;

/// Prints the document as JSON.
///
/// # Errors
/// [`CliError::Output`].
pub(super) fn run() -> Result<(), CliError> {
    write(api::document().as_bytes())
}
