//! The image classifier: it never panics, and what it takes reads again as itself and leads nowhere inside.
//!
//! The files are taken in by path, as in `scanner`.
#![no_main]

/// Where the classifier finds what it shares.
#[path = "../../src/model"]
#[expect(dead_code, reason = "the target uses the classifier of single images alone")]
mod model {
    pub mod address;
    pub mod http_url;
}
#[path = "../../src/model/vision/oracle.rs"]
mod oracle;
#[path = "../../src/model/vision/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the target uses the classifier of single images alone"
)]
mod vision;

use vision::Image;

libfuzzer_sys::fuzz_target!(|text: &str| oracle::judge(text));
