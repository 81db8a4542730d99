//! What is written for people says what the program does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tollgate::config::VARIABLES;

/// Variables that only smooth the way over from an older relay: `.env.example` has them, the README's table does not.
const LEGACY: [&str; 2] = ["DATABASE_TYPE", "DEBUG"];

#[test]
fn the_readmes_table_has_every_variable_and_no_other() {
    let readme = read("README.md");
    let table = section(&readme, "## Environment");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    // The first column names variables; the others may name further ones, such as an older spelling.
    let named: BTreeSet<_> = rows
        .clone()
        .flat_map(|row| variables(row.split('|').nth(1).unwrap()))
        .collect();
    let mentioned: BTreeSet<_> = rows.flat_map(variables).collect();
    let known: BTreeSet<_> = VARIABLES.iter().copied().collect();

    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "the README names {unknown:?}, which nothing reads");
    let missing: Vec<_> = known
        .difference(&mentioned)
        .filter(|name| !LEGACY.contains(*name))
        .collect();
    assert!(missing.is_empty(), "the README does not name {missing:?}");
}

#[test]
fn the_example_of_an_env_file_has_every_variable_in_order() {
    let example = read(".env.example");
    let lines = example.lines().map(|line| line.trim_start_matches('#'));
    let named: Vec<_> = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    let named: Vec<_> = named
        .into_iter()
        .filter(|name| !name.is_empty() && variables(&format!("`{name}`")).len() == 1)
        .collect();
    let mut sorted = named.clone();
    sorted.sort_by_key(|name| VARIABLES.iter().position(|known| known == name));
    assert_eq!(
        named.iter().collect::<BTreeSet<_>>(),
        VARIABLES.iter().collect::<BTreeSet<_>>()
    );
    assert_eq!(named, sorted);
}

#[test]
fn every_metric_of_a_dashboard_exists() {
    let metrics = read("src/telemetry/metrics/mod.rs")
        + &read("src/telemetry/metrics/jobs.rs")
        + &read("src/telemetry/metrics/backup.rs")
        + &read("src/telemetry/metrics/export.rs");
    let folder = root().join("grafana/dashboards");
    let mut found = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let mut expressions = Vec::new();
        collect_expressions(&dashboard, &mut expressions);
        for name in expressions.iter().flat_map(|expression| metric_names(expression)) {
            found += 1;
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(name);
            let exists = [name, base].iter().any(|name| metrics.contains(&format!("\"{name}\"")));
            assert!(exists, "no metric is called {name}");
        }
    }
    assert!(found > 5);
}

#[test]
fn the_changelog_names_this_version() {
    assert!(read("CHANGELOG.md").contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_readmes_links_lead_somewhere() {
    for name in ["README.md", "README.zh-CN.md"] {
        let readme = read(name);
        for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") && !link.starts_with('#') {
                assert!(root().join(link).exists(), "{name} links to {link}");
            }
        }
    }
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let Some(files) = tracked() else { return };
    // In pieces, so that this file does not name them.
    let homes = ["/ro", "/ho", "/Us", "/wo"]
        .into_iter()
        .zip(["ot/", "me/", "ers/", "rk/"])
        .map(|(one, two)| format!("{one}{two}"));
    let homes: Vec<_> = homes.chain([format!("/tmp/{}/", "h")]).collect();
    for file in files {
        let Ok(text) = std::fs::read_to_string(root().join(&file)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let named = homes.iter().find(|home| starts_a_path(line, home));
            assert!(named.is_none(), "{file}:{} names {}", number + 1, named.unwrap());
        }
    }
}

/// Whether `home` stands in the line as the start of a path, and not in the middle of one.
fn starts_a_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}/".contains(c))
    })
}

/// The files that git tracks; `None` where this is no checkout, as in a packed crate.
fn tracked() -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files"])
        .current_dir(root())
        .output()
        .ok()?;
    let listed = String::from_utf8(output.stdout)
        .ok()
        .filter(|_| output.status.success())?;
    Some(listed.lines().map(str::to_owned).collect())
}

fn collect_expressions(value: &Value, expressions: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_expressions(item, expressions)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if ["expr", "query", "definition"].contains(&name.as_str()) => {
                        expressions.push(text.to_owned());
                    }
                    _ => collect_expressions(field, expressions),
                }
            }
        }
        _ => {}
    }
}

fn metric_names(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("tollgate_"))
}

/// Names in backquotes that look like variables.
fn variables(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let looks = |word: &&str| word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    quoted.filter(looks).collect()
}

fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let (_, rest) = text.split_once(title).unwrap();
    rest.split("\n## ").next().unwrap()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
