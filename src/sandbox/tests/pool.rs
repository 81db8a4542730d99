//! Several accounts behind one base URL, each with a script of its own.

use http::HeaderValue;

use super::*;

impl Scene {
    /// Bearer keys `sk_red`, `sk_green` and `sk_blue`, counted as `red`, `green` and `blue`.
    async fn with_pool() -> Self {
        Self::with(|settings| {
            settings.bearer_keys = ["red", "green", "blue"]
                .map(|name| (name.to_owned(), Secret::new(format!("sk_{name}"))))
                .to_vec();
        })
        .await
    }

    async fn ask(&self, account: &str) -> Reply {
        self.bearer_as(account, CHAT, &question("Hello marker-pool")).await
    }
}

#[tokio::test]
async fn each_account_follows_its_own_script() {
    let scene = Scene::with_pool().await;
    let faults = scene.imitation.faults();
    let dead = Rule::any(Fault::status(StatusCode::UNAUTHORIZED)).by("red").always();
    faults.push(dead).unwrap();
    let wait = Fault::rate_limit(HeaderValue::from_static("1000000000"));
    faults.push(Rule::any(wait).by("green")).unwrap();

    assert_eq!(scene.ask("red").await.status, StatusCode::UNAUTHORIZED);
    let limited = scene.ask("green").await;
    assert_eq!(
        (limited.status, &limited.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &HeaderValue::from_static("1000000000"))
    );
    assert_eq!(scene.ask("green").await.status, StatusCode::OK);
    assert_eq!(scene.ask("blue").await.status, StatusCode::OK);
    assert_eq!(scene.ask("red").await.status, StatusCode::UNAUTHORIZED);
    scene.imitation.faults().heal("red");
    assert_eq!(scene.ask("red").await.status, StatusCode::OK);

    let seen = scene.imitation.seen();
    assert_eq!((seen.account("red").total, seen.account("green").total), (3, 2));
    assert_eq!(seen.calls("blue", "gpt-4o-mini"), 1);
    assert_eq!(seen.senders_of("marker-pool")[..2], [Some("red"), Some("green")]);
}

#[tokio::test]
async fn an_account_can_be_forbidden_one_model_under_every_base_path() {
    let scene = Scene::with_pool().await;
    let forbidden = Rule::any(Fault::status(StatusCode::FORBIDDEN));
    scene
        .imitation
        .faults()
        .push(forbidden.by("red").of_model("gpt-4o-mini").always())
        .unwrap();
    for base in ["", "/compatible-mode"] {
        let refused = scene
            .bearer_as("red", &format!("{base}{CHAT}"), &question("Hello"))
            .await;
        let error = &refused.json()["error"];
        assert_eq!(
            (refused.status, &error["code"]),
            (StatusCode::FORBIDDEN, &json!("model_not_found"))
        );
        assert!(error["message"].as_str().unwrap().contains("`gpt-4o-mini`"));
    }
    let mut other = question("Hello");
    other["model"] = json!("gpt-4o");
    assert_eq!(scene.bearer_as("red", CHAT, &other).await.status, StatusCode::OK);
    let bases: Vec<_> = scene
        .imitation
        .seen()
        .recent
        .iter()
        .map(|sighting| sighting.base)
        .collect();
    assert_eq!(bases, ["/v1", "/compatible-mode/v1", "/v1"]);
}

#[tokio::test]
async fn spent_money_has_the_words_of_the_provider() {
    let scene = Scene::with_pool().await;
    let told = |status, error: Option<&str>| {
        Fault::Answer(Answer {
            status,
            error: error.map(str::to_owned),
            ..Answer::default()
        })
    };
    for (fault, status, code, message) in [
        (
            Fault::quota_spent(),
            429,
            "insufficient_quota",
            "You exceeded your current quota",
        ),
        (
            told(StatusCode::PAYMENT_REQUIRED, None),
            402,
            "invalid_request_error",
            "Insufficient Balance",
        ),
        (
            told(StatusCode::BAD_REQUEST, Some("Arrearage")),
            400,
            "Arrearage",
            "good standing",
        ),
        (
            told(StatusCode::PAYMENT_REQUIRED, Some("broke")),
            402,
            "broke",
            "told to fail",
        ),
    ] {
        scene.spoil(fault);
        let reply = scene.ask("red").await;
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status.as_u16(), &error["code"]), (status, &json!(code)));
        assert!(error["message"].as_str().unwrap().contains(message));
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_as_openai_does() {
    let scene = Scene::with_pool().await;
    let reply = scene.ask("proj-nobody-knows-1234").await;
    let error = &reply.json()["error"];
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("invalid_request_error"), &json!("invalid_api_key"))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("Incorrect API key provided: sk_proj-*")
    );

    let nobody = Request::post(format!("http://{}{CHAT}", scene.host())).body(Full::default());
    let error = scene.send(nobody.unwrap()).await.json()["error"].clone();
    assert_eq!(error["code"], Value::Null);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("You didn't provide an API key.")
    );
}

#[tokio::test]
async fn an_account_is_healed_over_http_too() {
    let scene = Scene::with_pool().await;
    for account in ["red", "green"] {
        let rule = json!({"account": account, "times": null, "then": {"kind": "answer", "status": 401}});
        scene.bearer("/__faults", &rule).await;
    }
    let heal = Request::delete(format!("http://{}/__faults?account=red", scene.host())).body(Full::default());
    assert_eq!(scene.send(heal.unwrap()).await.json(), json!({"pending": 1}));
    assert_eq!(scene.ask("red").await.status, StatusCode::OK);
    assert_eq!(scene.ask("green").await.status, StatusCode::UNAUTHORIZED);
}
