//! Building a plugin out of a configuration: what is wrong becomes findings with places.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::config::{Code, Finding, Mode, Options, Span, Value};
use crate::error::{Error, Result};

/// Builds a plugin as a configuration asks; `None`: the findings say what is wrong.
pub type Configure<P> = fn(Asked<'_>, &mut Vec<Finding>) -> Option<Arc<P>>;

/// What a configuration asks a plugin to be.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The name of the link, storage or tracer in the configuration.
    pub name: &'a str,
    /// The module as it is written, which may be an alias.
    pub module: &'a str,
    /// The options as they are written.
    pub options: &'a Options,
    /// How the configuration is read.
    pub mode: &'a Mode,
}

/// Reads the options and builds the plugin. `None`: something is wrong, and `findings` says what.
pub(super) fn configured<O: DeserializeOwned, P>(
    asked: Asked<'_>,
    findings: &mut Vec<Finding>,
    adapt: impl FnOnce(&str, Options) -> Options,
    new: impl FnOnce(&str, O) -> Result<P>,
) -> Option<P> {
    let options = adapt(asked.module, asked.options.clone());
    let read = options.read(asked.mode, findings)?;
    match new(asked.name, read) {
        Ok(plugin) => Some(plugin),
        Err(error) => {
            findings.push(finding(&error, &options));
            None
        }
    }
}

/// At the option that the message names in backticks, else at all options.
fn finding(error: &Error, options: &Options) -> Finding {
    // What has a place inside of an option is a program.
    let code = if error.offset().is_some() { Code::BadCondition } else { Code::BadValue };
    let finding = Finding::error(code, &place(error, options), error.chain_text());
    match error.help_text() {
        Some(help) => finding.help(help),
        None => finding,
    }
}

fn place(error: &Error, options: &Options) -> Span {
    let named = error.message().split('`').skip(1).step_by(2);
    let found = named.filter_map(|name| name.split('.').try_fold(&options.node, |node, part| node.get(part))).next();
    match found {
        // A whole map says less than the place where it begins.
        Some(node) if !matches!(node.value, Value::Mapping(_)) => match error.offset() {
            Some(offset) => node.place_of(offset),
            None => node.span.clone(),
        },
        _ => options.node.span.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::config::load_text;

    #[derive(Deserialize)]
    struct Rate {
        rate: f64,
    }

    struct NoEnvironment;

    impl crate::config::Environment for NoEnvironment {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &str) -> std::io::Result<String> {
            Err(std::io::Error::other("none"))
        }
    }

    #[test]
    fn what_a_plugin_refuses_is_shown_at_the_option() {
        let text = "links:\n  half:\n    module: links.sampler\n    options: {value: 1, rate: 7}\n";
        let loaded = load_text("a.yml", text, &NoEnvironment);
        let config = loaded.config.unwrap();
        let options = &config.links[0].options;
        let mut findings = Vec::new();
        let asked = Asked { name: "half", module: "links.sampler", options, mode: &Mode::Compatible };
        let built = configured(
            asked,
            &mut findings,
            |_, options| options,
            |_, options: Rate| match options.rate {
                0.0..1.0 => Ok(()),
                rate => Err(Error::configuration(format!("`rate` is {rate}, not below 1"))),
            },
        );
        assert!(built.is_none());
        let finding = findings.iter().find(|finding| finding.is_error()).unwrap();
        assert_eq!((finding.text().as_str(), finding.span.line(), finding.span.column()), ("7", 4, 31));
    }
}
