//! The `gpt-load` program.

use std::process::ExitCode;

use gpt_load::cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::panic_hook::install();
    cli::main().into()
}
