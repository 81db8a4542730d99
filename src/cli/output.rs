//! The one place that prints: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::error::CliError;
use super::table::{Colour, Look};

/// What a command prints: as JSON through `Serialize`, or as text for a person.
pub(super) trait Show: Serialize {
    /// The text, with a line feed at its end.
    fn text(&self, look: Look) -> String;
}

/// Standard output, and the form that suits whoever reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text(Look),
}

impl Output {
    /// JSON where it was asked for or where no terminal reads; else text, coloured unless `NO_COLOR` is set.
    pub(super) fn detect(json: bool) -> Self {
        if json || !io::stdout().is_terminal() {
            return Self { form: Form::Json };
        }
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let look = Look {
            colour: if refused { Colour::Plain } else { Colour::Ansi },
            width: comfy_table::Table::new().width(),
        };
        Self { form: Form::Text(look) }
    }

    /// How text is to look, or `None` where JSON is printed.
    pub(super) const fn look(self) -> Option<Look> {
        match self.form {
            Form::Json => None,
            Form::Text(look) => Some(look),
        }
    }

    /// Prints `value` whole.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub(super) fn show(self, value: &impl Show) -> Result<(), CliError> {
        match self.form {
            Form::Json => write(pretty(value).as_bytes()),
            Form::Text(look) => write(value.text(look).as_bytes()),
        }
    }

    /// Prints one of a stream of values, on one line in JSON.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub(super) fn show_line(self, value: &impl Show) -> Result<(), CliError> {
        match self.form {
            Form::Json => write(format!("{}\n", compact(value)).as_bytes()),
            Form::Text(look) => write(value.text(look).as_bytes()),
        }
    }
}

/// Writes bytes to standard output at once.
///
/// # Errors
/// [`CliError::Output`].
pub(super) fn write(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(CliError::Output)
}

/// Tells the person at the terminal something that is not part of the answer. Losing it is no failure.
pub(super) fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "tollgate: {text}"));
}

/// JSON with an indent of two spaces, as jimeng-relay's commands print it, and a line feed.
#[expect(
    clippy::expect_used,
    reason = "our shapes have text keys only, and writing to memory does not fail"
)]
pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut json = serde_json::to_string_pretty(value).expect("our shapes can be written as JSON");
    json.push('\n');
    json
}

/// JSON on one line, without a line feed.
#[expect(
    clippy::expect_used,
    reason = "our shapes have text keys only, and writing to memory does not fail"
)]
pub(super) fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our shapes can be written as JSON")
}
