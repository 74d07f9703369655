//! The shipped binary: the conductor with the plugins of this workspace.

use std::process::ExitCode;

use vconductor_links as _;
use vconductor_storages as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vconductor::main()
}
