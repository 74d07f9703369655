//! A file of chain tests with the configuration that it tests, and playing them.

use std::path::Path;
use std::time::Instant;

use vconductor_core::config::{Catalog as _, Code, Config, Finding, has_errors, nearest};
use vconductor_core::plugin::{Registry, Stops};

use super::Played;
use super::file::{Case, File};
use super::judge;
use crate::catalog::PluginCatalog;
use crate::cli::configuration::Configuration;
use crate::offline::{Rehearsal, Rehearsed, Unplayable};

/// A file of chain tests with the configuration that it tests.
pub(in crate::cli) struct Rehearsable {
    pub(super) file: File,
    config: Config,
}

impl Rehearsable {
    /// Reads both.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(in crate::cli) fn read(path: &Path, registry: &Registry) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let file = File::read(path, &mut findings);
        let Some(file) = file.filter(|_| !has_errors(&findings)) else { return Err(findings) };
        let configuration = Configuration::load_in(std::slice::from_ref(&file.config), registry, &file.environment);
        match configuration.config.filter(|_| !has_errors(&configuration.findings)) {
            Some(config) => Ok(Rehearsable { file, config }),
            None => Err(configuration.findings),
        }
    }

    /// Whether a link ends the chain for some vCons only.
    pub(in crate::cli) fn stops_sometimes(&self, link: &str, registry: &Registry) -> bool {
        let (catalog, mode) = (PluginCatalog::new(registry), &self.config.mode);
        self.config.link(link).is_some_and(|link| {
            let facts = catalog.link_facts(&link.module, &link.options, mode);
            facts.stops == Stops::Sometimes
        })
    }

    /// Plays the first test and does not judge it.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(in crate::cli) async fn play_first(&self, registry: &Registry) -> Result<Rehearsed, Vec<Finding>> {
        let Some(case) = self.file.cases.first() else { return Err(Vec::new()) };
        self.rehearse(case, registry).await
    }

    /// Plays a test.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) async fn play(&self, case: &Case, registry: &Registry) -> Result<Played, Vec<Finding>> {
        let began = Instant::now();
        let rehearsed = self.rehearse(case, registry).await?;
        let mut findings = Vec::new();
        judge::judge(&rehearsed, case.expect.as_ref(), &case.chain_span, &self.file.mode, &mut findings);
        if findings.iter().any(|finding| finding.code != Code::NotAsExpected) {
            findings.retain(|finding| finding.code != Code::NotAsExpected);
            return Err(findings);
        }
        Ok(Played { name: case.name.clone(), findings, took: began.elapsed() })
    }

    async fn rehearse(&self, case: &Case, registry: &Registry) -> Result<Rehearsed, Vec<Finding>> {
        let (file, config) = (&self.file, &self.config);
        if config.chain(&case.chain).is_none() {
            let names: Vec<&str> = config.chains.iter().map(|chain| &*chain.name.value).collect();
            let finding =
                Finding::error(Code::BadValue, &case.chain_span, format!("there is no chain `{}`", case.chain));
            return Err(vec![finding.nearest(nearest(&case.chain, names))]);
        }
        let mut findings = Vec::new();
        let (vcon, outside) = (file.vcon(case, &mut findings), file.outside(case, &mut findings));
        let Some((uuid, document)) = vcon.filter(|_| findings.is_empty()) else { return Err(findings) };
        if let Some(unknown) = outside.mocks.keys().find(|name| config.link(name).is_none()) {
            let names: Vec<&str> = config.links.iter().map(|link| &*link.name.value).collect();
            let message = format!("`mocks` names `{unknown}`, which is no link");
            let finding = Finding::error(Code::UnknownLink, &file.mock_span(case, unknown), message);
            return Err(vec![finding.nearest(nearest(unknown, names))]);
        }
        let rehearsal = Rehearsal { config, registry, chain: &case.chain };
        rehearsal.run(&uuid, document, outside).await.map_err(|unplayable| match unplayable {
            Unplayable::Findings(findings) => findings,
            Unplayable::Failed(error) => {
                let finding = Finding::error(Code::BadValue, &case.chain_span, error.chain_text());
                vec![match error.help_text() {
                    Some(help) => finding.help(help),
                    None => finding,
                }]
            }
        })
    }
}
