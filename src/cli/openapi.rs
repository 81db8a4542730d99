//! `tollgate openapi`: the document of the HTTP interface.

use super::error::CliError;
use super::output::write;
use crate::api;

/// Prints the document as JSON, as `openapi/openapi.json` holds it.
///
/// # Errors
/// [`CliError::Output`].
pub(super) fn run() -> Result<(), CliError> {
    write(format!("{}\n", api::document()).as_bytes())
}
