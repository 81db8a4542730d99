//! Reads variables and collects everything that is wrong with them.

use super::mistake::Mistake;
use super::value::Wrong;
use super::vars::Vars;

/// Hands out values and keeps the mistakes, so that all of them can be reported together.
///
/// A variable that is empty, or holds only spaces, counts as not set.
pub(super) struct Reader<'a> {
    vars: &'a dyn Vars,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(vars: &'a dyn Vars) -> Self {
        Self {
            vars,
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The names of all variables that are set.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = self.vars.names();
        names.retain(|name| self.text(name).is_some());
        names.sort_unstable();
        names
    }

    /// The text of a variable, without spaces around it.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = self.vars.get(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// The value of a variable that is not a secret; `None` where it is not set or wrong.
    pub(super) fn value<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let text = self.text(name)?;
        self.keep(name, parse(&text), Some(&text))
    }

    /// As [`Reader::value`], with a default for a variable that is not set or wrong.
    pub(super) fn value_or<T>(&mut self, name: &str, default: T, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> T {
        self.value(name, parse).unwrap_or(default)
    }

    /// As [`Reader::value`], for a value that no mistake may show.
    pub(super) fn secret<T>(&mut self, name: &str, parse: impl FnOnce(String) -> Result<T, Wrong>) -> Option<T> {
        let text = self.text(name)?;
        self.keep(name, parse(text), None)
    }

    /// Notes a mistake that concerns more than the text of one variable.
    pub(super) fn mistake(&mut self, name: &str, problem: impl Into<String>, fix: impl Into<String>) {
        self.mistakes.push(Mistake {
            variable: name.to_owned(),
            problem: problem.into(),
            fix: fix.into(),
        });
    }

    /// Notes something that is allowed but may surprise.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    fn keep<T>(&mut self, name: &str, parsed: Result<T, Wrong>, shown: Option<&str>) -> Option<T> {
        let Wrong { problem, mut fix } = match parsed {
            Ok(value) => return Some(value),
            Err(wrong) => wrong,
        };
        let problem = match shown {
            Some(text) if may_be_shown(text) => format!("{text:?} {problem}"),
            _ => problem,
        };
        if shown.is_some_and(|text| text.contains(" #")) {
            fix.push_str(" (in .env a comment needs a line of its own)");
        }
        self.mistake(name, problem, fix);
        None
    }
}

/// A long text, or one with an `@`, may be a credential in the wrong place.
fn may_be_shown(text: &str) -> bool {
    text.len() <= 40 && !text.contains('@')
}
