//! `check --online`: does everything answer that the configuration names? All at once, each within its time, and only by
//! calls that cost nothing and leave no trace.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Serialize;
use vconductor_core::config::{Code, Config, Finding, Name, Source, Span};
use vconductor_core::error::{Class, Error};
use vconductor_core::plugin::{Asked, Effect, Probe, Registry};

use super::super::exit::Result;
use super::super::{output, store};
use crate::{follow, sections};

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It answers, and is content with us.
    Ok,
    /// It answers, and says no.
    Refused,
    /// There was no answer in time.
    NoAnswer,
    /// There is no call that costs nothing.
    NotTried,
}

/// Something that was tried.
#[derive(Debug)]
pub(super) struct Tried {
    /// `store`, `storage`, `link`, `tracer`, `follower`.
    pub(super) kind: &'static str,
    /// Its name in the configuration.
    pub(super) name: String,
    /// What was called, without secrets.
    pub(super) target: String,
    pub(super) outcome: Outcome,
    pub(super) time: Duration,
    /// What it says, in a few words.
    pub(super) says: String,
    /// What is wrong, and what to do.
    pub(super) finding: Option<Finding>,
}

/// One of the things to try: whose it is, and the tries.
type Task<'a> = Pin<Box<dyn Future<Output = Vec<Tried>> + Send + 'a>>;

/// Who is tried.
#[derive(Clone)]
struct Who {
    kind: &'static str,
    name: String,
    span: Span,
}

/// Tries all of a configuration that is right.
pub(super) async fn run(
    config: &Config,
    registry: &Registry,
    flag: Option<&str>,
    limit: Duration,
) -> Result<Vec<Tried>> {
    let http = sections::http_client(config)?;
    let mut tasks: Vec<Task<'_>> = vec![Box::pin(the_store(config, flag, limit))];
    for storage in &config.storages {
        let who = Who::new("storage", &storage.name);
        let Some(entry) = registry.storage(&storage.module) else { continue };
        let asked = asked(config, &storage.name, &storage.module, &storage.options);
        let Some(built) = (entry.configure)(asked, &mut Vec::new()) else { continue };
        tasks.push(Box::pin(async move {
            let target = entry.module.to_owned();
            let health = Probe::of(target.clone(), async { built.health().await.map(|()| "answers".to_owned()) });
            within(limit, &who, &target, async { vec![health.await] }).await
        }));
    }
    for link in &config.links {
        let who = Who::new("link", &link.name);
        let Some(entry) = registry.link(&link.module).filter(|entry| entry.effect == Effect::External) else {
            continue;
        };
        let asked = asked(config, &link.name, &link.module, &link.options);
        let Some(built) = (entry.configure)(asked, &mut Vec::new()) else { continue };
        let http = http.clone();
        tasks.push(Box::pin(async move { within(limit, &who, entry.module, built.probe(&http)).await }));
    }
    for tracer in &config.tracers {
        let who = Who::new("tracer", &tracer.name);
        let Some(entry) = registry.tracer(&tracer.module) else { continue };
        let asked = asked(config, &tracer.name, &tracer.module, &tracer.options);
        let Some(built) = (entry.configure)(asked, &mut Vec::new()) else { continue };
        let http = http.clone();
        tasks.push(Box::pin(async move { within(limit, &who, entry.module, built.probe(&http)).await }));
    }
    for adapter in &config.ingress {
        let who = Who::new("ingress", &adapter.name);
        let Some(entry) = registry.ingress.get(&*adapter.module) else { continue };
        let asked = asked(config, &adapter.name, &adapter.module, &adapter.options);
        let Some(built) = (entry.configure)(asked, &mut Vec::new()) else { continue };
        let http = http.clone();
        tasks.push(Box::pin(async move { within(limit, &who, entry.module, built.probe(&http)).await }));
    }
    for follower in &config.followers {
        let who = Who::new("follower", &follower.name);
        let http = http.clone();
        tasks.push(Box::pin(async move {
            within(limit, &who, "its server", async { vec![follow::probe(follower, &http).await] }).await
        }));
    }
    output::say(format_args!("trying {} of them, each for at most {limit:?}", tasks.len()));
    Ok(join_all(tasks).await.into_iter().flatten().collect())
}

