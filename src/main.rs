//! The `postern` command; everything it does is in the library.

use std::process::ExitCode;

/// Requests and devices are many small allocations, which this one makes faster and packs closer than the system's.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    postern::cli::main()
}
