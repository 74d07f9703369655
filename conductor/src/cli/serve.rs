//! `serve`: the HTTP API alone, without an engine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use vconductor_core::store::Store;

use super::configuration::{self, Configuration};
use super::exit::{Exit, Failure, Result};
use super::output::{self, STRONG, styled};
use super::reload::Reloader;
use super::signals::Signals;
use super::{age, http, plugins, reload, store};
use crate::api::Api;
use crate::telemetry::Telemetry;

const ABOUT: &str = "\
Serve the HTTP API alone

Takes vCons in, hands them out and shows the queues; the chains are run by `vconductor run` on the same store, here or \
elsewhere. A CONFIG is needed only for its store, its storages (to read back what has left the store) and its \
`ingress_auth` (the keys of partners); without one, CONSERVER_CONFIG_FILE is read where it is set.

Nobody gets in without a key: make one with `vconductor keys create`, or set CONSERVER_API_TOKEN.

SIGHUP, POST /config/reload and, with --watch, a changed file put another configuration to work; a wrong one is refused. \
SIGTERM and Ctrl-C let calls end: /ready answers 503 for --drain, so that load balancers go elsewhere, and then no more \
calls are taken.";

const EXAMPLES: &str = "\
Examples:
  vconductor keys create ops --scope admin
  vconductor serve
  vconductor serve --store redis://localhost:6379/0 --http 0.0.0.0:8000
  vconductor serve chains.yml --http 0.0.0.0:8443 --tls-cert server.crt --tls-key server.key
  vconductor serve --list-limit calls=100000 --rate-limit 500 --audit-log audit.jsonl
  curl -H \"x-conserver-api-token: $KEY\" -d @call.vcon 'http://127.0.0.1:8000/vcon?ingress_lists=calls'

Environment:
  CONSERVER_CONFIG_FILE     the configuration, when none is named
  CONSERVER_API_TOKEN       a key that opens everything
  CONSERVER_API_TOKEN_FILE  a file with more of them, one per line
  CONSERVER_HEADER_NAME     the header of the key (x-conserver-api-token); `Authorization: Bearer` works, too
  EGRESS_FORMAT_VERSION     0.0.1: vCons are handed out as readers of 0.0.1 expect them
  OTEL_EXPORTER_OTLP_ENDPOINT
                            where traces and metrics go, and more: docs/telemetry.md
  REDIS_URL                 the store, unless --store or `store:` names one
  VCON_REDIS_EXPIRY         seconds to keep a vCon after its last run (3600; 0 = for ever)

Exit codes:
  0   stopped                         69  the store does not answer
  2   wrong command line              78  bad configuration, or no key";

/// Serve the HTTP API alone
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// Files and folders of *.yml
    #[arg(value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// The store, for example embedded:./vconductor-data
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    http: SocketAddr,
    /// How long /ready says 503 before no more calls are taken
    #[arg(long, value_name = "TIME", value_parser = age::duration, default_value = "5s")]
    drain: Duration,
    /// Reload the configuration when one of its files changes
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    api: http::Options,
}

impl Serve {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let registry = plugins::registry()?;
        let paths = self.paths();
        let configuration = (!paths.is_empty()).then(|| Configuration::load(&paths, &registry));
        let config = match &configuration {
            None => None,
            Some(configuration) => {
                configuration::complain(&configuration.findings);
                let Some(config) = configuration.usable() else {
                    output::talk(&configuration.verdict());
                    return Err(Failure::Silent(Exit::Configuration));
                };
                Some(config)
            }
        };
        let mut settings = self.api.settings(self.http, configuration.as_ref(), &registry)?;
        let reloads = match configuration.as_ref().zip(config) {
            Some((configuration, config)) => Some(reload::channel(configuration, config, &paths, self.watch)?),
            None => None,
        };
        settings.reloads = reloads.as_ref().map(|(reloads, _)| reloads.clone());
        let named = config.and_then(|config| config.store.as_ref()).map(|store| store.value.as_str());
        let store = store::open_to_serve(self.store.as_deref(), named, self.api.durability(config)).await?;
        let telemetry = Telemetry::start(&store)?;
        let mut signals = Signals::listen()?;
        let api = Api::start(settings, std::sync::Arc::clone(&store)).await?;
        output::say(start_line(&*store, &api));
        let reloading = reloads.zip(config).map(|((_, requests), config)| {
            let (config, api) = (config.clone(), Some(api.adopter()));
            tokio::spawn(Reloader { paths, requests, config, api, conductor: None }.work())
        });
        signals.next().await;
        output::say("stopping: calls under way may end; once more to take no more calls at once");
        api.drain().start();
        tokio::select! {
            () = tokio::time::sleep(self.drain) => {}
            () = signals.next() => {}
        }
        if let Some(reloading) = reloading {
            reloading.abort();
        }
        api.stop().await;
        telemetry.stop().await;
        Ok(Exit::Done)
    }

    /// The files that are named, else that of the environment, else none.
    fn paths(&self) -> Vec<PathBuf> {
        if !self.config.is_empty() {
            return self.config.clone();
        }
        let named = std::env::var_os("CONSERVER_CONFIG_FILE").filter(|file| !file.is_empty());
        named.map(|file| Path::new(&file).to_owned()).into_iter().collect()
    }
}

fn start_line(store: &dyn Store, api: &Api) -> String {
    let mut text = format!("{} {}", styled(STRONG, "vconductor"), env!("CARGO_PKG_VERSION"));
    text.push_str(&format!("\n  store          {}", store.describe()));
    text.push_str(&format!("\n  http           {}", api.url()));
    text
}
