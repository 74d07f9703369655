//! What is generated.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Command;
use vconductor::reference::{configuration_schema, ingress_page, link_page, storage_page, summary, tracer_page};
use vconductor_core::layers::instruments;
use vconductor_core::plugin::Registry;
use vconductor_core::store::redis::commands_needed;
use vconductor_core::validate::{CHECKS, Check, Severity};

use crate::Pages;

/// Every page of the reference.
pub(crate) fn all(registry: &Registry) -> Result<Pages> {
    let mut pages = Pages::new();
    for (module, entry) in &registry.links {
        pages.insert(plugin_path("links", module), link_page(entry));
    }
    for (module, entry) in &registry.storages {
        pages.insert(plugin_path("storages", module), storage_page(entry));
    }
    for (module, entry) in &registry.tracers {
        pages.insert(plugin_path("tracers", module), tracer_page(entry));
    }
    for (module, entry) in &registry.ingress {
        pages.insert(plugin_path("ingress", module), ingress_page(entry));
    }
    indices(registry, &mut pages);
    pages.insert("errors.md".into(), crate::book::list_of_errors());
    pages.insert("metrics.md".into(), metrics());
    pages.insert("checks.md".into(), checks());
    pages.insert("redis-user.md".into(), redis_user());
    pages
        .insert("vconductor.schema.json".into(), serde_json::to_string_pretty(&configuration_schema(registry))? + "\n");
    pages.insert("openapi.json".into(), serde_json::to_string_pretty(&vconductor::api::openapi())? + "\n");
    command_pages(&vconductor::cli::command(), "", &mut pages)?;
    Ok(pages)
}

/// The page of a plugin, under the reference.
pub(crate) fn plugin_path(section: &str, module: &str) -> PathBuf {
    let name = module.rsplit('.').next().unwrap_or(module);
    PathBuf::from(section).join(format!("{name}.md"))
}

/// The list of each kind of plugin, and the page over all.
fn indices(registry: &Registry, pages: &mut Pages) {
    let mut text = "# Reference\n\nGenerated from the code by `cargo xtask generate`; do not edit.\n\n\
        | page | what it holds |\n|---|---|\n"
        .to_owned();
    let mut section = |title: &str, what: &str, rows: Vec<(&str, String)>| {
        if rows.is_empty() {
            return;
        }
        let folder = title.to_lowercase();
        text.push_str(&format!("| [{title}]({folder}/README.md) | {what}: {} |\n", rows.len()));
        let mut list = format!("# {title}\n\n| module | what it does |\n|---|---|\n");
        for (module, summary) in rows {
            let page = plugin_path(&folder, module);
            let page = page.file_name().unwrap_or_default().to_string_lossy();
            list.push_str(&format!("| [`{module}`]({page}) | {summary} |\n"));
        }
        pages.insert(PathBuf::from(folder).join("README.md"), list);
    };
    section(
        "Links",
        "what can be done with a vCon",
        registry.links.iter().map(|(module, entry)| (*module, summary((entry.schema)().as_value()))).collect(),
    );
    section(
        "Storages",
        "where a finished vCon can be written",
        registry.storages.iter().map(|(module, entry)| (*module, summary((entry.schema)().as_value()))).collect(),
    );
    section(
        "Tracers",
        "what can watch every step",
        registry.tracers.iter().map(|(module, entry)| (*module, summary((entry.schema)().as_value()))).collect(),
    );
    section(
        "Ingress",
        "whose webhooks and files can be taken",
        registry.ingress.iter().map(|(module, entry)| (*module, summary((entry.schema)().as_value()))).collect(),
    );
    text.push_str(
        "| [Command line](cli/vconductor.md) | every command, as `--help` prints it |\n\
        | [HTTP API](openapi.json) | OpenAPI |\n\
        | [Schema of the configuration](vconductor.schema.json) | JSON Schema, for editors |\n\
        | [Error codes](errors.md) | what `check` finds |\n\
        | [Checks of a vCon](checks.md) | what `validate` finds |\n\
        | [Metrics](metrics.md) | names, labels, meanings |\n\
        | [Rights on Redis](redis-user.md) | the rule for `ACL SETUSER` |\n",
    );
    pages.insert("README.md".into(), text);
}

