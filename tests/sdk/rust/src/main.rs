//! The generated Rust client against the sandbox, as somebody who reads its method names would use it.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_client::Tollgate;
use tollgate_client::apis::Error;
use tollgate_client::apis::keys_api::CreateError;
use tollgate_client::models::create_key::Scopes;
use tollgate_client::models::{ChatRequest, CreateJob, CreateKey, Order, RekeyRequest, VolcengineRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let sandbox: Value = serde_json::from_str(&std::env::var("TOLLGATE_SANDBOX").unwrap()).unwrap();
    let url = sandbox["url"].as_str().unwrap();
    let admin = Tollgate::new(url, sandbox["admin_key"].as_str().unwrap());

    let asked = CreateKey {
        description: Some(Some("rust".to_owned())),
        scopes: Some(Some(vec![Scopes::Relay, Scopes::Jobs])),
        ..CreateKey::new()
    };
    let key = admin.keys().create(Some(asked)).await.unwrap();
    assert!(key.id.starts_with("key_"));
    let found = admin.keys().get(&key.id).await.unwrap();
    assert_eq!(found.description.flatten().as_deref(), Some("rust"));
    let client = Tollgate::new(url, &key.secret_key);
    assert_eq!(client.me().get_key().await.unwrap().id, key.id);

    let task = VolcengineRequest {
        prompt: Some("a lighthouse at dusk".to_owned()),
        ..VolcengineRequest::new("jimeng_t2i_v40".to_owned())
    };
    let submitted = client.volcengine().submit(task, None).await.unwrap();
    assert_eq!(submitted.code, Some(10_000));
    let query = VolcengineRequest {
        task_id: submitted.data.flatten().unwrap()["task_id"].as_str().map(str::to_owned),
        ..VolcengineRequest::new("jimeng_t2i_v40".to_owned())
    };
    let mut done = None;
    for _ in 0..100 {
        let fetched = client.volcengine().get_result(query.clone()).await.unwrap();
        assert_eq!(fetched.code, Some(10_000));
        done = fetched.data.flatten().filter(|data| data["status"] == "done");
        if done.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(done.unwrap().contains_key("binary_data_base64"));

    let message = json!({ "role": "user", "content": "Say hello." });
    let messages = vec![message.as_object().unwrap().clone().into_iter().collect()];
    let question = ChatRequest {
        model: Some("gpt-4o-mini".to_owned()),
        ..ChatRequest::new(messages)
    };
    let reply = client.openai().create_chat_completion(question, None).await.unwrap();
    assert!(reply.choices.unwrap()[0]["message"]["content"].is_string());

    let work = CreateJob {
        operation: Some(Some("chat.completions".to_owned())),
        body: Some(Some(json!({ "model": "gpt-4o-mini", "messages": [message] }))),
        ..CreateJob::new()
    };
    let mut job = client.jobs().create(work.clone(), Some("rust-1")).await.unwrap();
    assert_eq!(client.jobs().create(work, Some("rust-1")).await.unwrap().id, job.id);
    for _ in 0..100 {
        if job.state == "succeeded" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        job = client.jobs().get(&job.id).await.unwrap();
    }
    assert_eq!(job.counts.succeeded, 1);
    let items = client.jobs().list_items(&job.id, None, None).await.unwrap();
    let result = items.items[0].result.clone().flatten().unwrap();
    assert!(result.body.unwrap()["choices"].is_array());
    let events = client.jobs().follow(&job.id, None).await.unwrap();
    assert!(events.text().await.unwrap().contains("\nevent: "));

    let used = client.me().get_usage(None, None, None, None).await.unwrap();
    assert!(used.items.iter().any(|item| item.output_tokens > 0));
    let (from, to) = (Some(used.from.as_str()), Some(used.to.as_str()));
    let spent = admin.usage().get(from, to, Some("key"), Some(&key.id), None, None, None).await.unwrap();
    assert_eq!(spent.items.len(), 1);
    assert_eq!(spent.items[0].calls, used.items.iter().map(|item| item.calls).sum::<i64>());

    let page = admin.audit().list(Some(5), None, None, None, None).await.unwrap();
    assert_eq!(page.items.len(), 5);
    let next = admin.audit().list(Some(5), page.next_cursor.clone().flatten().as_deref(), None, None, None).await.unwrap();
    assert_eq!(next.items[0].id, page.items[4].id - 1);
    let intents = admin.audit().list(None, None, Some("intent"), None, Some(Order::Asc)).await.unwrap();
    assert!(!intents.items.is_empty());
    let checkpoint = admin.audit().get_checkpoint().await.unwrap();
    assert!(checkpoint.seq >= page.items[0].id && checkpoint.text.contains(&checkpoint.public_key));

    let backup = admin.operator().download_backup().await.unwrap();
    assert!(backup.bytes().await.unwrap().starts_with(b"tollgate backup\n"));
    let deep = RekeyRequest { deep: Some(Some(true)) };
    assert_eq!(admin.operator().rekey(Some(deep)).await.unwrap().master_key, "current");
    assert_eq!(client.me().get_key().await.unwrap().id, key.id);

    let Err(Error::ResponseError(refused)) = client.keys().create(Some(CreateKey::new())).await else {
        panic!("a key without the scope made a key")
    };
    assert_eq!(refused.status.as_u16(), 403);
    // Every status has the one envelope, so the generator's untagged enum reads the first.
    let Some(CreateError::Status400(envelope) | CreateError::Status403(envelope)) = refused.entity else {
        panic!("{refused:?}")
    };
    assert_eq!((envelope.error.code.as_str(), envelope.code), ("SCOPE_DENIED", 50_400));
}
