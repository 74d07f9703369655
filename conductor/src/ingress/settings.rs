//! What is wrong with the section `ingress`, and building its adapters.

use std::sync::Arc;

use vconductor_core::config::{Code, Config, Finding, IngressConfig, nearest};
use vconductor_core::error::{Error, Result};
use vconductor_core::plugin::{Asked, Ingress, Registry};

/// Adds what is wrong with the ingress adapters of a configuration.
pub(crate) fn check(config: &Config, findings: &mut Vec<Finding>) {
    for configured in &config.ingress {
        if !is_path(&configured.name) {
            let message = format!("`ingress.{}` cannot be the end of a path", configured.name);
            findings.push(
                Finding::error(Code::BadValue, &configured.name.span, message)
                    .help("use letters, digits, `-` and `_`: requests go to /ingress/<name>"),
            );
        }
        if configured.max_size == 0 {
            let message = format!("`ingress.{}.max_size` is 0", configured.name);
            findings.push(
                Finding::error(Code::BadValue, &configured.name.span, message).help("write a size, for example 256MB"),
            );
        }
        if !configured.module.is_empty() {
            drop(build(config, configured, findings));
        }
        findings.extend(untaken(config, configured));
    }
}

/// The adapter of a configuration that was checked.
///
/// # Errors
/// A configuration error that [`check`] has told already.
pub(super) fn adapter(config: &Config, configured: &IngressConfig) -> Result<Arc<dyn Ingress>> {
    let mut findings = Vec::new();
    build(config, configured, &mut findings).ok_or_else(|| {
        let why = findings.first().map_or("it cannot be built", |finding| finding.message.as_str());
        Error::configuration(format!("`ingress.{}`: {why}", configured.name)).help("`vconductor check` tells where")
    })
}

fn build(config: &Config, configured: &IngressConfig, findings: &mut Vec<Finding>) -> Option<Arc<dyn Ingress>> {
    let registry = Registry::collect().ok()?;
    let Some(entry) = registry.ingress.get(&*configured.module) else {
        findings.push(unknown(configured, &registry));
        return None;
    };
    let asked =
        Asked { name: &configured.name, module: &configured.module, options: &configured.options, mode: &config.mode };
    (entry.configure)(asked, findings)
}

fn unknown(configured: &IngressConfig, registry: &Registry) -> Finding {
    let module = &configured.module;
    let modules: Vec<&str> = registry.ingress.keys().copied().collect();
    // `module: twilio` for `module: ingress.twilio`.
    let full = format!("ingress.{}", module.rsplit('.').next().unwrap_or_default());
    let guess = nearest(module, modules.iter().copied()).or_else(|| nearest(&full, modules.iter().copied()));
    let finding = Finding::error(Code::UnknownModule, &module.span, format!("there is no ingress adapter `{module}`"));
    match guess {
        Some(guess) => finding.nearest(Some(guess)),
        None => finding.help(format!("possible: {}", modules.join(", "))),
    }
}

