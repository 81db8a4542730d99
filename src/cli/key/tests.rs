use serde_json::{Value, json};

use super::*;
use crate::cli::command::{Cli, Command};
use crate::cli::output::{Show, compact, pretty};
use crate::cli::table::{Colour, Look};

const PLAIN: Look = Look {
    colour: Colour::Plain,
    width: None,
};

fn parse(line: &str) -> Result<KeyAction, clap::Error> {
    let line = line.split(' ').map(|arg| arg.replace('_', " ").replace('~', "_"));
    match Cli::parse_line(["tollgate".to_owned(), "key".to_owned()].into_iter().chain(line))?.command {
        Some(Command::Key(args)) => Ok(args.action),
        other => panic!("{other:?}"),
    }
}

fn patch(line: &str) -> Result<String, CliError> {
    match parse(&format!("update --id key~0123456789abcdef {line}")).unwrap() {
        KeyAction::Update(update) => update
            .change
            .into_patch(Limits {
                concurrency: Some(9),
                queue: Some(8),
                ..Limits::default()
            })
            .map(|patch| patch.to_string()),
        other => panic!("{other:?}"),
    }
}

fn issued() -> Value {
    json!({
        "id": "key_0123456789abcdef", "access_key": "ak_aaaaaaaaaaaaaaaa",
        "secret_key": "sk_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "description": "render farm",
        "created_at": "2026-02-24T10:00:00.5Z", "expires_at": null, "status": "active", "owner": "own_0123456789abcdef",
        "scopes": ["relay"], "schemes": ["signed", "bearer"], "limits": {"concurrency": 4, "queue": null},
    })
}

fn listed() -> Value {
    json!({
        "id": "key_0123456789abcdef", "access_key": "ak_aaaaaaaaaaaaaaaa", "description": "render farm",
        "created_at": "2026-02-24T10:00:00Z", "updated_at": "2026-02-24T11:00:00Z",
        "revoked_at": "2026-02-24T11:00:00Z", "status": "revoked", "owner": "own_0123456789abcdef",
        "scopes": ["relay"], "schemes": ["signed"], "from_the_future": 1,
    })
}

#[test]
fn create_takes_jimeng_relays_flags_and_ours() {
    let KeyAction::Create(create) = parse(
        "create -description -my_farm -expires-at=2030-01-01T00:00:00Z --scope relay,admin --scheme bearer \
         --model jimeng~t2i~v40 --concurrency 4 --requests-per-minute 60 --requests-per-day 500 --tokens-per-minute 9000 \
         --budget USD,month=70,day=5",
    )
    .unwrap() else {
        panic!()
    };
    assert_eq!(
        compact(&NewKey::from(create)),
        r#"{"description":"-my farm","expires_at":"2030-01-01T00:00:00Z","scopes":["relay","admin"],"schemes":["bearer"],"models":["jimeng_t2i_v40"],"limits":{"concurrency":4,"requests_per_minute":60,"requests_per_day":500,"tokens_per_minute":9000,"budget":{"currency":"USD","day_microunits":5,"month_microunits":70}}}"#
    );
}

#[test]
fn create_without_flags_leaves_everything_to_the_server() {
    let KeyAction::Create(create) = parse("create").unwrap() else {
        panic!()
    };
    assert_eq!(compact(&NewKey::from(create)), "{}");
}

