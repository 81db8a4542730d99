//! The `tollgate` program.

use std::process::ExitCode;

/// Under load it takes less of the processor than the system's allocator: 59 against 70 µs a request, measured once. Of
/// its two lines the older one holds less while idle, and neither may use huge pages (the features in `Cargo.toml`):
/// with them an idle server takes 56 MB, not 26.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tollgate::cli::run()
}
