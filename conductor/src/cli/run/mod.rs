//! `run`: works on conversations until it is stopped, or until nothing is left to do.

mod chains;
mod live;
mod summary;
mod times;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use vconductor_core::config::Config;
use vconductor_core::store::Store;

use self::times::Times;
use self::watch::{End, Watch};
use super::configuration::{self, Configuration};
use super::exit::{Exit, Failure, Result};
use super::output::{self, Format, STRONG, WARN, styled};
use super::reload::{Conductor, Reloader};
use super::{age, http, plugins, reload, store};
use crate::api::Api;
use crate::engine::report::{Report, RunOutcome};
use crate::engine::{Engine, Settings};
use crate::follow::Followers;
use crate::ingress::{self, Ingresses};
use crate::sections;
use crate::telemetry::Telemetry;

const ABOUT: &str = "\
Run the chains of a configuration

Takes vCons from the ingress lists of the chains, runs each through its links and storages, and hands it on. CONFIG is a \
file or a folder of *.yml files; several are joined. Without CONFIG: CONSERVER_CONFIG_FILE, else ./example_config.yml.

SIGHUP, POST /config/reload and, with --watch, a changed file put another configuration to work: what is at work ends by \
the old one, and a wrong one is refused. `store:` and `durability:` want a restart.

SIGTERM and Ctrl-C let what is at work end within --grace; a second one gives it back at once. Nothing is lost either way, \
nor when the process is killed.";

const EXAMPLES: &str = "\
Examples:
  vconductor run chains.yml
  vconductor run chains.yml --until-idle                 # a batch: ends when nothing is left to do
  vconductor run chains.yml --until-idle --output json   # figures for scripts
  vconductor run chains/ --store embedded:/var/lib/vconductor
  vconductor run chains.yml --grace 50s                  # longer than the links take
  vconductor run chains.yml --http 0.0.0.0:8000          # with the HTTP API
  vconductor run chains/ --watch                         # goes on by what is edited there

Environment:
  CONSERVER_CONFIG_FILE          the configuration, when none is named
  CONSERVER_API_TOKEN            a key that opens all of the HTTP API (others: vconductor keys)
  CONSERVER_API_TOKEN_FILE       a file with more of them, one per line
  CONSERVER_HEADER_NAME          the header of the key (x-conserver-api-token)
  EGRESS_FORMAT_VERSION          0.0.1: the HTTP API hands vCons out as readers of 0.0.1 expect them
  OTEL_EXPORTER_OTLP_ENDPOINT    where traces and metrics go, and more: docs/telemetry.md
  REDIS_URL                      the store, unless --store or `store:` names one
  VCON_REDIS_EXPIRY              seconds to keep a vCon after its last run (3600; 0 = for ever)
  VCON_DLQ_EXPIRY                seconds to keep a dead letter (604800; 0 = for ever)
  VCON_STORAGE_FALLBACK_ENABLED  whether a missing vCon is read back from a storage (true)

Exit codes:
  0   stopped, or idle                69  the store does not answer
  1   idle, but vCons failed for good 78  bad configuration";

/// Run the chains of a configuration
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Run {
    /// Files and folders of *.yml
    #[arg(value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// The store, for example embedded:./vconductor-data
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Serve the HTTP API there, for example 127.0.0.1:8080; wants a key
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Reload the configuration when one of its files changes
    #[arg(long)]
    watch: bool,
    /// End when nothing is queued, at work, or due within 60 s
    #[arg(long)]
    until_idle: bool,
    /// The form of the summary at the end
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    api: http::Options,
}

