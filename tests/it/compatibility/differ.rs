//! What a change of the document takes from those who built upon the released one.
//!
//! Everything that a generated client is made of counts: paths, operation ids, groups, names of schemas, fields, types.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::shape::{Direction, Shapes};

/// What is broken, a sentence each; empty for a compatible change.
pub(super) fn breaks(released: &Value, current: &Value) -> Vec<String> {
    let mut differ = Differ {
        shapes: Shapes::new(released, current),
        broken: vec![],
    };
    differ.paths(released, current);
    differ.broken
}

/// Whether breaking is allowed between two versions: the major moves, or the minor before there is a first major.
pub(super) fn may_break(released: &str, current: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        let core = version.split(['-', '+']).next().unwrap();
        core.split('.').map(|number| number.parse().unwrap()).collect()
    };
    let (released, current) = (numbers(released), numbers(current));
    let decisive = if current[0] == 0 { 2 } else { 1 };
    current[..decisive] > released[..decisive]
}

struct Differ<'a> {
    shapes: Shapes<'a>,
    broken: Vec<String>,
}

impl<'a> Differ<'a> {
    fn paths(&mut self, released: &'a Value, current: &'a Value) {
        for (path, methods) in fields(&released["paths"]) {
            for (method, before) in fields(methods) {
                let place = format!("{} {path}", method.to_uppercase());
                match current["paths"].get(path).and_then(|methods| methods.get(method)) {
                    Some(after) => self.operation(&place, before, after),
                    None => self.broken.push(format!("{place} is gone")),
                }
            }
        }
    }

    fn operation(&mut self, place: &str, before: &'a Value, after: &'a Value) {
        if before["operationId"] != after["operationId"] {
            self.broken.push(format!("{place}: its operation id changed"));
        }
        if before["tags"] != after["tags"] {
            self.broken.push(format!("{place}: its group changed"));
        }
        for scheme in schemes(before).difference(&schemes(after)) {
            self.broken.push(format!("{place}: {scheme} no longer lets anybody in"));
        }
        self.parameters(place, before, after);
        self.body(place, before.get("requestBody"), after.get("requestBody"));
        self.responses(place, &before["responses"], &after["responses"]);
    }

    fn parameters(&mut self, place: &str, before: &'a Value, after: &'a Value) {
        let (before, after) = (parameters(before), parameters(after));
        for (key, parameter) in &before {
            let place = format!("{place}: {}", key.1);
            let Some(now) = after.get(key) else {
                self.broken.push(format!("{place} is gone"));
                continue;
            };
            if is_required(now) && !is_required(parameter) {
                self.broken.push(format!("{place} became required"));
            }
            self.shape(&place, &parameter["schema"], &now["schema"], Direction::Sent);
        }
        for (key, parameter) in &after {
            if !before.contains_key(key) && is_required(parameter) {
                self.broken.push(format!("{place}: {} is new and required", key.1));
            }
        }
    }

    fn body(&mut self, place: &str, before: Option<&'a Value>, after: Option<&'a Value>) {
        let place = format!("{place}: its body");
        let (before, after) = match (before, after) {
            (Some(before), Some(after)) => (before, after),
            (Some(_), None) => return self.broken.push(format!("{place} is gone")),
            (None, Some(after)) if is_required(after) => {
                return self.broken.push(format!("{place} is new and required"));
            }
            (None, _) => return,
        };
        if is_required(after) && !is_required(before) {
            self.broken.push(format!("{place} became required"));
        }
        self.content(&place, before, after, Direction::Sent);
    }

    fn responses(&mut self, place: &str, before: &'a Value, after: &'a Value) {
        for (status, response) in fields(before) {
            let place = format!("{place}: its {status}");
            let Some(now) = after.get(status) else {
                self.broken.push(format!("{place} is gone"));
                continue;
            };
            let (before, after) = self.shapes.resolve(response, now);
            self.content(&place, before, after, Direction::Received);
        }
    }

    fn content(&mut self, place: &str, before: &'a Value, after: &'a Value, direction: Direction) {
        for (kind, media) in fields(&before["content"]) {
            match after["content"].get(kind) {
                Some(now) => self.shape(place, &media["schema"], &now["schema"], direction),
                None => self.broken.push(format!("{place} is no longer {kind}")),
            }
        }
    }

    fn shape(&mut self, place: &str, before: &'a Value, after: &'a Value, direction: Direction) {
        let broken = self.shapes.breaks(place, before, after, direction);
        self.broken.extend(broken);
    }
}

/// The fields of an object; none of anything else.
pub(super) fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn schemes(operation: &Value) -> BTreeSet<&String> {
    let all = operation["security"].as_array().into_iter().flatten();
    all.flat_map(|one| fields(one).map(|(name, _)| name)).collect()
}

/// By place and name.
fn parameters(operation: &Value) -> BTreeMap<(&str, &str), &Value> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.map(|one| ((one["in"].as_str().unwrap(), one["name"].as_str().unwrap()), one))
        .collect()
}

fn is_required(value: &Value) -> bool {
    value["required"] == true
}
