//! Accounts from a file of keys, and keys that are imported.

use super::*;

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