impl Run {
    pub(crate) async fn run(&self) -> Result<Exit> {
        self.times.check()?;
        let registry = plugins::registry()?;
        let paths = configuration::paths(&self.config, "run")?;
        let configuration = Configuration::load(&paths, &registry);
        configuration::complain(&configuration.findings);
        let Some(config) = configuration.usable() else {
            output::talk(&configuration.verdict());
            return Err(Failure::Silent(Exit::Configuration));
        };
        let api = self.http.map(|address| self.api.settings(address, Some(&configuration), &registry)).transpose()?;
        let (reloads, requests) = reload::channel(&configuration, config, &paths, self.watch)?;
        let http = sections::http_client(config)?;
        let report = Arc::new(Report::default());
        let chains = chains::assembled(config, &registry, &report)?;
        if chains.chains.is_empty() {
            return Err(Failure::new(Exit::Configuration, "no chain takes from any list")
                .help("give a chain `ingress_lists`, or enable one"));
        }
        let (flag, named) = (self.store.as_deref(), config.store.as_ref().map(|store| store.value.as_str()));
        let life = store::Life { lease: self.times.lease, poison_at: self.times.poison_at, sweep: self.times.sweep };
        let store = store::open_for_work(flag, named, self.api.durability(Some(config)), life).await?;
        let telemetry = Telemetry::start(&store)?;
        let ingresses = Ingresses::start(config, &store, &http, settings()?.keep).await?;
        let api = match api {
            Some(mut settings) => {
                settings.report = Some(Arc::clone(&report));
                settings.reloads = Some(reloads);
                settings.routers.push(ingress::router(Arc::clone(&ingresses)));
                Some(Api::start(settings, Arc::clone(&store)).await?)
            }
            None => None,
        };
        output::say(self.start_line(&configuration, config, &*store, api.as_ref()));
        if api.is_none() && ingresses.wants_requests() {
            let help = "start with --http, for example --http 0.0.0.0:8080";
            output::complain(WARN, "warning", "requests to the ingress adapters cannot arrive", Some(help));
        }
        let followers = Followers::start(&config.followers, &store, &http, &store::folder(flag, named)?).await?;
        let services = sections::services(config, http.clone(), Arc::clone(&store) as _)?;
        let recordings = services.recordings.clone();
        let settings = self.times.apply(&settings()?);
        let engine = Arc::new(Engine::new(Arc::clone(&store), services, chains, Arc::clone(&report), settings));
        let conductor = Conductor {
            engine: Arc::clone(&engine),
            store: Arc::clone(&store),
            report: Arc::clone(&report),
            followers: Arc::clone(&followers),
            ingresses: Arc::clone(&ingresses),
            http,
            recordings,
        };
        let (config, adopter) = (config.clone(), api.as_ref().map(Api::adopter));
        let reloading = Reloader { paths, requests, config, api: adopter, conductor: Some(conductor) };
        let reloading = tokio::spawn(reloading.work());
        let watch = Watch::new(
            engine,
            Arc::clone(&store),
            Arc::clone(&followers),
            Arc::clone(&ingresses),
            Arc::clone(&report),
            self.until_idle,
            api.as_ref().map(Api::drain),
        );
        let end = watch.until_end().await;
        reloading.abort();
        followers.stop().await;
        ingresses.stop().await;
        if let Some(api) = api {
            api.stop().await;
        }
        telemetry.stop().await;
        let end = end?;
        let held = self.tell(&*store, &report, &followers, &end).await?;
        let failed = held || report.total(RunOutcome::Dead) > 0;
        Ok(if self.until_idle && failed { Exit::Findings } else { Exit::Done })
    }

    fn start_line(
        &self,
        configuration: &Configuration,
        config: &Config,
        store: &dyn Store,
        api: Option<&Api>,
    ) -> String {
        let chains = config.chains.iter().map(|chain| {
            let lists: Vec<&str> = chain.ingress_lists.iter().map(|list| &**list).collect();
            let lists = if lists.is_empty() { "no list".to_owned() } else { lists.join(", ") };
            format!("{} <- {lists}", chain.name)
        });
        let files = configuration.files().join(", ");
        let mut text = format!("{} {}", styled(STRONG, "vconductor"), env!("CARGO_PKG_VERSION"));
        text.push_str(&format!("\n  configuration  {files} ({})", configuration::mode(&config.mode)));
        text.push_str(&format!("\n  generation     {}", config.hash.get(..12).unwrap_or(&config.hash)));
        text.push_str(&format!("\n  store          {}", store.describe()));
        if let Some(api) = api {
            text.push_str(&format!("\n  http           {}", api.url()));
        }
        for (index, chain) in chains.enumerate() {
            text.push_str(&format!("\n  {}{chain}", if index == 0 { "chains         " } else { "               " }));
        }
        for (index, follower) in config.followers.iter().enumerate() {
            let head = if index == 0 { "followers      " } else { "               " };
            let list = &follower.follower_ingress_list;
            text.push_str(&format!(
                "\n  {head}{} -> {list}, every {}",
                follower.name,
                age::short(follower.pulling_interval)
            ));
        }
        for (index, configured) in config.ingress.iter().enumerate() {
            let head = if index == 0 { "ingress        " } else { "               " };
            text.push_str(&format!("\n  {head}{} -> {}", configured.name, configured.list));
        }
        text
    }

    /// Prints the figures; answers whether something is held, so that not all is done.
    async fn tell(&self, store: &dyn Store, report: &Report, followers: &Followers, end: &End) -> Result<bool> {
        let left = summary::left(store).await?;
        let (figures, states) = (report.figures(), followers.states());
        let (elapsed, left) = (report.elapsed(), &left);
        match self.output {
            Format::Table => output::print(&summary::text(&figures, &states, elapsed, left, end))?,
            Format::Json => output::print_json(&summary::document(&figures, &states, elapsed, left, end))?,
            Format::Jsonl => output::print_jsonl([summary::document(&figures, &states, elapsed, left, end)])?,
        }
        Ok(left.is_held())
    }
}

/// Times and switches of the engine that the environment sets.
fn settings() -> Result<Settings> {
    let defaults = Settings::default();
    let keep = match std::env::var("VCON_REDIS_EXPIRY") {
        Ok(text) => store::seconds("VCON_REDIS_EXPIRY", &text)?,
        Err(_) => defaults.keep,
    };
    // Which words are true is vcon-server's choice.
    let read_through = match std::env::var("VCON_STORAGE_FALLBACK_ENABLED") {
        Ok(text) => matches!(text.trim().to_lowercase().as_str(), "true" | "1" | "yes"),
        Err(_) => defaults.read_through,
    };
    Ok(Settings { keep, read_through, ..defaults })
}
