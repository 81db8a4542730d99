//! The reader of server-sent events against a parser that has the whole stream before it.
//!
//! The reader's files are taken in by path, as the scanner's are. Up to the first NUL, the input says how the rest is cut.
#![no_main]

#[path = "../../src/upstream/openai/sse/oracle.rs"]
mod oracle;
#[path = "../../src/upstream/openai/sse/mod.rs"]
mod sse;

use sse::{Frame, Frames, Piece};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let cut = input.iter().position(|&byte| byte == 0).unwrap_or(0);
    let (sizes, stream) = input.split_at(cut);
    oracle::judge(stream, sizes);
});
