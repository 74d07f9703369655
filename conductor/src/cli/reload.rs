//! Putting a changed configuration to work while the process goes on: build, check, swap; what is under way ends by the
//! generation with which it began.
//!
//! Reading order: [`Reloader::work`] waits for somebody who asks, `reload` is one reload, `apply` swaps the parts. All of a new
//! configuration is built before any of it is swapped, so that a bad one changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use vconductor_core::config::Config;
use vconductor_core::http::HttpClient;
use vconductor_core::layers::instruments;
use vconductor_core::plugin::Registry;
use vconductor_core::recording::Recordings;
use vconductor_core::store::Store;

use super::configuration::{self, Configuration};
use super::exit::{Exit, Failure, Result};
use super::output::{self, WARN};
use super::watched::Watched;
use super::{http, plugins};
use crate::api::Adopter;
use crate::engine::Engine;
use crate::engine::assemble::assemble;
use crate::engine::report::Report;
use crate::follow::Followers;
use crate::ingress::Ingresses;
use crate::reload::{Ask, Became, Reload, Reloads, Status, Trigger};
use crate::sections;

/// How often files are looked at with `--watch`.
const LOOK: Duration = Duration::from_secs(1);
/// Sections that cannot change while the process goes on.
const FIXED: [&str; 2] = ["store", "durability"];

/// What works by a configuration besides the API.
pub(crate) struct Conductor {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) report: Arc<Report>,
    pub(crate) followers: Arc<Followers>,
    pub(crate) ingresses: Arc<Ingresses>,
    /// The client that links share.
    pub(crate) http: HttpClient,
    /// What was fetched for them.
    pub(crate) recordings: Recordings,
}

/// The side that answers those who ask; made before the API, which asks, and started after it.
pub(crate) struct Requests {
    asks: mpsc::Receiver<Ask>,
    status: watch::Sender<Status>,
    hangups: Signal,
    watched: Option<Watched>,
}

/// Both sides for a process that starts with this configuration.
///
/// # Errors
/// If signals cannot be listened to.
pub(crate) fn channel(
    configuration: &Configuration,
    config: &Config,
    paths: &[PathBuf],
    watch: bool,
) -> Result<(Reloads, Requests)> {
    let files = configuration.files().into_iter().map(str::to_owned).collect();
    let status = Status { generation: 1, hash: config.hash.clone(), since: Timestamp::now(), files, last: None };
    let (reloads, asks, status) = Reloads::channel(status);
    let hangups = signal(SignalKind::hangup())
        .map_err(|error| Failure::new(Exit::Findings, format!("cannot listen to signals: {error}")))?;
    let watched = watch.then(|| Watched::new(paths));
    Ok((reloads, Requests { asks, status, hangups, watched }))
}

/// Reloads the configuration of a process.
pub(crate) struct Reloader {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) requests: Requests,
    /// By which everything works now.
    pub(crate) config: Config,
    pub(crate) api: Option<Adopter>,
    pub(crate) conductor: Option<Conductor>,
}

/// Why a configuration is not put to work.
enum Refused {
    /// Something is wrong with the files.
    Files,
    /// Something else.
    Otherwise(String),
}

impl Reloader {
    /// Answers those who ask until it is dropped.
    pub(crate) async fn work(mut self) {
        instruments::config_lives(self.requests.status.borrow().generation);
        loop {
            let (by, answer) = tokio::select! {
                Some(ask) = self.requests.asks.recv() => (ask.by, Some(ask.answer)),
                Some(()) = self.requests.hangups.recv() => (Trigger::Signal, None),
                () = changed(&mut self.requests.watched) => (Trigger::Watch, None),
            };
            let ending = self.conductor.as_ref().is_some_and(|conductor| conductor.engine.is_stopping());
            if ending {
                continue;
            }
            let done = self.reload(by).await;
            if let Some(answer) = answer {
                // Whoever asked may have gone.
                drop(answer.send(done));
            }
        }
    }

    async fn reload(&mut self, by: Trigger) -> Reload {
        let at = Timestamp::now();
        let paths = self.paths.clone();
        let loading = tokio::task::spawn_blocking(move || {
            let registry = plugins::registry()?;
            let configuration = Configuration::load(&paths, &registry);
            Ok::<_, Failure>((registry, configuration))
        });
        let mut reload =
            Reload { at, by, result: Became::Refused, error: None, findings: Vec::new(), warnings: Vec::new() };
        match loading.await {
            Ok(Ok((registry, mut configuration))) => {
                match self.put_to_work(&registry, &mut configuration, &mut reload.warnings).await {
                    Ok(became) => reload.result = became,
                    Err(Refused::Files) => {}
                    Err(Refused::Otherwise(why)) => reload.error = Some(why),
                }
                reload.findings = configuration.findings;
            }
            Ok(Err(_)) | Err(_) => reload.error = Some("the plugins of this program cannot be told".to_owned()),
        }
        self.tell(&reload);
        reload
    }

