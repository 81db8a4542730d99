//! Upstreams, accounts and models over HTTP: what the environment defines, what the operator adds, and what is kept.

use std::fs;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tollgate::catalogue::{By, CurateError};
use tollgate::model::account::{AccountState, Standing, StateReason};
use tollgate::model::caller::Identity;
use tollgate::model::clock::Clock;
use tollgate::model::id::AccountId;
use tollgate::model::record::Event;

use crate::support::{Client, Relay, Reply};

/// No provider's key looks like it.
const CREDENTIAL: &str = "fake-credential-canary-0123456789abcdef";

#[tokio::test]
async fn an_upstream_and_its_account_are_added_and_listed_without_the_credential() {
    let relay = Relay::start().await;
    let operator = relay.operator();

    let upstream = add_upstream(&operator, "local").await;
    let account = add_account(&operator, "local", CREDENTIAL).await;
    let listed = accounts(&operator, "local").await;
    let upstreams = operator.get("/admin/upstreams").await.json();

    assert_eq!(
        upstream,
        json!({
            "id": "local", "protocol": "openai", "base_url": "http://10.0.0.7:8000/v1", "timeout_seconds": 600.0,
            "max_attempts": 3, "stream_usage": "as_asked", "source": "store", "accounts": 0,
        })
    );
    assert_eq!(
        account,
        json!({
            "id": account["id"], "upstream": "local", "mask": "fake-cr…", "weight": 1, "source": "store",
            "state": "active", "reason": "fine",
        })
    );
    assert_eq!(listed, [account]);
    assert_eq!(names(&upstreams), ["local", "volcengine"]);
    assert_eq!(upstreams["items"][0]["accounts"], 1);
}

#[tokio::test]
async fn a_credential_is_sealed_on_disk_and_opens_in_the_next_process() {
    let relay = Relay::start().await;
    add_upstream(&relay.operator(), "local").await;
    let added = add_account(&relay.operator(), "local", CREDENTIAL).await;

    let next = relay.stop().await;
    let raw = next.image();
    let relay = next.start().await;

    assert!(!contains(&raw, CREDENTIAL), "the file holds the credential");
    assert!(contains(&raw, "10.0.0.7"), "the file holds the upstream");
    assert_eq!(accounts(&relay.operator(), "local").await, [added]);
    let catalogue = relay.services().curator.catalogue().load();
    let account = catalogue
        .accounts
        .iter()
        .find(|account| account.upstream.as_str() == "local");
    assert_eq!(account.unwrap().credential.expose(), CREDENTIAL);
}

#[tokio::test]
async fn every_change_is_in_the_log_book_with_its_actor_and_request() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    let account = add_account(&operator, "local", CREDENTIAL).await;
    let path = format!("/admin/upstreams/local/accounts/{}", text(&account["id"]));
    for decision in ["disable", "disable", "enable", "reset"] {
        operator.post(&format!("{path}/{decision}"), "").await;
    }
    put_model(
        &operator,
        "small",
        json!({ "targets": [{ "upstream": "local", "model": "tiny" }] }),
    )
    .await;
    delete(&operator, "/admin/models/small").await;
    delete(&operator, &path).await;
    delete(&operator, "/admin/upstreams/local").await;

    let told: Vec<_> = relay
        .log_book()
        .into_iter()
        .filter_map(|(_, entry)| match entry.event {
            Event::Admin(action) => Some(action),
            _ => None,
        })
        .collect();
    let actions: Vec<_> = told.iter().map(|action| action.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "upstream.add",
            "account.add",
            "account.disable",
            "account.enable",
            "account.reset",
            "model.put",
            "model.remove",
            "account.remove",
            "upstream.remove",
        ]
    );
    assert!(
        told.iter()
            .all(|action| action.actor == "admin_token" && action.request.is_some())
    );
    assert_eq!(told[2].target, text(&account["id"]));
    assert!(told.iter().all(|action| !format!("{action:?}").contains("canary")));
}

