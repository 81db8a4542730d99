//! What is added, listed, changed and taken away.

use super::*;

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
