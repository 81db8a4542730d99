//! Shapes that the document shares: the error envelope, pages, and the relayed bodies.
//!
//! Relayed bodies pass as bytes; their schemas are open (more fields, no closed enums), so that a strict client drops
//! nothing.

use poem_openapi::Object;
use poem_openapi::registry::{MetaHeader, MetaSchema, MetaSchemaRef, Registry};
use serde_json::{Value, json};

/// What an error says, in the words that OpenAI's SDKs read.
#[derive(Debug, Object)]
pub struct ErrorDetail {
    /// A stable word, e.g. `RATE_LIMITED`.
    pub code: String,
    /// The kind of error, in OpenAI's words.
    #[oai(rename = "type")]
    pub kind: String,
    /// A sentence for people.
    pub message: String,
    /// The field or header that is wrong.
    pub param: Option<String>,
    /// Our id of the request.
    pub request_id: String,
    /// The entry in the log book, where one was written.
    pub audit_id: Option<u64>,
    /// What is left of the budget that does not suffice; only with `QUOTA_EXCEEDED`.
    #[oai(skip_serializing_if_is_none)]
    pub budget: Option<SpentBudget>,
}

/// A budget that does not suffice for a call, in millionths of the currency's unit.
#[derive(Debug, Object)]
pub struct SpentBudget {
    /// `day` or `month`, by UTC.
    pub period: String,
    /// The currency.
    pub currency: String,
    /// What may be spent in the period.
    pub limit_microunits: u64,
    /// What is left of it.
    pub left_microunits: u64,
    /// What the call may cost at most.
    pub needed_microunits: u64,
    /// When it begins anew.
    pub resets_at: String,
}

/// The one envelope of every error: OpenAI's shape, Volcengine's, and that of the vision routes, side by side.
#[derive(Debug, Object)]
pub struct ErrorEnvelope {
    /// What an error says.
    pub error: ErrorDetail,
    /// A number of Volcengine's scheme: 50430 for limits, 50500 for failures, 50400 for rights, 50499 otherwise.
    pub code: i32,
    /// The same number.
    pub status: i32,
    /// A sentence for people.
    pub message: String,
    /// Our id of the request.
    pub request_id: String,
    /// Always null: Volcengine's clients look for it.
    pub data: Option<bool>,
    /// Always false: callers of the vision routes look for it.
    pub success: bool,
}

/// The headers that an error of a status carries.
pub(super) fn error_headers(status: u16) -> Vec<MetaHeader> {
    let header = |name: &str, description: &str, ty: &'static str| MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new(ty))),
    };
    let mut headers = vec![header("X-Request-Id", "Our id of the request.", "string")];
    if matches!(status, 429 | 503) {
        headers.push(header("Retry-After", "Seconds to wait before trying again.", "integer"));
    }
    if matches!(status, 409 | 429 | 500 | 502 | 504) {
        let text = "`false` when a repeat could be paid twice, or is futile. OpenAI's SDKs obey it.";
        headers.push(header("X-Should-Retry", text, "string"));
    }
    headers
}

/// Declares the schema of a relayed body: named, open, described, with an example.
macro_rules! open_schema {
    ($(#[$doc:meta])* $name:ident, $title:literal, required $required:expr, fields { $($field:literal: $ty:literal, $text:literal;)+ }, example $example:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(pub Value);

        $crate::api::raw::raw_type!($name, required true, MetaSchemaRef::Reference(stringify!($name).to_owned());
            fn register(registry: &mut Registry) {
                registry.create_schema::<Self, _>(stringify!($name).to_owned(), |_| MetaSchema {
                    description: Some($title),
                    required: $required,
                    properties: vec![$(($field, field($ty, $text))),+],
                    additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
                    example: Some($example),
                    ..MetaSchema::new("object")
                });
            }
        );
        $crate::api::raw::raw_json!($name);
    };
}

pub(super) use open_schema;

/// A field of an open schema. `objects` is an array of objects that are not looked at, `any` anything at all.
pub(super) fn field(ty: &'static str, description: &'static str) -> MetaSchemaRef {
    if ty == "any" {
        return MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some(description),
            ..MetaSchema::ANY
        }));
    }
    let item = match ty {
        "array" => Some(MetaSchema::new("string")),
        "objects" => Some(MetaSchema {
            additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
            ..MetaSchema::new("object")
        }),
        _ => None,
    };
    let items = item.map(|item| Box::new(MetaSchemaRef::Inline(Box::new(item))));
    let ty = if ty == "objects" { "array" } else { ty };
    let open = (ty == "object").then(|| Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY))));
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some(description),
        items,
        additional_properties: open,
        nullable: ty == "object",
        ..MetaSchema::new(ty)
    }))
}

open_schema!(
    /// What a client asks of Volcengine's visual API.
    VolcengineRequest,
    "What is asked of Volcengine's visual API. It passes byte for byte, with every other field.",
    required vec!["req_key"],
    fields {
        "req_key": "string", "The model, e.g. `jimeng_t2i_v40`.";
        "prompt": "string", "What to make.";
        "image_urls": "array", "Images to start from.";
        "binary_data_base64": "array", "The same, as base64.";
        "task_id": "string", "For queries and cancels: the task.";
        "req_json": "string", "For queries: a JSON text such as `{\"return_url\":true}`.";
    },
    example example_request()
);

open_schema!(
    /// What Volcengine answers.
    VolcengineReply,
    "What Volcengine answers, byte for byte. Look at `code` before `data`: 10000 is success.",
    required vec![],
    fields {
        "code": "integer", "10000 for success, otherwise Volcengine's own code.";
        "data": "object", "The result: `task_id` for a submit, `status` and the media for a query.";
        "message": "string", "Volcengine's own sentence.";
        "request_id": "string", "Volcengine's own id of the request.";
        "status": "integer", "Repeats `code` in most replies.";
        "time_elapsed": "string", "How long it took there.";
    },
    example example_reply()
);

open_schema!(
    /// An entry of the log book.
    AuditEntry,
    "An entry of the log book. What it has besides these four depends on its `event`.",
    required vec!["id", "digest", "at", "event"],
    fields {
        "id": "integer", "Its sequence number.";
        "digest": "string", "Its link in the chain: 64 hex digits.";
        "at": "string", "When the writer took it.";
        "event": "string", "`intent`, `settlement`, `task`, `admin`, `refusals`, `pruned`, `started`, `resolved`, `rerouted` or `consumed`.";
    },
    example example_entry()
);

fn example_entry() -> Value {
    json!({
        "id": 42,
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "at": "2026-02-24T10:00:00.123456Z",
        "event": "admin",
        "actor": "admin_token",
        "action": "key.create",
        "target": "key_0011223344556677",
        "request_id": null,
    })
}

fn example_request() -> Value {
    json!({ "req_key": "jimeng_t2i_v40", "prompt": "a lighthouse at dusk" })
}

fn example_reply() -> Value {
    json!({
        "code": 10_000,
        "data": { "task_id": "7392616336519610409" },
        "message": "Success",
        "request_id": "20260224100000",
        "status": 10_000,
        "time_elapsed": "104.852309ms",
    })
}
