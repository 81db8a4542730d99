//! `tollgate serve`: the relay itself.

use super::error::CliError;
use crate::app;
use crate::config::Config;

/// Serves until a signal or a failure ends it.
///
/// # Errors
/// [`CliError::Start`] where it cannot start.
pub(super) async fn run(config: Config) -> Result<(), CliError> {
    Ok(app::serve(config).await?)
}
