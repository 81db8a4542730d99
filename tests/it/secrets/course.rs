//! Everything that can happen to a server: whatever it says, a canary may be in it.

use super::*;

impl Run {
    pub(super) async fn everything_that_can_happen(&mut self) {
        let (client, id) = self
            .issue("/admin/keys", &json!({ "limits": { "concurrency": 4 } }))
            .await;
        let (narrow, narrow_id) = self
            .issue("/admin/keys", &json!({ "models": ["other"], "schemes": ["bearer"] }))
            .await;
        self.calls(&client, &narrow).await;
        self.credentials(&client).await;
        self.upstream_fails(&client).await;
        self.issue(&format!("/admin/keys/{id}/rotate"), &json!({})).await;
        self.post(&self.operator(), &format!("/admin/keys/{narrow_id}/revoke"), "")
            .await;
        self.post(&narrow, "/v1/submit", "{}").await;
        self.administration(&id).await;
    }

    async fn calls(&mut self, client: &Client, narrow: &Client) {
        let body = json!({ "req_key": "jimeng_t2i_v40", "prompt": PROMPT }).to_string();
        let task = self.post(client, "/v1/submit", &body).await.task_id();
        self.post(client, "/v1/get-result", &query_body(&task)).await;
        let process = "/?Action=CVProcess&Version=2022-08-31";
        self.post(client, process, &body).await;
        self.post(
            &client.signing(SystemClock.wall(), "POST", process, &body),
            process,
            &body,
        )
        .await;
        let keyed = client.idempotent(IDEMPOTENCY_KEY);
        self.post(&keyed, "/v1/submit", &body).await;
        self.post(&keyed, "/v1/submit", &body).await;
        self.post(&keyed, "/v1/submit", r#"{"req_key":"another"}"#).await;
        self.post(narrow, "/v1/submit", &body).await;
        self.post(client, "/v1/submit", &format!("{PROMPT} is no JSON")).await;
        self.post(client, "/v1/get-result", PROMPT).await;
        self.post(client, "/v1/get-result", &query_body("7392616336519610409"))
            .await;
        self.keep(client, Method::GET, "/v1/tasks", "").await;
        // The one answer that shows what webhooks are signed with: from then on it is searched for in all others.
        let own_key = client.get("/v1/key").await.json();
        let webhook_secret = own_key["webhook_secret"].as_str().unwrap();
        assert!(webhook_secret.starts_with("whsec_"));
        self.canaries.push(webhook_secret.to_owned());
    }

    /// Credentials in every wrong shape and place.
    async fn credentials(&mut self, client: &Client) {
        let secret = client.issued().secret.expose().to_owned();
        let stranger = self.client(None);
        for value in [
            format!("Bearer {secret}x"),
            format!("Bearer {secret} {secret}"),
            format!("Basic {secret}"),
            format!("Bearer {UPSTREAM_SECRET}"),
            format!("Bearer {METRICS_TOKEN}"),
            format!("HMAC-SHA256 Credential={secret}/20260101/cn-north-1/cv/request, SignedHeaders=host, Signature=00"),
            secret.clone(),
        ] {
            let wrong = stranger.header("authorization", &value);
            self.post(&wrong, "/v1/submit", "{}").await;
            self.keep(&wrong, Method::GET, "/admin/info", "").await;
            self.keep(&wrong, Method::GET, "/metrics", "").await;
        }
        let twice = client.header("x-api-key", &secret);
        self.post(&twice, "/v1/submit", "{}").await;
        self.keep(&stranger, Method::GET, &format!("/v1/key?key={secret}"), "")
            .await;
        self.keep(&stranger, Method::GET, &format!("/{secret}"), "").await;
        self.keep(client, Method::GET, &format!("/v1/tasks?limit={secret}"), "")
            .await;
        self.keep(client, Method::DELETE, "/v1/key", "").await;
        let signed = client.signing(SystemClock.wall(), "POST", "/v1/submit", "{}");
        self.post(&signed, "/v1/submit", r#"{"other":1}"#).await;
    }

    async fn upstream_fails(&mut self, client: &Client) {
        let body = json!({ "req_key": "jimeng_t2i_v40", "prompt": PROMPT }).to_string();
        let refusing = |status: u16| {
            Fault::Answer(Answer {
                status: status.try_into().unwrap(),
                ..Answer::default()
            })
        };
        for fault in [
            Fault::Reset,
            Fault::ResetMidBody,
            Fault::Truncate,
            Fault::Html,
            Fault::Gzip,
            Fault::internal_error(),
            Fault::Redirect {
                to: http::HeaderValue::from_static("http://127.0.0.1:1/"),
            },
            Fault::Oversize { bytes: 100_000 },
            refusing(400),
            refusing(401),
            refusing(403),
            refusing(503),
        ] {
            self.upstream.faults().push(Rule::any(fault)).unwrap();
            self.post(client, "/v1/submit", &body).await;
            self.upstream.faults().clear();
        }
        self.upstream
            .faults()
            .push(Rule::any(Fault::concurrency_limit()).always())
            .unwrap();
        self.post(client, "/v1/submit", &body).await;
        self.upstream.faults().clear();
        let unknown = self
            .keep(&self.operator(), Method::GET, "/admin/tasks", "")
            .await
            .json();
        let unknown = unknown["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|task| task["outcome"] == "unknown")
            .unwrap();
        let resolve = format!("/admin/audit/{}/resolve", unknown["audit_id"]);
        self.post(&self.operator(), &resolve, r#"{"outcome":"not_sent"}"#).await;
    }

    async fn administration(&mut self, id: &str) {
        let operator = self.operator();
        let key = format!("/admin/keys/{id}");
        self.keep(&operator, Method::PATCH, &key, r#"{"description":"renamed"}"#)
            .await;
        let rows = json!({ "rows": [{ "id": id, "access_key": "ak_x", "secret_key_ciphertext": "v1:AAAA" }] });
        self.post(&operator, "/admin/keys/import", &rows.to_string()).await;
        self.post(&operator, "/admin/keys", r#"{"scopes":["root"]}"#).await;
        let upstream = json!({ "id": "added", "base_url": "http://127.0.0.1:9/v1" });
        self.post(&operator, "/admin/upstreams", &upstream.to_string()).await;
        let account = json!({ "credential": ADDED_KEY }).to_string();
        let wrong = json!({ "credential": format!("{ADDED_KEY} ") }).to_string();
        for body in [&account, &account, &wrong] {
            self.post(&operator, "/admin/upstreams/added/accounts", body).await;
        }
        for path in ["/admin/reload-keys", "/admin/reset-failed-keys"] {
            self.post(&operator, path, "").await;
        }
        for path in [
            "/admin/keys",
            &key,
            "/admin/upstreams",
            "/admin/upstreams/added/accounts",
            "/admin/upstreams/openai/accounts",
            "/admin/models",
            "/admin/tasks",
            "/admin/queues",
            "/admin/info",
            "/admin/audit?limit=1000",
            "/admin/audit/verify",
            "/admin/audit/export",
            "/health",
            "/ready",
            "/openapi.json",
            "/docs",
        ] {
            let reply = self.keep(&operator, Method::GET, path, "").await;
            assert_eq!(reply.status, 200, "{path}");
        }
        let prometheus = self
            .client(None)
            .header("authorization", &format!("Bearer {METRICS_TOKEN}"));
        assert_eq!(self.keep(&prometheus, Method::GET, "/metrics", "").await.status, 200);
    }
}
