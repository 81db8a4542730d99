//! The models that an upstream of the environment is known to serve, so that nobody has to register them.

use std::num::NonZeroU32;

use crate::model::catalogue::{Model, Target};
use crate::model::upstream::UpstreamName;

/// The MegaLLM proxy's models, each with its context length (its `model_config.py`).
pub(super) fn megallm(upstream: &UpstreamName) -> impl Iterator<Item = Model> {
    MEGALLM.iter().map(|&(name, length)| Model {
        context_length: NonZeroU32::new(length),
        ..plain(name, upstream)
    })
}

/// A model of which nothing is known but who serves it, under its own name.
pub(super) fn plain(name: &str, upstream: &UpstreamName) -> Model {
    Model {
        name: name.to_owned(),
        targets: vec![Target {
            upstream: upstream.clone(),
            model: name.to_owned(),
            weight: None,
        }],
        context_length: None,
        max_tokens: None,
        price: None,
    }
}

/// The model that the MegaLLM proxy took for a call that named none.
pub(super) const MEGALLM_DEFAULT: &str = "openai-gpt-oss-120b";

const MEGALLM: &[(&str, u32)] = &[
    ("openai-gpt-oss-20b", 128_000),
    (MEGALLM_DEFAULT, 128_000),
    ("llama3.3-70b-instruct", 131_000),
    ("llama3-8b-instruct", 8_000),
    ("deepseek-r1-distill-llama-70b", 128_000),
    ("deepseek-ai/deepseek-v3.1-terminus", 164_000),
    ("deepseek-ai/deepseek-v3.1", 128_000),
    ("alibaba-qwen3-32b", 131_000),
    ("qwen/qwen3-next-80b-a3b-instruct", 262_000),
    ("moonshotai/kimi-k2-instruct-0905", 256_000),
    ("mistralai/mistral-nemotron", 128_000),
    ("minimaxai/minimax-m2", 128_000),
];
