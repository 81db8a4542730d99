//! The floors: imports point down only, and only `store` names redb.
//!
//! Production code is read as text, without comments and `#[cfg(test)]` parts. It must agree with `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every module with the modules it may import, from the ground up.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // F0
    ("model", &[]),
    ("telemetry", &[]),
    // F1
    ("config", &["model"]),
    ("crypto", &["model"]),
    // F2: not each other
    ("store", &["model", "telemetry", "config", "crypto"]),
    ("upstream", &["model", "telemetry", "config", "crypto"]),
    ("object", &["model", "config"]),
    // F3: not each other
    ("auth", &["model", "telemetry", "config", "crypto", "store"]),
    ("admission", &["model", "telemetry", "config", "crypto", "store"]),
    ("record", &["model", "telemetry", "config", "crypto", "store"]),
    ("import", &["model", "telemetry", "config", "crypto", "store"]),
    ("backup", &["model", "telemetry", "config", "crypto", "store", "object"]),
    ("catalogue", &["model", "telemetry", "config", "crypto", "store"]),
    ("export", &["model", "telemetry", "config", "crypto", "store", "object"]),
    // F4: never asks the store
    ("dispatch", &["model", "telemetry", "config", "crypto", "upstream"]),
    ("rekey", &["model", "telemetry", "crypto", "store", "auth"]),
    // F5
    (
        "relay",
        &["model", "telemetry", "crypto", "admission", "record", "dispatch"],
    ),
    // F6
    (
        "jobs",
        &[
            "model",
            "telemetry",
            "config",
            "crypto",
            "store",
            "upstream",
            "auth",
            "admission",
            "record",
            "catalogue",
            "dispatch",
            "relay",
        ],
    ),
    // F7: never dispatch or upstream
    (
        "api",
        &[
            "model",
            "telemetry",
            "config",
            "crypto",
            "store",
            "auth",
            "admission",
            "record",
            "import",
            "catalogue",
            "export",
            "rekey",
            "backup",
            "relay",
            "jobs",
        ],
    ),
    // F8
    ("server", &["model", "telemetry", "config", "crypto"]),
    ("sandbox", &["model", "crypto"]),
    (
        "app",
        &[
            "model",
            "telemetry",
            "config",
            "crypto",
            "store",
            "object",
            "upstream",
            "auth",
            "admission",
            "record",
            "import",
            "catalogue",
            "export",
            "backup",
            "dispatch",
            "rekey",
            "relay",
            "jobs",
            "api",
            "server",
        ],
    ),
    // F9
    (
        "cli",
        &[
            "model",
            "telemetry",
            "config",
            "crypto",
            "store",
            "object",
            "auth",
            "import",
            "catalogue",
            "export",
            "backup",
            "api",
            "server",
            "sandbox",
            "app",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Single imports beside the table: who, what, and why it is right.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("telemetry", "model::key", "closed label sets are the model's enums"),
    ("telemetry", "model::job", "closed label sets are the model's enums"),
    (
        "telemetry",
        "model::operation",
        "closed label sets are the model's enums",
    ),
    ("telemetry", "model::outcome", "closed label sets are the model's enums"),
    ("telemetry", "model::record", "closed label sets are the model's enums"),
    ("telemetry", "model::webhook", "closed label sets are the model's enums"),
    (
        "telemetry",
        "model::usage",
        "tokens are counted as the model writes them down",
    ),
    (
        "relay",
        "config::UnknownTasks",
        "who may ask about a task that we never saw is the relay's to decide",
    ),
    (
        "relay",
        "config::Volcengine",
        "the time that a submit needs is taken off its deadline",
    ),
    ("relay", "store::error", "a failure to look a task up passes through"),
    (
        "relay",
        "store::tasks",
        "a query goes to the account that its task's row names",
    ),
    (
        "relay",
        "upstream::Form",
        "a reply is passed on, wrapped or refused by its form",
    ),
    (
        "relay",
        "upstream::Symptom",
        "the end of a stream tells the pool how its account stands",
    ),
    (
        "relay",
        "upstream::Verdict",
        "the flow settles what the protocol read from a reply",
    ),
    (
        "relay",
        "upstream::error",
        "an attempt that failed is settled by the phase it failed in",
    ),
    (
        "relay",
        "upstream::mark",
        "only the mark tells a call that was never sent from one whose fate is unknown",
    ),
    (
        "relay",
        "upstream::openai",
        "a call's tokens are estimated before it, and read from its reply or its stream",
    ),
    (
        "relay",
        "upstream::transport::Arriving",
        "a stream is passed on while it arrives",
    ),
    (
        "relay",
        "upstream::volcengine",
        "a query's reply is read for the state of its task",
    ),
];

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for (file, module, text) in production() {
        for path in crate_paths(&text) {
            if !may_import(&module, &path) {
                wrong.push(format!("{}: {module} must not import {path}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_exception_is_in_use() {
    let used: BTreeSet<(String, String)> = production()
        .into_iter()
        .flat_map(|(_, module, text)| crate_paths(&text).into_iter().map(move |path| (module.clone(), path)))
        .collect();
    for (module, exception, _) in EXCEPTIONS {
        let is_used = used
            .iter()
            .any(|(from, path)| from == module && is_within(path, exception));
        assert!(
            is_used,
            "{module} no longer imports {exception}: take the exception out"
        );
    }
}

#[test]
fn only_the_store_names_redb() {
    for (file, module, text) in production() {
        assert!(
            module == "store" || !text.contains("redb::"),
            "{} names redb",
            file.display()
        );
    }
}

#[test]
fn a_module_reaches_others_by_their_names_from_the_root() {
    for (file, _, text) in production() {
        let depth = file.components().count() - usize::from(file.ends_with("mod.rs"));
        let mut rest = text.as_str();
        while let Some(at) = rest.find("super::") {
            rest = &rest[at..];
            let mut ups = 0;
            while let Some(next) = rest.strip_prefix("super::") {
                (rest, ups) = (next, ups + 1);
            }
            assert!(ups < depth, "{} leaves its module by `super`", file.display());
        }
    }
}

#[test]
fn every_module_has_its_floor() {
    let known: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let found: BTreeSet<String> = production().into_iter().map(|(_, module, _)| module).collect();
    let missing: Vec<_> = found
        .iter()
        .filter(|module| !known.contains_key(module.as_str()))
        .collect();
    assert!(missing.is_empty(), "no floor is given to {missing:?}");
}

fn may_import(module: &str, path: &str) -> bool {
    let target = path.split("::").next().unwrap_or_default();
    let floors = MAY_IMPORT.iter().find(|(name, _)| *name == module);
    target == module
        || floors.is_some_and(|(_, targets)| targets.contains(&target))
        || EXCEPTIONS
            .iter()
            .any(|(from, exception, _)| *from == module && is_within(path, exception))
}

/// Whether `path` is `prefix` or lies in it.
fn is_within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every production file under `src`: its path there, its module, its text.
fn production() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut tests_only = BTreeSet::new();
    let mut texts = Vec::new();
    for file in files {
        let (text, declared) = without_tests(&std::fs::read_to_string(&file).unwrap());
        let folder = if file.ends_with("mod.rs") || file.ends_with("lib.rs") {
            file.parent().unwrap().to_owned()
        } else {
            file.with_extension("")
        };
        tests_only.extend(declared.into_iter().map(|name| folder.join(name)));
        texts.push((file, text));
    }
    texts.retain(|(file, _)| {
        !file
            .ancestors()
            .any(|above| tests_only.contains(&above.with_extension("")))
    });
    let describe = |(file, text): (PathBuf, String)| {
        let file = file.strip_prefix(&root).unwrap().to_owned();
        let first = file.components().next().unwrap().as_os_str();
        let module = Path::new(first).file_stem().unwrap().to_str().unwrap().to_owned();
        (file, module, text)
    };
    texts.into_iter().map(describe).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The text without comments and without what is compiled for tests only, and the names of modules that are.
fn without_tests(text: &str) -> (String, Vec<String>) {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let (mut kept, mut declared) = (Vec::new(), Vec::new());
    let mut lines = code.into_iter().peekable();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let Some(item) = lines.next() else { break };
        if let Some(name) = item.trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            declared.push(name.to_owned());
        }
        if !item.trim_end().ends_with(';') {
            // rustfmt closes an item at the column where it began.
            let ends = |line: &&str| line.trim() == "}" && line.len() - line.trim_start().len() == indent;
            lines.by_ref().find(ends);
        }
    }
    (kept.join("\n"), declared)
}

/// Every path that begins with `crate::`, groups taken apart.
fn crate_paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let is_whole = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        if is_whole {
            expand("", &text[at + "crate::".len()..], &mut paths);
        }
    }
    paths
}

/// Reads one path or group, and returns what follows it.
fn expand<'a>(prefix: &str, text: &'a str, paths: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    let Some(mut group) = text.strip_prefix('{') else {
        let end = text
            .find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
            .unwrap_or(text.len());
        let (path, rest) = text.split_at(end);
        let joined = format!("{prefix}{path}");
        if path.ends_with("::") && rest.starts_with('{') {
            return expand(&joined, rest, paths);
        }
        paths.push(joined.trim_end_matches(':').to_owned());
        return rest;
    };
    loop {
        group = expand(prefix, group, paths).trim_start();
        match group.strip_prefix(',') {
            Some(more) if !more.trim_start().starts_with('}') => group = more,
            _ => return group.split_once('}').map_or("", |(_, rest)| rest),
        }
    }
}

#[test]
fn the_reader_of_imports_understands_groups_and_leaves_tests_out() {
    let text = "use crate::{a::{B, c::D}, e};\nlet x = crate::f::g(1); // crate::h\n#[cfg(test)]\nmod tests {\n    use crate::i;\n}\nuse crate::j;\n";
    let (code, _) = without_tests(text);
    assert_eq!(crate_paths(&code), ["a::B", "a::c::D", "e", "f::g", "j"]);
    assert_eq!(without_tests("#[cfg(test)]\nmod oracle;\n").1, ["oracle"]);
}