#[tokio::test]
async fn what_the_environment_defines_is_read_only_and_never_written_to_disk() {
    let relay = Relay::build()
        .with("OPENAI_API_KEY", CREDENTIAL)
        .with("OPENAI_MODEL", "gpt-small")
        .start()
        .await;
    let operator = relay.operator();
    let account = accounts(&operator, "openai").await.remove(0);
    let path = format!("/admin/upstreams/openai/accounts/{}", text(&account["id"]));

    assert_eq!(
        (&account["source"], &account["mask"]),
        (&json!("environment"), &json!("fake-cr…"))
    );
    let refused = [
        operator
            .post("/admin/upstreams", &upstream_body("openai").to_string())
            .await,
        operator
            .post(
                "/admin/upstreams/openai/accounts",
                &json!({ "credential": "x" }).to_string(),
            )
            .await,
        delete(&operator, &path).await,
        delete(&operator, "/admin/upstreams/openai").await,
        delete(&operator, "/admin/models/gpt-small").await,
    ];
    for reply in refused {
        reply.assert_error(400, "VALIDATION_FAILED");
        assert!(reply.text().contains("read-only here"), "{reply:?}");
    }
    // How it stands is a person's to decide all the same.
    assert_eq!(
        operator.post(&format!("{path}/disable"), "").await.json()["state"],
        "disabled"
    );
    assert!(!contains(&relay.stop().await.image(), CREDENTIAL));
}

#[tokio::test]
async fn a_decision_of_a_person_survives_a_restart_and_what_the_pool_saw_does_not_undo_it() {
    let relay = Relay::build().with("OPENAI_API_KEY", CREDENTIAL).start().await;
    let operator = relay.operator();
    let id = text(&accounts(&operator, "openai").await[0]["id"]).to_owned();
    let path = format!("/admin/upstreams/openai/accounts/{id}");

    let disabled = operator.post(&format!("{path}/disable"), "").await.json();
    let seen = Standing::fresh(relay.clock.wall());
    relay.services().curator.standings().persist(id.parse().unwrap(), seen);
    let refused = operator.post(&format!("{path}/reset"), "").await;
    let relay = relay.stop().await.start().await;
    let kept = accounts(&relay.operator(), "openai").await.remove(0);
    let enabled = relay.operator().post(&format!("{path}/enable"), "").await.json();

    assert_eq!(
        (&disabled["state"], &disabled["reason"]),
        (&json!("disabled"), &json!("operator"))
    );
    assert!(refused.text().contains("enable it instead"), "{refused:?}");
    assert_eq!(kept, disabled);
    assert_eq!(
        (&enabled["state"], &enabled["reason"]),
        (&json!("active"), &json!("operator"))
    );
}

#[tokio::test]
async fn what_the_pool_saw_of_an_account_survives_a_restart_and_is_forgotten_on_request() {
    let keys = format!("{CREDENTIAL}-1,{CREDENTIAL}-2,{CREDENTIAL}-3");
    let relay = Relay::build().with("OPENAI_API_KEY", &keys).start().await;
    let ids: Vec<AccountId> = accounts(&relay.operator(), "openai")
        .await
        .iter()
        .map(|account| text(&account["id"]).parse().unwrap())
        .collect();
    let now = relay.clock.wall();
    let standing = |state, reason| Standing {
        state,
        reason,
        since: now,
    };
    let standings = relay.services().curator.standings();
    standings.persist(
        ids[0],
        standing(
            AccountState::Disabled { probe_at: Some(now) },
            StateReason::Unauthorized,
        ),
    );
    standings.persist(
        ids[1],
        standing(AccountState::Exhausted { probe_at: now }, StateReason::Exhausted),
    );

    let relay = relay.stop().await.start().await;
    let before = accounts(&relay.operator(), "openai").await;
    let reset = relay.operator().post("/admin/reset-failed-keys", "").await.json();
    let after = accounts(&relay.operator(), "openai").await;

    let states = |accounts: &[Value]| {
        accounts
            .iter()
            .map(|account| account["state"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&before), ["disabled", "exhausted", "active"]);
    assert_eq!(before[0]["until"], now.to_string());
    assert_eq!(
        (before[0]["since"].as_str(), &before[2]["since"]),
        (Some(now.to_string().as_str()), &Value::Null)
    );
    assert_eq!(reset, json!({ "message": "2 accounts may be used again", "reset": 2 }));
    assert_eq!(states(&after), ["active", "active", "active"]);
}

#[tokio::test]
async fn the_megallm_pool_comes_from_its_key_file_with_its_twelve_models() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    fs::write(
        &file,
        format!("# keys\n\n{CREDENTIAL}-1\n{CREDENTIAL}-2\n{CREDENTIAL}-1\n"),
    )
    .unwrap();
    let relay = Relay::build()
        .with("KEY_FILE_PATH", file.to_str().unwrap())
        .start()
        .await;
    let operator = relay.operator();

    let models = operator.get("/admin/models").await.json();
    let slashed = operator
        .get("/admin/models/deepseek-ai%2Fdeepseek-v3.1-terminus")
        .await
        .json();

    assert_eq!(accounts(&operator, "megallm").await.len(), 2);
    assert_eq!(models["items"].as_array().unwrap().len(), 12);
    assert_eq!(
        (&slashed["context_length"], &slashed["source"]),
        (&json!(164_000), &json!("environment"))
    );
    let catalogue = relay.services().curator.catalogue().load();
    assert_eq!(catalogue.default_model.as_deref(), Some("openai-gpt-oss-120b"));
    let route = catalogue.route(Some("a-model-that-nobody-registered")).unwrap();
    assert_eq!(route.targets[0].upstream.as_str(), "megallm");

    let before = accounts(&operator, "megallm").await;
    fs::write(&file, format!("{CREDENTIAL}-2\n{CREDENTIAL}-3\n{CREDENTIAL}-4\n")).unwrap();
    let reloaded = operator.post("/admin/reload-keys", "").await.json();
    let after = accounts(&operator, "megallm").await;
    assert_eq!(reloaded["accounts"], 3);
    assert!(
        text(&reloaded["message"]).starts_with("the key file holds 3 keys"),
        "{reloaded}"
    );
    // The account of a key that stayed is the same one.
    assert_eq!((after.len(), &after[0]), (3, &before[1]));
    assert!(!contains(&relay.stop().await.image(), CREDENTIAL));
}

