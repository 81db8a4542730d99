//! The `tollgate` program.

use std::process::ExitCode;

/// Under load it takes less of the processor than the system's allocator: 59 against 70 µs a request, measured once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    small_pages();
    tollgate::cli::run()
}

/// Asks the kernel for small pages: with huge ones, which the allocator wishes for, an idle server takes 56 MB, not 30.
#[cfg(target_os = "linux")]
fn small_pages() {
    // A kernel without huge pages says no, and needs none of this.
    nix::sys::prctl::set_thp_disable(true).ok();
}

/// Elsewhere the allocator gets small pages anyway.
#[cfg(not(target_os = "linux"))]
const fn small_pages() {}
