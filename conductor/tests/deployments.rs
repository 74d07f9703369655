//! The deployment examples are right: their commands exist, their probes are paths of the API, their chains pass `check`, and
//! each gives a conductor the time that it may take to end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

/// What a conductor may take to end: runs under way, then calls.
const RUNS: Duration = Duration::from_secs(25);
const CALLS: Duration = Duration::from_secs(10);

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// All documents of a YAML file.
fn documents(name: &str) -> Vec<Value> {
    let text = read(name);
    text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect()
}

/// Runs `vconductor` where no configuration is; what it says and how it ended.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vconductor"))
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("CONSERVER_API_TOKEN", "of the tests")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The command line is understood: it ends because there is no such configuration, and not with 2.
fn understood(arguments: &[&str]) {
    let (code, said) = run(arguments);
    assert!(code != Some(2) && said.contains("/etc/vconductor"), "{arguments:?}: {code:?} {said}");
}

/// `45s`
fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().unwrap())
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn the_commands_are_understood() {
    let (code, _) = run(&["run", "/etc/vconductor", "--no-such-option"]);
    assert_eq!(code, Some(2), "a wrong one would be noticed");
    let dockerfile = read("Dockerfile");
    let command = dockerfile.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    understood(&texts(&serde_json::from_str(command).unwrap()));
    let compose = &documents("compose.yml")[0];
    let command = compose["services"]["vconductor"]["command"].as_str().unwrap();
    understood(&command.split(' ').collect::<Vec<_>>());
    let unit = read("vconductor.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/vconductor ")).unwrap();
    understood(&command.split(' ').collect::<Vec<_>>());
    understood(&texts(&documents("kubernetes.yml")[1]["spec"]["template"]["spec"]["containers"][0]["args"]));
}

#[test]
fn there_is_time_to_end() {
    let (_, help) = (0, Command::new(env!("CARGO_BIN_EXE_vconductor")).args(["run", "--help"]).output().unwrap());
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let grace = help.split("--grace <TIME>").nth(1).unwrap().split("[default: ").nth(1).unwrap();
    assert!(grace.starts_with("25s]"), "the grace time is another: {grace:.20}");
    let needed = RUNS + CALLS;
    let compose = &documents("compose.yml")[0]["services"]["vconductor"];
    assert!(seconds(compose["stop_grace_period"].as_str().unwrap()) > needed);
    let unit = read("vconductor.service");
    assert!(seconds(unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap()) > needed);
    let pod = &documents("kubernetes.yml")[1]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let leaving = Duration::from_secs(container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap());
    let noticed = container["readinessProbe"]["periodSeconds"].as_u64().unwrap()
        * container["readinessProbe"]["failureThreshold"].as_u64().unwrap();
    assert!(leaving >= Duration::from_secs(noticed), "the service still sends calls when it ends");
    assert!(Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap()) > needed + leaving);
}

#[test]
fn probes_are_open_paths_of_the_api() {
    let api = vconductor::api::openapi();
    let container = &documents("kubernetes.yml")[1]["spec"]["template"]["spec"]["containers"][0];
    for (probe, path) in [("livenessProbe", "/health"), ("readinessProbe", "/ready"), ("startupProbe", "/health")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(api["paths"][path]["get"]["x-scope"], "none", "{path}");
    }
    let ports = &container["ports"][0];
    assert!(texts(&container["args"]).contains(&"0.0.0.0:8000") && ports["containerPort"] == 8000);
}

#[test]
fn the_chain_of_the_pods_is_right() {
    let chain = documents("kubernetes.yml")[0]["data"]["chains.yml"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chains.yml");
    std::fs::write(&path, chain).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_vconductor"));
    let output = check.args(["check", "--deny-warnings"]).arg(&path).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_image_is_built_from_what_is_there() {
    let dockerfile = read("Dockerfile");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let toolchain = std::fs::read_to_string(root.join("rust-toolchain.toml")).unwrap();
    let version = dockerfile.lines().find_map(|line| line.strip_prefix("FROM rust:")?.split('-').next()).unwrap();
    assert!(toolchain.contains(&format!("\"{version}")), "the image builds with Rust {version}");
    assert!(dockerfile.contains("\nUSER 65532"), "it does not run as root");
    let mounted = documents("compose.yml")[0]["services"]["vconductor"]["volumes"][0].as_str().unwrap().to_owned();
    let file: PathBuf = root.join("examples/deploy").join(mounted.split(':').next().unwrap());
    assert!(file.exists(), "{}", file.display());
}

/// What systemd itself thinks of the unit.
#[test]
fn systemd_takes_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("vconductor.service");
    std::fs::write(&unit, read("vconductor.service").replace("/usr/local/bin/vconductor", "/bin/true")).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output();
    let Ok(verified) = verified else {
        assert!(std::env::var_os("CI").is_none(), "systemd-analyze is not installed: scripts/setup");
        eprintln!("NOT RUN: systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !said.contains("vconductor.service:"), "{said}");
}