fn is_path(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// What comes in would lie on a list for ever.
fn untaken(config: &Config, configured: &IngressConfig) -> Option<Finding> {
    let list = &configured.list;
    let chains = config.chains.iter().filter(|chain| chain.enabled);
    let lists: Vec<&str> = chains.flat_map(|chain| &chain.ingress_lists).map(|list| &**list).collect();
    if list.is_empty() || lists.contains(&&**list) {
        return None;
    }
    let message = format!("no chain takes from `{list}`, where `ingress.{}` puts its vCons", configured.name);
    let finding = Finding::warning(Code::UntakenList, &list.span, message);
    Some(match nearest(list, &lists) {
        Some(near) => finding.nearest(Some(near)),
        None => finding.help(format!("add `{list}` to the `ingress_lists` of a chain")),
    })
}

#[cfg(test)]
mod tests {
    use vconductor_core::config::{Environment, ProcessEnvironment, load_text};
    use vconductor_ingress as _;
    use vconductor_links as _;

    use super::*;

    /// Code, place and words of what is said about a section `ingress`.
    fn said(ingress: &str) -> Vec<String> {
        let text = format!("ingress:\n  main: {ingress}\nchains:\n  c: {{ingress_lists: [calls], links: []}}\n");
        let loaded = load_text("a.yml", &text, &ProcessEnvironment);
        let mut found = loaded.findings;
        check(&loaded.config.unwrap(), &mut found);
        let said = |finding: &Finding| {
            let help = finding.nearest.clone().or_else(|| finding.help.clone()).unwrap_or_default();
            format!("{} {} {} ({help})", finding.code, finding.span, finding.message)
        };
        found.iter().map(said).collect()
    }

    /// Values for what the examples take from the environment.
    struct Given;

    impl Environment for Given {
        fn variable(&self, name: &str) -> Option<String> {
            Some(match name {
                "DIALLER_SECRET" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
                "TWILIO_ACCOUNT_SID" => "AC0123456789abcdef0123456789abcdef".to_owned(),
                "TELNYX_PUBLIC_KEY" => "1rUKMzqJaPMCnzFoKGkYY4DUSdLQUwXJ7rhULCYzzv4=".to_owned(),
                other => other.to_lowercase(),
            })
        }

        fn file(&self, _: &str) -> std::io::Result<String> {
            Err(std::io::Error::other("none"))
        }
    }

    #[test]
    fn every_adapter_is_documented_and_has_an_example_that_builds() {
        let registry = Registry::collect().unwrap();
        assert!(registry.ingress.len() >= 8, "{:?}", registry.ingress.keys());
        for (module, entry) in &registry.ingress {
            let name = module.strip_prefix("ingress.").unwrap();
            assert!(entry.file.ends_with(&format!("ingress/src/all/{name}.rs")), "{module} is in {}", entry.file);
            let schema = (entry.schema)().to_value();
            assert!(schema["description"].is_string(), "{module}: the options have no doc comment");
            for (option, property) in schema["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{module}: `{option}` has no doc comment");
            }
            let example: String = entry.example.lines().map(|line| format!("  {line}\n")).collect();
            let text = format!("ingress:\n{example}chains:\n  c: {{ingress_lists: [calls], links: []}}\n");
            let loaded = load_text("a.yml", &text, &Given);
            let mut found = loaded.findings;
            check(&loaded.config.unwrap(), &mut found);
            assert!(found.is_empty(), "{module}: {found:?}");
            // A secret that is left empty would let everybody in.
            let empty = text.replace("${env:", "${env:EMPTY_");
            let loaded = load_text("a.yml", &empty, &Empty);
            let mut found = loaded.findings;
            check(&loaded.config.unwrap(), &mut found);
            assert_eq!(!found.is_empty(), entry.example.contains("${env:"), "{module}: {found:?}");
        }
    }

    /// Every variable is there and empty.
    struct Empty;

    impl Environment for Empty {
        fn variable(&self, _: &str) -> Option<String> {
            Some(String::new())
        }

        fn file(&self, _: &str) -> std::io::Result<String> {
            Err(std::io::Error::other("none"))
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let options = "options: {token: t, map: '{id: .id}'}";
        assert_eq!(said(&format!("{{module: ingress.generic, list: calls, {options}}}")), Vec::<String>::new());
        for (ingress, words) in [
            ("{list: calls}", "VC0304 a.yml:2:3 `ingress.main` lacks the required key `module`"),
            ("{module: ingress.generic, options: {token: t, map: '.'}}", "lacks the required key `list`"),
            (
                "{module: ingress.generik, list: calls}",
                "VC0401 a.yml:2:18 there is no ingress adapter `ingress.generik` (ingress.generic)",
            ),
            ("{module: generic, list: calls}", "`generic` (ingress.generic)"),
            (
                "{module: ingress.generic, list: cals, options: {token: t, map: '.'}}",
                "VC0506 a.yml:2:41 no chain takes from `cals`",
            ),
            ("{module: ingress.generic, list: calls, options: {map: '.'}}", "VC0305"),
            ("{module: ingress.generic, list: calls, options: {token: t, map: '.id |'}}", "VC0504"),
            ("{module: ingress.generic, list: calls, options: {tokn: t, map: '.'}}", "tokn"),
            (
                "{module: ingress.generic, list: calls, max_size: 0, options: {token: t, map: '.'}}",
                "`ingress.main.max_size` is 0",
            ),
            ("{module: ingress.generic, list: calls, give_up_after: never, options: {token: t, map: '.'}}", "VC0303"),
            ("{modul: ingress.generic, module: ingress.generic, list: calls, options: {token: t, map: '.'}}", "VC0301"),
        ] {
            let found = said(ingress);
            assert!(found.iter().any(|one| one.contains(words)), "{ingress}: {found:?}");
        }
    }
}
