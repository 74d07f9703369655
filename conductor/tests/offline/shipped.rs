//! The chains that ship pass `check`, with the variables that they name and without them.

use std::path::Path;
use std::process::{Command, Output};

use super::place::Place;

/// What chains/contact-center.yml asks for.
const VARIABLES: [(&str, &str); 8] = [
    ("DEEPGRAM_KEY", "deepgram"),
    ("OPENAI_API_KEY", "openai"),
    ("SLACK_TOKEN", "slack"),
    ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("POSTGRES_URL", "postgres://vcons@127.0.0.1:5432/vcon_db"),
    ("MONGO_URL", "mongodb://127.0.0.1:27017/"),
    ("ELASTICSEARCH_URL", "http://127.0.0.1:9200"),
    ("S3_BUCKET", "vcons"),
];

/// What chains/telephony.yml asks for.
const TELEPHONY: [(&str, &str); 4] = [
    ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
    ("TWILIO_AUTH_TOKEN", "token"),
    ("TWILIO_PUBLIC_URL", "https://hooks.example.com/ingress/twilio_main"),
    ("RECORDINGS_FOLDER", "/var/spool/vconductor"),
];

fn check(file: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vconductor"))
        .args(["check", file, "--deny-warnings"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../chains"))
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_shipped_chains_are_right() {
    let shipped = [("quickstart.yml", &[][..]), ("contact-center.yml", &VARIABLES), ("telephony.yml", &TELEPHONY)];
    for (file, variables) in shipped {
        let checked = check(file, variables);
        assert_eq!(checked.status.code(), Some(0), "{file}: {}", text(&checked));
    }
}

#[test]
fn a_key_that_is_not_set_is_named() {
    for (missing, _) in VARIABLES {
        let set: Vec<_> = VARIABLES.into_iter().filter(|(name, _)| *name != missing).collect();
        let checked = check("contact-center.yml", &set);
        assert_eq!(checked.status.code(), Some(78), "{missing}: {}", text(&checked));
        assert!(text(&checked).contains(missing), "{missing}: {}", text(&checked));
    }
}

/// `compose.yml` starts what `compose.env` names, and with that and the keys of the vendors the chain is complete.
#[test]
fn the_composed_servers_are_those_that_the_chain_is_told_of() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let (servers, variables) = (read("compose.yml"), read("compose.env"));
    let variables: Vec<(&str, &str)> = variables.lines().filter_map(|line| line.split_once('=')).collect();
    let keys = ["DEEPGRAM_KEY", "OPENAI_API_KEY", "SLACK_TOKEN", "WEBHOOK_SECRET"];
    let keys = VARIABLES.into_iter().filter(|(name, _)| keys.contains(name));
    let checked = check("contact-center.yml", &variables.iter().copied().chain(keys).collect::<Vec<_>>());
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    let mut published: Vec<&str> = servers
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ports: [\""))
        .map(|ports| ports.rsplit_once(':').unwrap().0)
        .collect();
    let mut named: Vec<&str> = variables
        .iter()
        .filter_map(|(_, value)| value.split_once("://"))
        .map(|(_, rest)| rest.rsplit('@').next().unwrap().split('/').next().unwrap())
        .collect();
    published.sort_unstable();
    named.sort_unstable();
    assert_eq!(published, named);
}

/// Every shipped chain has tests, and they pass where there is no network.
#[test]
fn the_tests_of_the_shipped_chains_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chains");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.filter(|name| name.ends_with(".yml")).collect();
    for chain in names.iter().filter(|name| !name.ends_with("_test.yml")) {
        assert!(names.contains(&chain.replace(".yml", "_test.yml")), "{chain} has no tests");
    }
    let told = super::without_network(&Place::new(), &["test", folder.to_str().unwrap()]);
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    assert!(told.stdout.ends_with("11 passed, 0 failed\n"), "{}", told.stdout);
}