fn asked<'a>(
    config: &'a Config,
    name: &'a Name,
    module: &'a Name,
    options: &'a vconductor_core::config::Options,
) -> Asked<'a> {
    Asked { name, module, options, mode: &config.mode }
}

/// The store that `run` would work on. An embedded one that is not there yet is made when it is needed.
async fn the_store(config: &Config, flag: Option<&str>, limit: Duration) -> Vec<Tried> {
    let named = config.store.as_ref();
    let span = match named.filter(|_| flag.is_none()) {
        // The value may hold a password.
        Some(named) => config.written.entry("store").map_or(&named.span, |(key, _)| &key.span).clone(),
        None => Span::new(&Source::new(if flag.is_some() { "--store" } else { "REDIS_URL" }, ""), 0..0),
    };
    let who = Who { kind: "store", name: "store".to_owned(), span };
    let url = named.map(|named| named.value.as_str());
    let target = store::shown_choice(flag, url);
    let work = Probe::of(target.clone(), async {
        if !store::is_there(flag, url) {
            return Ok("is not there yet and will be made".to_owned());
        }
        let open = store::open_existing(flag, url).await.map_err(|failure| failure.into_error())?;
        let lists = open.lists().await?;
        Ok(format!("answers, {}", super::super::configuration::counted(lists.len() as u64, "list")))
    });
    let mut tried = Box::pin(within(limit, &who, &target, async { vec![work.await] })).await;
    if let (Some(named), Some(finding)) = (named, tried.first_mut().and_then(|tried| tried.finding.as_mut())) {
        finding.hidden.push(named.span.clone());
    }
    tried
}

/// The tries of one plugin, within a time for all of them.
async fn within(limit: Duration, who: &Who, target: &str, work: impl Future<Output = Vec<Probe>>) -> Vec<Tried> {
    let started = Instant::now();
    match tokio::time::timeout(limit, work).await {
        Ok(probes) if probes.is_empty() => vec![who.tried(target, Outcome::NotTried, Duration::ZERO, "no free call")],
        Ok(probes) => probes.into_iter().map(|probe| who.told(probe)).collect(),
        Err(_) => {
            let error = Error::retryable(format!("no answer within {limit:?}"))
                .help("check host, port and network; `--timeout` gives it more time");
            let probe = Probe { target: target.to_owned(), outcome: Err(error), time: started.elapsed() };
            vec![who.told(probe)]
        }
    }
}

impl Who {
    fn new(kind: &'static str, name: &Name) -> Self {
        Who { kind, name: name.value.clone(), span: name.span.clone() }
    }

    fn tried(&self, target: &str, outcome: Outcome, time: Duration, says: &str) -> Tried {
        let (kind, name, target, says) = (self.kind, self.name.clone(), target.to_owned(), says.to_owned());
        Tried { kind, name, target, outcome, time, says, finding: None }
    }

    fn told(&self, probe: Probe) -> Tried {
        let error = match probe.outcome {
            Ok(says) => return self.tried(&probe.target, Outcome::Ok, probe.time, &says),
            Err(error) => error,
        };
        let (outcome, code, what) = match error.class() {
            Class::Retryable => (Outcome::NoAnswer, Code::NoAnswer, "does not answer"),
            _ => (Outcome::Refused, Code::Refused, "refuses"),
        };
        let whose =
            if self.kind == "store" { "the store".to_owned() } else { format!("the {} `{}`", self.kind, self.name) };
        let text = output::plain(&error.chain_text());
        let finding = Finding::error(code, &self.span, format!("{whose} {what}: {text}"))
            .help(error.help_text().unwrap_or("check its address and credentials in the options").to_owned());
        Tried { finding: Some(finding), ..self.tried(&probe.target, outcome, probe.time, what) }
    }
}
