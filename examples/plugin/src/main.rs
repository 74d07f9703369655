//! A conductor with a link of one's own: `vconductor list links` of this binary shows `links.shout` beside the others.

mod shout;

use std::process::ExitCode;

use vconductor_ingress as _;
use vconductor_links as _;
use vconductor_storages as _;

fn main() -> ExitCode {
    vconductor::main()
}
