//! Where variables come from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A source of variables. Values may be secrets: implementations do not print them.
pub trait Vars {
    /// The value of `name`, or `None` where it is not set.
    fn get(&self, name: &str) -> Option<String>;

    /// The names of all variables that are set, in no particular order.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process. Bytes that are not UTF-8 become replacement characters, which no parser accepts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment;

impl Vars for Environment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect()
    }
}

/// Two sources, of which the upper one wins: flags over the environment over the `.env` file.
#[derive(Clone, Copy)]
pub struct Layered<'a> {
    /// Asked first.
    pub upper: &'a dyn Vars,
    /// Asked for what the upper one does not set.
    pub lower: &'a dyn Vars,
}

impl Vars for Layered<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.upper.get(name).or_else(|| self.lower.get(name))
    }

    fn names(&self) -> Vec<String> {
        let names: BTreeSet<String> = self.upper.names().into_iter().chain(self.lower.names()).collect();
        names.into_iter().collect()
    }
}

/// Variables held in memory: those of a `.env` file, of command-line flags, or of a test.
#[derive(Clone, Default)]
pub struct MapVars(BTreeMap<String, String>);

impl MapVars {
    /// Sets `name`, and returns its former value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(name.into(), value.into())
    }

    /// These variables, with `name` set as well.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }
}

impl Vars for MapVars {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Names only: any value may be a secret.
impl fmt::Debug for MapVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_layer_wins_and_the_lower_one_fills_in() {
        let upper = MapVars::default().with("PORT", "1");
        let lower = MapVars::default().with("PORT", "2").with("HOST", "::1");
        let both = Layered {
            upper: &upper,
            lower: &lower,
        };

        assert_eq!(both.get("PORT").as_deref(), Some("1"));
        assert_eq!(both.get("HOST").as_deref(), Some("::1"));
        assert_eq!(both.names(), ["HOST", "PORT"]);
    }

    #[test]
    fn variables_in_memory_do_not_print_their_values() {
        let vars = MapVars::default().with("ADMIN_TOKEN", "canary");
        assert_eq!(format!("{vars:?}"), r#"{"ADMIN_TOKEN"}"#);
    }
}