#[tokio::test]
async fn a_key_file_that_changes_is_taken_up_and_one_that_breaks_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    let relay = Relay::build()
        .with("MEGALLM_BASE_URL", "http://127.0.0.1:9/v1")
        .with("KEY_FILE_PATH", file.to_str().unwrap())
        .start()
        .await;
    let curator = &relay.services().curator;
    assert_eq!(accounts(&relay.operator(), "megallm").await, [Value::Null; 0]);

    fs::write(&file, "fake-key-one\n").unwrap();
    let found = curator.look_at_keys().await.unwrap();
    let again = curator.look_at_keys().await.unwrap();
    fs::write(&file, "fake key\n").unwrap();
    let broken = curator.look_at_keys().await.unwrap_err();
    let once = curator.look_at_keys().await.unwrap();
    fs::remove_file(&file).unwrap();
    let gone = curator.look_at_keys().await.unwrap();
    let refused = relay.operator().post("/admin/reload-keys", "").await;

    // The server's own look may have come first.
    assert!(
        found.is_none_or(|found| (found.accounts, found.added) == (1, 1)),
        "{found:?}"
    );
    assert!((again, once, gone) == (None, None, None));
    assert!(
        matches!(&broken, CurateError::KeyFile(_)) && !broken.to_string().contains("fake key"),
        "{broken}"
    );
    refused.assert_error(400, "VALIDATION_FAILED");
    assert!(refused.text().contains("KEY_FILE_PATH"), "{refused:?}");
    assert_eq!(accounts(&relay.operator(), "megallm").await.len(), 1);
}

#[tokio::test]
async fn a_key_file_that_cannot_be_used_ends_the_start_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::build().with("KEY_FILE_PATH", folder.path().to_str().unwrap());
    let Err(error) = relay.try_start().await else {
        panic!("a folder is no key file")
    };
    assert!(error.to_string().starts_with("KEY_FILE_PATH: "), "{error}");
}

