//! OpenAI's HTTP API, as many providers speak it: a bearer key, a path for each operation, JSON both ways, and answers
//! that may come as server-sent events.

pub mod context;
pub mod estimate;
mod event;
mod lenient;
pub mod sse;
pub mod stream;
pub mod usage;
