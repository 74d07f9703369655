//! The benchmark program still measures: one short round of its cases.

use std::process::Command;

use serde_json::Value;

fn bench(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench_redis"));
    command.args(["--binary", env!("CARGO_BIN_EXE_conductor_under_test")]).args(arguments);
    command.output().expect("the program starts")
}

#[test]
fn a_short_round_of_every_case_gives_its_figures() {
    let short = ["--seconds", "0.2", "--rounds", "1", "--output", "json"];
    let cases = ["a", "store", "e", "b", "c", "mongo", "d", "mb", "latency", "startup"];
    let output = bench(&[&short[..], &cases[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lines = report["lines"].as_array().expect("lines");
    for (case, expected) in [
        ("A [tag], 4.7 KB", 2),
        ("E", 2),
        ("B", 3),
        ("C [tag], PostgreSQL", 2),
        ("C [tag], FerretDB", 2),
        ("D", 1),
        ("A [tag], 1 MB", 2),
        ("latency", 2),
    ] {
        let found = lines.iter().filter(|line| line["case"].as_str().is_some_and(|name| name.starts_with(case)));
        assert_eq!(found.count(), expected, "{case}: {report}");
    }
    assert!(lines.iter().all(|line| line["value"].as_f64().is_some_and(|value| value > 0.0)), "{report}");
}

#[test]
fn what_it_does_not_know_is_refused_with_its_usage() {
    let output = bench(&["z"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("`z`") && text.contains("usage:"), "{text}");
    assert!(bench(&["--help"]).status.success());
}