#[tokio::test]
async fn imported_keys_that_are_there_already_are_skipped() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    add_account(&operator, "local", "fake-key-one").await;
    let body = json!({ "credentials": ["fake-key-one", "fake-key-two", "fake-key-two", "fake-key-three"] }).to_string();

    let first = operator
        .post("/admin/upstreams/local/accounts/import", &body)
        .await
        .json();
    let again = operator
        .post("/admin/upstreams/local/accounts/import", &body)
        .await
        .json();
    let broken = json!({ "credentials": ["fake-key-four", "fake key"] }).to_string();
    let refused = operator.post("/admin/upstreams/local/accounts/import", &broken).await;
    let page = operator.get("/admin/upstreams/local/accounts?limit=2").await.json();

    assert_eq!(first, json!({ "added": 2, "skipped": 2 }));
    assert_eq!(again, json!({ "added": 0, "skipped": 4 }));
    refused.assert_error(400, "VALIDATION_FAILED");
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let next = format!(
        "/admin/upstreams/local/accounts?limit=2&cursor={}",
        text(&page["next_cursor"])
    );
    let rest = operator.get(&next).await.json();
    assert_eq!(
        (rest["items"].as_array().unwrap().len(), &rest["next_cursor"]),
        (1, &Value::Null)
    );
}