    async fn put_to_work(
        &mut self,
        registry: &Registry,
        configuration: &mut Configuration,
        warnings: &mut Vec<String>,
    ) -> std::result::Result<Became, Refused> {
        let Some(config) = configuration.usable().cloned() else { return Err(Refused::Files) };
        if config.hash == self.config.hash {
            return Ok(Became::Unchanged);
        }
        let fixed: Vec<&str> = FIXED.into_iter().filter(|section| self.differs(&config, section)).collect();
        if !fixed.is_empty() {
            let sections = fixed.iter().map(|section| format!("`{section}:`")).collect::<Vec<_>>().join(" and ");
            return Err(Refused::Otherwise(format!("{sections} changed, which wants a restart")));
        }
        if let Some(found) = self.apply_to_conductor(&config, registry, warnings).await? {
            configuration.findings.extend(found);
            return Err(Refused::Files);
        }
        if let Some(api) = &self.api {
            let storages = self.differs(&config, "storages") || config.mode.is_native() != self.config.mode.is_native();
            api.adopt(http::configured(configuration, &config, registry, storages));
        }
        let files = configuration.files().into_iter().map(str::to_owned).collect();
        self.requests.status.send_modify(|status| {
            status.generation += 1;
            status.hash.clone_from(&config.hash);
            status.since = Timestamp::now();
            status.files = files;
        });
        self.config = config;
        Ok(Became::Applied)
    }

    /// Everything that runs chains; answers with what cannot be built.
    async fn apply_to_conductor(
        &mut self,
        config: &Config,
        registry: &Registry,
        warnings: &mut Vec<String>,
    ) -> std::result::Result<Option<Vec<vconductor_core::config::Finding>>, Refused> {
        let Some(conductor) = &self.conductor else { return Ok(None) };
        let otherwise = |error: vconductor_core::Error| {
            let help = error.help_text().map(|help| format!(" ({help})")).unwrap_or_default();
            Refused::Otherwise(error.chain_text() + &help)
        };
        let chains = match assemble(config, registry, &conductor.report, &conductor.engine.built()) {
            Ok(chains) if chains.chains.is_empty() => {
                return Err(Refused::Otherwise("no chain takes from any list".to_owned()));
            }
            Ok(chains) => chains,
            Err(findings) => return Ok(Some(findings)),
        };
        let http = match self.differs(config, "http") {
            true => sections::http_client(config).map_err(otherwise)?,
            false => conductor.http.clone(),
        };
        let store = Arc::clone(&conductor.store);
        let mut services = sections::services(config, http.clone(), store as _).map_err(otherwise)?;
        if !self.differs(config, "media") {
            services.recordings = conductor.recordings.clone();
        }
        let recordings = services.recordings.clone();
        let followers = match self.differs(config, "followers") || self.differs(config, "http") {
            true => Some(conductor.followers.ready(&config.followers, &http).await.map_err(otherwise)?),
            false => None,
        };
        if (self.differs(config, "ingress") || self.differs(config, "http"))
            && let Err(error) = conductor.ingresses.adopt(config, &http).await
        {
            if let Some(followers) = followers {
                followers.dismiss().await;
            }
            return Err(otherwise(error));
        }
        // From here on nothing can go wrong.
        if let Some(followers) = followers {
            conductor.followers.adopt(followers).await;
        }
        conductor.engine.adopt(chains, services).await;
        warnings.extend(self.left_behind(config, conductor).await);
        if let Some(conductor) = &mut self.conductor {
            // The next generation begins with this one's client and its guard.
            conductor.http = http;
            conductor.recordings = recordings;
        }
        Ok(None)
    }

    /// Lists from which nothing takes any more, although something waits there.
    async fn left_behind(&self, config: &Config, conductor: &Conductor) -> Vec<String> {
        let lists = |config: &Config| -> Vec<String> {
            let chains = config.chains.iter().filter(|chain| chain.enabled);
            chains.flat_map(|chain| chain.ingress_lists.iter().map(|list| list.value.clone())).collect()
        };
        let taken = lists(config);
        let mut warnings = Vec::new();
        for list in lists(&self.config).into_iter().filter(|list| !taken.contains(list)) {
            let pending = conductor.store.pending(std::slice::from_ref(&list), Duration::from_secs(3600)).await;
            match pending {
                Ok(pending) if pending.is_idle() => {}
                Ok(_) => {
                    warnings.push(format!("no chain takes from `{list}` any more, and something still waits there"));
                }
                Err(error) => warnings.push(format!(
                    "no chain takes from `{list}` any more; whether something waits there cannot be told: {}",
                    error.chain_text()
                )),
            }
        }
        warnings
    }

    fn differs(&self, config: &Config, section: &str) -> bool {
        let told = |config: &Config| config.written.get(section).map(|node| node.to_json());
        told(config) != told(&self.config)
    }

    /// Tells people, the log, the figures and whoever looks at the status.
    fn tell(&self, reload: &Reload) {
        self.requests.status.send_modify(|status| status.last = Some(reload.clone()));
        let status = self.requests.status.borrow();
        let (generation, by) = (status.generation, reload.by);
        let hash = status.hash.get(..12).unwrap_or(&status.hash);
        if reload.result != Became::Unchanged {
            instruments::config_lives(generation);
            instruments::config_reloaded(!reload.is_refused());
        }
        for warning in &reload.warnings {
            let help = "move it with `vconductor queue move`, or have a chain take from there again";
            output::complain(WARN, "warning", warning, Some(help));
        }
        match reload.result {
            Became::Applied => tracing::info!(generation, hash, %by, "the configuration was reloaded"),
            Became::Unchanged => {
                tracing::info!(generation, hash, %by, "a reload was asked for, but the configuration is the same");
            }
            Became::Refused => {
                configuration::complain(&reload.findings);
                let errors = reload.reasons().join("; ");
                if let Some(conductor) = &self.conductor {
                    conductor.engine.refuse(errors.clone());
                }
                tracing::error!(generation, hash, %by, errors, "the new configuration is refused; the old one works on");
            }
        }
    }
}

/// Never comes where nothing is watched.
async fn changed(watched: &mut Option<Watched>) {
    let Some(watched) = watched else { return std::future::pending().await };
    loop {
        tokio::time::sleep(LOOK).await;
        if watched.has_changed() {
            return;
        }
    }
}
