//! The relayed bodies of OpenAI's API, as open schemas.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use serde_json::{Value, json};

use crate::api::schema::{field, open_schema};

open_schema!(
    /// What a client asks of a chat model.
    ChatRequest,
    "A chat, as OpenAI's API takes it. It passes byte for byte, with every other field (tools, images, seeds).",
    required vec!["messages"],
    fields {
        "model": "string", "The model; without it, the default.";
        "messages": "objects", "The conversation so far.";
        "stream": "boolean", "Answer with server-sent events, while it is made.";
        "max_tokens": "integer", "The most tokens of the answer.";
        "temperature": "number", "How freely words are chosen.";
    },
    example json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "Say hello." }] })
);

open_schema!(
    /// What a chat model answers.
    ChatReply,
    "What the upstream answers, byte for byte.",
    required vec![],
    fields {
        "id": "string", "The upstream's own id of it.";
        "object": "string", "`chat.completion`.";
        "created": "integer", "When, in seconds since 1970.";
        "model": "string", "The model that answered.";
        "choices": "objects", "The answers.";
        "usage": "object", "How many tokens it took.";
    },
    example json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_771_927_200, "model": "gpt-4o-mini",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Hello." }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12 },
    })
);

open_schema!(
    /// What a client asks of a text model.
    CompletionRequest,
    "A text to go on with, as OpenAI's older API takes it. It passes byte for byte, with every other field.",
    required vec!["prompt"],
    fields {
        "model": "string", "The model; without it, the default.";
        "prompt": "any", "The text, or several.";
        "stream": "boolean", "Answer with server-sent events, while it is made.";
        "max_tokens": "integer", "The most tokens of the answer.";
    },
    example json!({ "model": "gpt-3.5-turbo-instruct", "prompt": "Once upon a time" })
);

open_schema!(
    /// What a text model answers.
    CompletionReply,
    "What the upstream answers, byte for byte.",
    required vec![],
    fields {
        "id": "string", "The upstream's own id of it.";
        "object": "string", "`text_completion`.";
        "created": "integer", "When, in seconds since 1970.";
        "model": "string", "The model that answered.";
        "choices": "objects", "The answers.";
        "usage": "object", "How many tokens it took.";
    },
    example json!({
        "id": "cmpl-1", "object": "text_completion", "created": 1_771_927_200, "model": "gpt-3.5-turbo-instruct",
        "choices": [{ "index": 0, "text": " there was a relay.", "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9 },
    })
);

open_schema!(
    /// What a client asks of an embedding model.
    EmbeddingRequest,
    "Texts to embed, as OpenAI's API takes them. It passes byte for byte, with every other field.",
    required vec!["input"],
    fields {
        "model": "string", "The model; without it, the default.";
        "input": "any", "A text, or several.";
        "encoding_format": "string", "`float` or `base64`.";
    },
    example json!({ "model": "text-embedding-3-small", "input": "a lighthouse at dusk" })
);

open_schema!(
    /// What an embedding model answers.
    EmbeddingReply,
    "What the upstream answers, byte for byte.",
    required vec![],
    fields {
        "object": "string", "`list`.";
        "data": "objects", "One vector for each text.";
        "model": "string", "The model that answered.";
        "usage": "object", "How many tokens it took.";
    },
    example json!({
        "object": "list", "model": "text-embedding-3-small",
        "data": [{ "object": "embedding", "index": 0, "embedding": [0.1, -0.2] }],
        "usage": { "prompt_tokens": 5, "total_tokens": 5 },
    })
);

open_schema!(
    /// What a client asks of the Responses API.
    ResponseRequest,
    "What OpenAI's Responses API takes. It passes byte for byte, with every other field.",
    required vec!["input"],
    fields {
        "model": "string", "The model; without it, the default.";
        "input": "any", "A text, or a list of items.";
        "stream": "boolean", "Answer with server-sent events, while it is made.";
    },
    example json!({ "model": "gpt-4o-mini", "input": "Say hello." })
);

open_schema!(
    /// What the Responses API answers.
    ResponseReply,
    "What the upstream answers, byte for byte.",
    required vec![],
    fields {
        "id": "string", "The upstream's own id of it.";
        "object": "string", "`response`.";
        "status": "string", "How it stands.";
        "output": "objects", "The answer's items.";
        "usage": "object", "How many tokens it took.";
    },
    example json!({ "id": "resp_1", "object": "response", "status": "completed", "output": [] })
);

open_schema!(
    /// What a client asks of an image model.
    ImageRequest,
    "A picture to make, as OpenAI's API takes it. It passes byte for byte, with every other field.",
    required vec!["prompt"],
    fields {
        "model": "string", "The model; without it, the default.";
        "prompt": "string", "What to make.";
        "n": "integer", "How many.";
        "size": "string", "How large, e.g. `1024x1024`.";
        "response_format": "string", "`url` or `b64_json`.";
    },
    example json!({ "model": "gpt-image-1", "prompt": "a lighthouse at dusk" })
);

open_schema!(
    /// What an image model answers.
    ImageReply,
    "What the upstream answers, byte for byte.",
    required vec![],
    fields {
        "created": "integer", "When, in seconds since 1970.";
        "data": "objects", "The pictures: `url` or `b64_json`.";
        "usage": "object", "How many tokens it took.";
    },
    example json!({ "created": 1_771_927_200, "data": [{ "url": "https://images.example.com/1.png" }] })
);
