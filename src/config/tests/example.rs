//! `.env.example`: it shows every variable that is read, at its default.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::*;

/// The lines of `.env.example` that set a variable, with those uncommented that show a default.
fn example() -> String {
    EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()) && line.contains('='))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_example_shows_the_defaults_that_are_in_force() {
    let mut from_example = Config::parse_with_dotenv(&only_a_key(), &example()).unwrap();
    let defaults = Config::parse(&only_a_key()).unwrap();

    assert_eq!(from_example.store.location.path(), defaults.store.location.path());
    from_example.store.location = Location::Default;
    assert_eq!(format!("{from_example:?}"), format!("{defaults:?}"));
}

/// Sets every variable, and remembers which were asked for.
struct Asked(RefCell<BTreeSet<String>>);

impl Vars for Asked {
    fn get(&self, name: &str) -> Option<String> {
        self.0.borrow_mut().insert(name.to_owned());
        Some("1".to_owned())
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn the_example_and_the_list_name_each_variable_that_is_read() {
    let asked = Asked(RefCell::default());
    Config::parse(&asked).unwrap_err();
    let mut read = asked.0.into_inner();
    read.retain(|name| !["RAILWAY_ENVIRONMENT", "FLY_APP_NAME", "SERVICE_TYPE"].contains(&name.as_str()));

    assert_eq!(VARIABLES.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), read);
    let shown = example();
    let shown: Vec<&str> = shown.lines().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(shown, VARIABLES);
}

const EXAMPLE: &str = include_str!("../../../.env.example");