fn metrics() -> String {
    let mut text = "# Metrics\n\n\
        `GET /metrics` of the HTTP API tells these to Prometheus; over OTLP the same are sent under the same names, with labels as\n\
        attributes ([telemetry](../telemetry.md)). `_total` gauges are sums of fractions, over OTLP counters.\n\n\
        | name | kind | labels | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for instrument in instruments::ALL {
        let labels = instrument.labels.join(", ");
        let kind = format!("{:?}", instrument.kind).to_lowercase();
        text.push_str(&format!("| `{}` | {kind} | {labels} | {} |\n", instrument.name, instrument.help));
    }
    text.push_str(
        "\n## Names of others\n\n\
         Over OTLP, and there alone, what is recorded above is sent under these names, too: vcon-server's (`conserver.*`), and those\n\
         of OpenTelemetry's conventions for messaging and for generative models.\n\n\
         | name | kind | unit | attributes | made of | meaning |\n|---|---|---|---|---|---|\n",
    );
    for convention in instruments::CONVENTIONS {
        let kind = format!("{:?}", convention.kind).to_lowercase();
        let first = &convention.aliases[0];
        let names = first.labels.iter().map(|(_, theirs)| *theirs).chain(first.fixed.iter().map(|(name, _)| *name));
        let attributes = names.collect::<Vec<_>>().join(", ");
        let made_of: Vec<String> = convention.aliases.iter().map(made_of).collect();
        text.push_str(&format!(
            "| `{}` | {kind} | {} | {attributes} | {} | {} |\n",
            convention.name,
            convention.unit,
            made_of.join(", "),
            convention.help
        ));
    }
    text
}

/// Which of our recordings count for a name of others.
fn made_of(alias: &instruments::Alias) -> String {
    match alias.only {
        None => format!("`{}`", alias.of),
        Some((label, values)) => format!("`{}` where {label} is {}", alias.of, values.join(" or ")),
    }
}

/// The checks of `vconductor validate`.
fn checks() -> String {
    let mut text = "# Checks of a vCon\n\n\
        `vconductor validate` makes these checks. Sections are those of draft-ietf-vcon-vcon-core-04. A check of level \
        *error* is\nan error under `--strict`. Without it, it is one only in the case that the last column names, and a \
        warning otherwise.\n\n\
        | check | level | what must be so | section | what to do | fails without `--strict` |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for check in &CHECKS {
        let Check { number, severity, section, title, fix, tolerant } = check;
        let level = if *severity == Severity::Advice { "warning" } else { "error" };
        text.push_str(&format!("| {number} | {level} | {title} | {section} | {fix} | {tolerant} |\n"));
    }
    text
}

/// What a user of Redis must be allowed to do.
fn redis_user() -> String {
    let commands: std::collections::BTreeSet<String> = commands_needed().map(str::to_lowercase).collect();
    let rules = |of_json: bool| {
        let rules = commands.iter().filter(|command| command.starts_with("json.") == of_json);
        rules.map(|command| format!("+{command}")).collect::<Vec<_>>().join(" ")
    };
    format!(
        "# The user of vConductor on Redis\n\n\
        The commands that the store sends, its scripts' included, as a rule for `ACL SETUSER`. Every one is asked for when the \
        store is opened;\none that is missing or not allowed is named then. `info`, `role`, `subscribe` and \
        `publish` are used where they are allowed.\n\n\
        ```text\nACL SETUSER vconductor on >PASSWORD ~* &* {} +info +role +subscribe +publish\n```\n\n\
        Where the server has RedisJSON, also:\n\n```text\nACL SETUSER vconductor {}\n```\n",
        rules(false),
        rules(true)
    )
}

/// One page per command, as Markdown.
fn command_pages(command: &Command, parent: &str, pages: &mut Pages) -> Result<()> {
    let name =
        if parent.is_empty() { command.get_name().to_owned() } else { format!("{parent}-{}", command.get_name()) };
    let mut command = command.clone().bin_name(name.replace('-', " "));
    let mut text = String::new();
    writeln!(text, "# `{}`\n\n```text", name.replace('-', " "))?;
    write!(text, "{}", command.render_long_help())?;
    text.push_str("```\n");
    let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    pages.insert(PathBuf::from("cli").join(format!("{name}.md")), text);
    for sub in command.clone().get_subcommands().filter(|sub| sub.get_name() != "help") {
        command_pages(sub, &name, pages)?;
    }
    Ok(())
}
