//! Two schemas beside each other: what the new one no longer takes, or no longer promises.

use std::collections::BTreeSet;

use serde_json::Value;

use super::differ::fields;

/// Which way a value goes, seen from a client.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Direction {
    /// In a request: what was taken must be taken still.
    Sent,
    /// In an answer: what was promised must hold still.
    Received,
}

/// Both documents, for their references.
pub(super) struct Shapes<'a> {
    released: &'a Value,
    current: &'a Value,
    seen: BTreeSet<(String, Direction)>,
}

impl<'a> Shapes<'a> {
    pub(super) fn new(released: &'a Value, current: &'a Value) -> Self {
        Self {
            released,
            current,
            seen: BTreeSet::new(),
        }
    }

    /// What the two stand for, behind a reference of theirs.
    pub(super) fn resolve(&self, before: &'a Value, after: &'a Value) -> (&'a Value, &'a Value) {
        (resolve(self.released, before), resolve(self.current, after))
    }

    /// What is broken, each with its place. A named schema is looked at once in either direction.
    pub(super) fn breaks(
        &mut self,
        place: &str,
        before: &'a Value,
        after: &'a Value,
        direction: Direction,
    ) -> Vec<String> {
        let (before, after) = (alone(before), alone(after));
        let (name, now) = (name(before), name(after));
        let mut broken = vec![];
        if name != now {
            let (name, now) = (name.unwrap_or("unnamed"), now.unwrap_or("unnamed"));
            broken.push(format!("{place}: its schema was {name}, and is {now}"));
        } else if let Some(name) = name
            && !self.seen.insert((name.to_owned(), direction))
        {
            return broken;
        }
        let place = name.unwrap_or(place);
        let (before, after) = self.resolve(before, after);
        for word in ["type", "format"] {
            if before[word] != after[word] && !(before["type"].is_null() && direction == Direction::Received) {
                broken.push(format!(
                    "{place}: its {word} was {}, and is {}",
                    before[word], after[word]
                ));
            }
        }
        broken.extend(values(place, before, after, direction));
        if direction == Direction::Sent {
            broken.extend(bounds(place, before, after));
        }
        broken.extend(self.properties(place, before, after, direction));
        for inner in ["items", "additionalProperties"] {
            if before[inner].is_object() && after[inner].is_object() {
                broken.extend(self.breaks(&format!("{place}[]"), &before[inner], &after[inner], direction));
            }
        }
        broken.extend(self.alternatives(place, before, after, direction));
        broken
    }

    fn properties(&mut self, place: &str, before: &'a Value, after: &'a Value, direction: Direction) -> Vec<String> {
        let mut broken = vec![];
        for (field, schema) in fields(&before["properties"]) {
            let place = format!("{place}.{field}");
            let Some(now) = after["properties"].get(field) else {
                broken.push(format!("{place} is gone"));
                continue;
            };
            broken.extend(self.breaks(&place, schema, now, direction));
        }
        let (needed, needs) = (required(before), required(after));
        let changed: Vec<_> = match direction {
            Direction::Sent => needs.difference(&needed).collect(),
            Direction::Received => needed.difference(&needs).collect(),
        };
        let word = match direction {
            Direction::Sent => "became required",
            Direction::Received => "is no longer always there",
        };
        broken.extend(changed.into_iter().map(|field| format!("{place}.{field} {word}")));
        if is_open(before) && !is_open(after) {
            broken.push(format!("{place} no longer has fields of any name"));
        }
        broken
    }

    /// Every alternative that was taken must be one still; every one that may come must have been one.
    fn alternatives(&mut self, place: &str, before: &'a Value, after: &'a Value, direction: Direction) -> Vec<String> {
        let mut broken = vec![];
        for word in ["oneOf", "anyOf", "allOf"] {
            let (before, after) = (list(&before[word]), list(&after[word]));
            let mut fits = |one: &'a Value, other: &'a Value| {
                let mut apart = Shapes::new(self.released, self.current);
                let found = apart.breaks(place, one, other, direction).is_empty();
                self.seen.extend(apart.seen);
                found
            };
            let is_kept = match direction {
                Direction::Sent => before.iter().all(|one| after.iter().any(|other| fits(one, other))),
                Direction::Received => after.iter().all(|other| before.iter().any(|one| fits(one, other))),
            };
            if !is_kept || before.is_empty() != after.is_empty() {
                broken.push(format!("{place}: its alternatives changed"));
            }
        }
        broken
    }
}

/// Which values there are.
fn values(place: &str, before: &Value, after: &Value, direction: Direction) -> Option<String> {
    let is_nullable = |schema: &Value| schema["nullable"] == true;
    let (listed, lists) = (list(&before["enum"]), list(&after["enum"]));
    let lost = |from: &[Value], to: &[Value]| from.iter().any(|value| !to.contains(value));
    match direction {
        Direction::Sent if is_nullable(before) && !is_nullable(after) && !after["type"].is_null() => {
            Some(format!("{place} may no longer be null"))
        }
        Direction::Received if is_nullable(after) && !is_nullable(before) => Some(format!("{place} may be null now")),
        Direction::Sent if !lists.is_empty() && (listed.is_empty() || lost(listed, lists)) => {
            Some(format!("{place} takes fewer values"))
        }
        Direction::Received if !listed.is_empty() && (lists.is_empty() || lost(lists, listed)) => {
            Some(format!("{place} has more values"))
        }
        _ => None,
    }
}

/// Where a bound of what may be sent became tighter.
fn bounds(place: &str, before: &Value, after: &Value) -> Vec<String> {
    let tighter = |word: &str, is_tighter: fn(f64, f64) -> bool| match (before[word].as_f64(), after[word].as_f64()) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(was), Some(is)) => is_tighter(was, is),
    };
    let lower = ["minimum", "minLength", "minItems"].map(|word| (word, tighter(word, |was, is| is > was)));
    let upper = ["maximum", "maxLength", "maxItems"].map(|word| (word, tighter(word, |was, is| is < was)));
    let pattern = (
        "pattern",
        !after["pattern"].is_null() && before["pattern"] != after["pattern"],
    );
    let all = lower.into_iter().chain(upper).chain([pattern]);
    all.filter(|(_, is_tighter)| *is_tighter)
        .map(|(word, _)| format!("{place}: its {word} is tighter"))
        .collect()
}

/// A reference in an `allOf` of its own is that reference.
fn alone(schema: &Value) -> &Value {
    match list(&schema["allOf"]) {
        [one] => one,
        _ => schema,
    }
}

/// What the client calls it.
fn name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().and_then(|path| path.rsplit('/').next())
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let path = value["$ref"].as_str();
    path.map_or(value, |path| document.pointer(path.trim_start_matches('#')).unwrap())
}

fn required(schema: &Value) -> BTreeSet<&str> {
    list(&schema["required"]).iter().filter_map(Value::as_str).collect()
}

fn is_open(schema: &Value) -> bool {
    schema["additionalProperties"].is_object() || schema["additionalProperties"] == true
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
