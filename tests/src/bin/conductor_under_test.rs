//! The conductor with the probe plugins: what the crash tests and campaigns kill.

use std::process::ExitCode;

use vconductor_tests as _;

fn main() -> ExitCode {
    vconductor::main()
}
