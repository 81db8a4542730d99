//! `tollgate man`: the manual page, made from the same grammar that is parsed.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::command::Cli;
use super::error::CliError;
use super::output::write;

/// Prints one page with every command, as roff: `tollgate man | man -l -`.
///
/// # Errors
/// [`CliError::Output`].
pub(super) fn run() -> Result<(), CliError> {
    write(page().map_err(CliError::Output)?.as_bytes())
}

fn page() -> io::Result<String> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let mut page = Vec::new();
    let man = Man::new(cli.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut page = format!("{}\n{}", PREAMBLE.join("\n"), into_text(page)?);
    for command in visible(&cli) {
        describe(command, &mut page)?;
    }
    page.push_str(FILES);
    Ok(page)
}

/// A command and those below it, each as a section with parts of its own.
fn describe(command: &Command, page: &mut String) -> io::Result<()> {
    let man = Man::new(command.clone().disable_help_flag(true));
    let mut section = Vec::new();
    man.render_synopsis_section(&mut section)?;
    man.render_description_section(&mut section)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut section)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    page.push_str(".SH ");
    page.push_str(&name.replace('-', " ").to_uppercase());
    page.push('\n');
    for line in into_text(section)?.lines() {
        match line.strip_prefix(".SH ") {
            Some(heading) => page.extend([".SS ", heading]),
            None => page.push_str(line),
        }
        page.push('\n');
    }
    visible(command).try_for_each(|inner| describe(inner, page))
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| !inner.is_hide_set())
}

/// A rendered part, without the preamble that each has.
fn into_text(part: Vec<u8>) -> io::Result<String> {
    let text = String::from_utf8(part).map_err(io::Error::other)?;
    let lines = text.lines().filter(|line| !PREAMBLE.contains(line));
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

/// What makes apostrophes printable; `roff` writes it before every part.
const PREAMBLE: [&str; 2] = [r".ie \n(.g .ds Aq \(aq", r".el .ds Aq '"];

/// What no flag tells.
const FILES: &str = r".SH ENVIRONMENT
Tollgate is configured by environment variables and by a file .env in the working directory; the environment wins.
\&.env.example in its source lists every variable with its default.
.SH FILES
.TP
\fI./tollgate.redb\fR
The store, unless DATABASE_URL names another.
.TP
\fI<store>.reserve\fR
Room that is given up when the disk is full (STORE_RESERVE_BYTES).
.TP
\fI<store>.control/\fR
The socket over which commands reach a running server.
.SH EXIT STATUS
0 when it was done, 1 when it failed or what was checked is not well, 2 when the command line was wrong.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_describes_every_command() {
        let page = page().unwrap();
        for heading in [
            ".TH tollgate 1",
            ".SH NAME",
            ".SH TOLLGATE SERVE",
            ".SH TOLLGATE KEY CREATE",
            ".SH TOLLGATE DOCTOR",
            ".SH FILES",
        ] {
            assert!(page.contains(heading), "{heading} is missing:\n{page}");
        }
        assert!(page.contains("expires\\-at"), "the flags of a command stand with it");
        assert_eq!(page.matches(".SH NAME").count(), 1);
        assert_eq!(page.matches(PREAMBLE[0]).count(), 1);
    }
}