#[tokio::test]
async fn a_model_leads_where_it_is_put_and_one_of_ours_comes_back_when_its_replacement_goes() {
    let relay = Relay::build()
        .with("MEGALLM_BASE_URL", "http://127.0.0.1:9/v1")
        .start()
        .await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    let path = "/admin/models/qwen%2Fqwen3-next-80b-a3b-instruct";
    let body = json!({
        "targets": [
            { "upstream": "local", "model": "qwen3", "weight": 3 },
            { "upstream": "megallm", "model": "qwen/qwen3-next-80b-a3b-instruct" },
        ],
        "context_length": 32_000,
        "max_tokens": 4_000,
        "price": { "currency": "USD", "input": 150_000, "output": 600_000 },
    });

    let put = operator
        .send(Method::PUT, path, &body.to_string())
        .await
        .unwrap()
        .json();
    let in_use = delete(&operator, "/admin/upstreams/local").await;
    let shown = operator.get(path).await.json();
    let relay = relay.stop().await.start().await;
    let kept = relay.operator().get(path).await.json();
    let removed = delete(&relay.operator(), path).await;
    let ours = relay.operator().get(path).await.json();

    let mut expected = body;
    expected["id"] = json!("qwen/qwen3-next-80b-a3b-instruct");
    expected["source"] = json!("store");
    assert_eq!((&put, &shown, &kept), (&expected, &expected, &expected));
    assert!(in_use.text().contains("leads there"), "{in_use:?}");
    assert_eq!(removed.json()["status"], "removed");
    assert_eq!(
        (&ours["context_length"], &ours["source"]),
        (&json!(262_000), &json!("environment"))
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_name_of_the_field() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    let upstream = |field: &str, value: Value| {
        let mut body = upstream_body("other");
        body[field] = value;
        ("/admin/upstreams", Method::POST, body)
    };
    let account = |body: Value| ("/admin/upstreams/local/accounts", Method::POST, body);
    let model = |body: Value| ("/admin/models/small", Method::PUT, body);
    let target = json!({ "upstream": "local", "model": "tiny" });
    let cases = [
        (upstream("id", json!("Other")), "id"),
        (upstream("base_url", json!("https://user:pass-canary@host")), "base_url"),
        (upstream("base_url", json!("ftp://host")), "base_url"),
        (upstream("base_url", json!("https://host?x=1")), "base_url"),
        (upstream("base_url", json!("https://host/#x")), "base_url"),
        (upstream("timeout_seconds", json!(0)), "timeout_seconds"),
        (upstream("max_attempts", json!(101)), "max_attempts"),
        (account(json!({ "credential": "" })), "credential"),
        (account(json!({ "credential": "two words" })), "credential"),
        (account(json!({ "credential": "x", "weight": 0 })), "weight"),
        (account(json!({ "credential": "x", "weight": 1001 })), "weight"),
        (model(json!({ "targets": [] })), "targets"),
        (
            model(json!({ "targets": [{ "upstream": "nobody", "model": "x" }] })),
            "targets.upstream",
        ),
        (
            model(json!({ "targets": [{ "upstream": "volcengine", "model": "x" }] })),
            "targets.model",
        ),
        (
            model(json!({ "targets": [{ "upstream": "volcengine", "model": "t2v-720" }, target] })),
            "targets",
        ),
        (
            model(json!({ "targets": [{ "upstream": "local", "model": "" }] })),
            "targets.model",
        ),
        (
            model(json!({ "targets": [target], "context_length": 0 })),
            "context_length",
        ),
        (
            model(json!({ "targets": [target], "price": { "currency": "usd", "input": 1, "output": 1 } })),
            "price.currency",
        ),
    ];
    for ((path, method, body), param) in cases {
        let reply = operator.send(method, path, &body.to_string()).await.unwrap();
        reply.assert_error(400, "VALIDATION_FAILED");
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
        assert!(!reply.text().contains("canary"), "{reply:?}");
    }
    for (path, body) in [
        ("/admin/upstreams", upstream_body("local")),
        ("/admin/upstreams", upstream_body("volcengine")),
    ] {
        operator
            .post(path, &body.to_string())
            .await
            .assert_error(400, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    for path in [
        "/admin/upstreams/nobody/accounts",
        "/admin/upstreams/No-Body/accounts",
        "/admin/models/nothing",
    ] {
        operator.get(path).await.assert_error(404, "NOT_FOUND");
    }
    for path in [
        "/admin/upstreams/nobody",
        "/admin/upstreams/local/accounts/acc_0000000000000000",
        "/admin/upstreams/local/accounts/nonsense",
        "/admin/models/nothing",
    ] {
        delete(&operator, path).await.assert_error(404, "NOT_FOUND");
    }
    let path = "/admin/upstreams/local/accounts/acc_0000000000000000/enable";
    operator.post(path, "").await.assert_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_change_is_in_force_at_once_for_whoever_looks_at_the_catalogue() {
    let relay = Relay::start().await;
    let catalogue = Arc::clone(relay.services().curator.catalogue());
    assert!(catalogue.load().only_compatible().is_none());

    add_upstream(&relay.operator(), "local").await;
    assert_eq!(catalogue.load().only_compatible().unwrap().name.as_str(), "local");
    add_upstream(&relay.operator(), "second").await;
    assert!(
        catalogue.load().route(Some("anything")).is_err(),
        "nobody knows whose it is"
    );
}

#[tokio::test]
async fn a_signing_account_is_listed_and_switched_like_any_other() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    let listed = accounts(&operator, "volcengine").await;
    let path = format!("/admin/upstreams/volcengine/accounts/{}", text(&listed[0]["id"]));

    let disabled = operator.post(&format!("{path}/disable"), "").await.json();

    assert_eq!((listed.len(), &listed[0]["mask"]), (1, &json!("A…")));
    assert_eq!(disabled["state"], "disabled");
    assert_eq!(accounts(&operator, "volcengine").await, [disabled]);
}

#[tokio::test]
async fn an_upstream_takes_its_accounts_with_it() {
    let relay = Relay::start().await;
    let operator = relay.operator();
    add_upstream(&operator, "local").await;
    add_account(&operator, "local", CREDENTIAL).await;

    delete(&operator, "/admin/upstreams/local").await;
    add_upstream(&operator, "local").await;

    assert_eq!(accounts(&operator, "local").await, [Value::Null; 0]);
    let by = By {
        identity: Identity::ControlSocket,
        request: None,
    };
    assert_eq!(relay.services().curator.reset_failed(by).await.unwrap(), 0);
}

fn upstream_body(id: &str) -> Value {
    json!({ "id": id, "base_url": "http://10.0.0.7:8000/v1/" })
}

async fn add_upstream(operator: &Client, id: &str) -> Value {
    let reply = operator.post("/admin/upstreams", &upstream_body(id).to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

async fn add_account(operator: &Client, upstream: &str, credential: &str) -> Value {
    let path = format!("/admin/upstreams/{upstream}/accounts");
    let reply = operator
        .post(&path, &json!({ "credential": credential }).to_string())
        .await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert!(!reply.text().contains(credential));
    reply.json()
}

async fn put_model(operator: &Client, name: &str, body: Value) {
    let path = format!("/admin/models/{name}");
    let reply = operator.send(Method::PUT, &path, &body.to_string()).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
}

async fn accounts(operator: &Client, upstream: &str) -> Vec<Value> {
    let reply = operator.get(&format!("/admin/upstreams/{upstream}/accounts")).await;
    reply.json()["items"].as_array().unwrap().clone()
}

async fn delete(operator: &Client, path: &str) -> Reply {
    operator.send(Method::DELETE, path, "").await.unwrap()
}

fn names(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| text(&item["id"]))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
