//! Jobs of clients.

use serde_json::{Value, json};

use super::Client;

impl Client {
    /// Submits a job, and gives its id.
    pub(crate) async fn job(&self, job: &Value) -> String {
        let reply = self.post("/v1/jobs", &job.to_string()).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    /// Submits a job that makes so many calls.
    pub(crate) async fn job_of(&self, calls: usize) -> String {
        self.job(&json!({ "items": vec![call(); calls] })).await
    }

    /// Submits a job that does nothing for as long as a test lasts.
    pub(crate) async fn sleeping_job(&self) -> String {
        let day = 24 * 3600;
        self.job(&json!({ "items": [call()], "delay": day })).await
    }
}

fn call() -> Value {
    let body = json!({ "req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk" });
    json!({ "operation": "CVProcess", "body": body })
}