#[test]
fn what_cannot_be_right_is_a_usage_error() {
    for line in [
        "create --expires-at tomorrow",
        "create --scope root",
        "create --budget USD",
        "create --budget USD,day=x",
        "create --budget USD,day=1,day=2",
        "create --budget USD,year=1",
        "create --scheme basic",
        "revoke",
        "revoke --id 7",
        "rotate -id key~0123456789abcdef -grace-period -5m",
        "rotate -id key~0123456789abcdef -grace-period 1500ms",
        "import",
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn rotate_gives_five_minutes_of_grace_unless_told_otherwise() {
    for (flag, seconds) in [("", 300), (" -grace-period 0", 0), (" --grace-period=1h30m", 5400)] {
        let KeyAction::Rotate(rotate) = parse(&format!("rotate -id key~0123456789abcdef{flag}")).unwrap() else {
            panic!()
        };
        assert_eq!(
            compact(&Successor::from(rotate)),
            format!(r#"{{"grace_seconds":{seconds}}}"#)
        );
    }
}

#[test]
fn update_changes_what_is_given_and_clears_what_is_named() {
    assert_eq!(
        patch("--description new --queue 3 --clear expires-at,concurrency").unwrap(),
        r#"{"description":"new","expires_at":null,"limits":{"queue":3}}"#
    );
    assert_eq!(patch("--scope jobs").unwrap(), r#"{"scopes":["jobs"]}"#);
    assert_eq!(
        patch("--concurrency 1").unwrap(),
        r#"{"limits":{"concurrency":1,"queue":8}}"#
    );
    assert_eq!(
        patch("--tokens-per-minute 500 --clear requests-per-day").unwrap(),
        r#"{"limits":{"concurrency":9,"queue":8,"tokens_per_minute":500}}"#
    );
    assert_eq!(patch("--clear queue,concurrency").unwrap(), r#"{"limits":null}"#);
}

#[test]
fn an_update_must_change_something_and_not_contradict_itself() {
    for line in ["--json", "--queue 3 --clear queue"] {
        assert!(matches!(patch(line), Err(CliError::Usage(_))), "{line}");
    }
}

#[test]
fn an_issued_key_is_printed_as_jimeng_relay_did_with_the_new_fields_after() {
    let key: IssuedKey = serde_json::from_value(issued()).unwrap();
    assert_eq!(
        pretty(&key),
        r#"{
  "id": "key_0123456789abcdef",
  "access_key": "ak_aaaaaaaaaaaaaaaa",
  "secret_key": "sk_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
  "description": "render farm",
  "created_at": "2026-02-24T10:00:00.5Z",
  "status": "active",
  "owner": "own_0123456789abcdef",
  "scopes": [
    "relay"
  ],
  "schemes": [
    "signed",
    "bearer"
  ],
  "limits": {
    "concurrency": 4,
    "queue": null
  }
}
"#
    );
    assert!(!format!("{key:?}").contains("sk_"));
}

#[test]
fn a_list_is_printed_as_jimeng_relay_did_and_keeps_what_it_does_not_know() {
    let page: Page<KeyView> = serde_json::from_value(json!({"items": [listed()], "next_cursor": null})).unwrap();
    assert_eq!(
        compact(&page),
        r#"{"items":[{"id":"key_0123456789abcdef","access_key":"ak_aaaaaaaaaaaaaaaa","description":"render farm","created_at":"2026-02-24T10:00:00Z","updated_at":"2026-02-24T11:00:00Z","revoked_at":"2026-02-24T11:00:00Z","status":"revoked","owner":"own_0123456789abcdef","scopes":["relay"],"schemes":["signed"],"from_the_future":1}]}"#
    );
}

#[test]
fn on_a_terminal_an_issued_key_is_a_list_of_fields() {
    let key: IssuedKey = serde_json::from_value(issued()).unwrap();
    assert_eq!(
        key.text(PLAIN),
        "id           key_0123456789abcdef
access key   ak_aaaaaaaaaaaaaaaa
secret key   sk_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
description  render farm
status       active
created      2026-02-24T10:00:00Z
expires      -
owner        own_0123456789abcdef
scopes       relay
schemes      signed, bearer
models       all
limits       concurrency 4

Keep the secret key now: it is not shown again.
"
    );
}

#[test]
fn on_a_terminal_keys_are_a_table() {
    let page: Page<KeyView> = serde_json::from_value(json!({"items": [listed()]})).unwrap();
    assert_eq!(
        page.text(PLAIN),
        "ID                    ACCESS KEY           STATUS   CREATED               EXPIRES  DESCRIPTION
key_0123456789abcdef  ak_aaaaaaaaaaaaaaaa  revoked  2026-02-24T10:00:00Z  -        render farm
"
    );
}

#[test]
fn an_import_with_a_refused_row_is_printed_and_fails() {
    let json = json!({"added": 2, "skipped": 1, "errors": ["key_7: sealed under another key"]});
    let imported: ImportedKeys = serde_json::from_value(json).unwrap();
    assert_eq!(
        imported.text(PLAIN),
        "added           2\nknown already   1\nnot taken over  key_7: sealed under another key\n"
    );
    assert!(imported.into_result("k.json".as_ref()).is_err());
}
