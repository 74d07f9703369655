//! The shipped binary: the conductor with the plugins of this workspace.

use std::process::ExitCode;

use vconductor_ingress as _;
use vconductor_links as _;
use vconductor_storages as _;

fn main() -> ExitCode {
    vconductor::main()
}
