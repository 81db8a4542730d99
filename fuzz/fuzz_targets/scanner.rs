//! The control-field scanner against a last-wins, case-folding parser.
//!
//! The scanner's files are taken in by path: the target then builds in seconds, without the program's dependencies.
#![no_main]

#[path = "../../src/model/control/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the target uses the scanner alone")]
mod control;
#[path = "../../src/model/control/oracle.rs"]
mod oracle;

use control::{Control, Value, scan};

libfuzzer_sys::fuzz_target!(|body: &[u8]| oracle::judge(body));
