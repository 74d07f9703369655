//! `replay`: runs vCons again.

mod feed;
mod list;
mod target;
mod told;

use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use vconductor_core::config::nearest;
use vconductor_core::plugin::{Asked, Storage};
use vconductor_core::run::{Deviation, Ledger};

use self::feed::Feed;
use self::list::{Retakes, Took};
use self::target::target;
use self::told::Told;
use super::bulk::again::Again;
use super::bulk::ahead::Pace;
use super::bulk::cursor::{Cursor, Kept, Tally};
use super::bulk::different;
use super::bulk::reasons::Reasons;
use super::bulk::source::Source;
use super::configuration::{self, Configured, counted};
use super::desk::{Common, Desk};
use super::dlq::{Filter, Revivals, Target, queue_name};
use super::exit::{Exit, Failure, Result};
use super::ingest;
use super::interrupt::Interrupt;
use super::output::{self, Format};

const ABOUT: &str = "\
Run vCons again

From a queue of dead letters (dlq) the dead runs continue, oldest first, with their ledger: what is finished is not done, \
or paid, again, unless its options are changed with --set. From a storage, files (path) or a list each vCon gets a new run; \
those of a list leave it.

--from-link, --skip-link and --set hold for these runs alone, through crash, retry and dead letter. They are checked against \
the configuration before anything is done.

Ctrl-C ends it when the present batch is done. How far it has come is kept in the store, in one step with what was put on \
lists: after that, and after a crash, the same command goes on, runs no vCon twice and leaves none out. What has come to its \
end is done again with --restart only; a queue of dead letters is gone through again.";

const EXAMPLES: &str = "\
Examples:
  vconductor replay --from dlq calls --dry-run
  vconductor replay --from dlq calls --group 3f2a91bc --from-link analyze
  vconductor replay --from dlq calls --set analyze.options.model=gpt-5 --config chains.yml
  vconductor replay --from dlq calls --to support-v2 --config chains.yml --rate 50/s --limit 1000
  vconductor replay --from storage s3 --to support --since 7d --config chains.yml
  vconductor replay --from path export/ --to calls --where '.dialog | length > 0'
  vconductor replay --from list done --to archive --skip-link transcribe --config chains.yml";

/// Run vCons again
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// What kind of place they come from
    #[arg(long, value_enum, value_name = "KIND")]
    from: From,
    /// A queue of dead letters (calls, storage:files), a storage of the configuration, files or folders, or a list
    #[arg(value_name = "NAME|PATH", required = true)]
    source: Vec<String>,
    /// The chain (needs --config) or list where they go on; dead runs and those of a list else stay on theirs
    #[arg(long, value_name = "CHAIN|LIST")]
    to: Option<String>,
    #[command(flatten)]
    again: Again,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// Dead letters: their runs continue
    Dlq,
    /// A storage of the configuration, oldest first
    Storage,
    /// Files and folders with vCons
    Path,
    /// Waiting runs of a list
    List,
}

impl Replay {
    pub(crate) async fn run(&self) -> Result<Exit> {
        self.check_grammar()?;
        let desk = match self.from {
            From::Dlq | From::List => self.common.open().await?,
            From::Storage | From::Path => self.common.open_or_make().await?,
        };
        self.again.different.check_form(desk.configured.as_ref())?;
        let to = match &self.to {
            Some(name) => Some(target(name, desk.configured.as_ref())?),
            None => None,
        };
        match self.from {
            From::Dlq => self.dead_letters(desk, to).await,
            From::List => self.list(desk, to).await,
            From::Storage | From::Path => self.feed(desk, to).await,
        }
    }

    /// What makes no sense together.
    fn check_grammar(&self) -> Result<()> {
        let wrong = |what: &str, help: &str| Err(Failure::new(Exit::Usage, what).help(help));
        let kind = self.from.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        if self.from != From::Path && self.source.len() > 1 {
            let what = format!("--from {kind} takes one name, not {}", self.source.len());
            return wrong(&what, "give the command once for each");
        }
        if self.from != From::Dlq && (self.again.group.is_some() || self.again.new_run) {
            return wrong("--group and --new-run are for dead letters", "use them with --from dlq");
        }
        if matches!(self.from, From::Storage | From::Path) && self.to.is_none() {
            return wrong(&format!("--from {kind} needs a target"), "name a chain or list with --to");
        }
        Ok(())
    }

    /// What decides which vCons run, and as what.
    fn asked(&self, to: Option<&Target>) -> Value {
        let from = self.from.to_possible_value().map(|value| value.get_name().to_owned());
        json!(["replay", from, self.source, to.map(|target| &target.list), self.again.asked()])
    }

    async fn dead_letters(&self, desk: Desk, to: Option<Target>) -> Result<Exit> {
        let name = self.kept.name(&self.asked(to.as_ref()));
        let begin = self.again.begin(name, self.kept.restart, self.common.output);
        let filter = Filter { group: self.again.group.clone(), ..Filter::default() };
        Revivals::new(desk, queue_name(&self.source[0]), filter, &self.again, to, begin).run().await
    }

    /// The ledger that new runs begin with; none where they do nothing otherwise.
    fn ledger(&self, target: &Target, configured: Option<&Configured>) -> Result<Option<Ledger>> {
        let deviation: Deviation = self.again.different.deviation(true);
        if deviation.is_none() {
            return Ok(None);
        }
        let Some((configured, chain)) = configured.zip(target.chain.as_deref()) else {
            return Err(Failure::new(
                Exit::Usage,
                format!("no chain is known that takes from `{}`, so nothing can be changed about it", target.list),
            )
            .help("name the configuration with --config, and a chain of it with --to"));
        };
        different::check(configured.config(), configured.registry(), chain, &deviation)?;
        Ok(Some(Ledger { chain: chain.to_owned(), deviation, ..Ledger::default() }))
    }

    async fn list(&self, desk: Desk, to: Option<Target>) -> Result<Exit> {
        let from = self.source[0].clone();
        let to = match to {
            Some(to) => to,
            None if self.again.different.deviation(true).is_none() => {
                return Err(Failure::new(Exit::Usage, "--from list needs a target, or something to do otherwise")
                    .help("name a chain or list with --to, or use --set, --skip-link or --from-link"));
            }
            None => target(&from, desk.configured.as_ref())?,
        };
        let ledger = self.ledger(&to, desk.configured.as_ref())?;
        let retakes = Retakes {
            store: Arc::clone(&desk.store),
            from,
            to: to.list.clone(),
            selection: self.again.select.compile(super::age::now())?,
            ledger,
            limit: self.again.limit,
            dry_run: self.again.dry_run,
            output: self.common.output,
        };
        let interrupt = Interrupt::listen()?;
        let mut pace = self.again.pace();
        let mut told = Told::start(&*desk.store, to.chain.as_deref(), &Tally::default(), self.again.limit, None).await;
        let mut took = Took::default();
        let worked = retakes.work(&mut took, &mut pace, &mut told, &interrupt).await;
        if !matches!(worked, Ok(true)) {
            output::say(format_args!("what was taken has left {}, so the same command goes on", retakes.from));
        }
        let done = worked?;
        self.tell(&to.list, &took.tally, &took.reasons, &pace, &told, json!({"interrupted": !done}))?;
        Ok(if done && took.tally.failed == 0 { Exit::Done } else { Exit::Findings })
    }

    async fn feed(&self, desk: Desk, to: Option<Target>) -> Result<Exit> {
        // The grammar asks for one.
        let Some(to) = to else { return Ok(Exit::Usage) };
        let ledger = self.ledger(&to, desk.configured.as_ref())?;
        let command = format!("replay to {}", to.list);
        let dry_run = self.again.dry_run;
        let mut cursor = self.kept.open(&desk.store, &self.asked(Some(&to)), &command, dry_run).await?;
        if let Some(ended) = cursor.state.ended {
            return self.ended(&cursor, ended);
        }
        let selection = self.again.select.compile(cursor.state.begun)?;
        let (since, until) = (selection.since, selection.until);
        let source = match self.from {
            From::Path => Source::Files(self.source.clone()),
            _ => {
                let name = self.source[0].clone();
                let storage = storage(&name, desk.configured.as_ref(), true)?;
                Source::Storage { name, storage, since, until }
            }
        };
        if cursor.resumed {
            output::say(format_args!(
                "goes on where it stood: {} done so far",
                counted(cursor.state.tally.seen(), "vCon")
            ));
        }
        let feed = Feed {
            store: Arc::clone(&desk.store),
            source,
            selection,
            list: to.list.clone(),
            ledger,
            keep: ingest::keep()?,
            limit: self.again.limit,
            dry_run,
            output: self.common.output,
        };
        let interrupt = Interrupt::listen()?;
        let mut pace = self.again.pace();
        let end = until.or(Some(cursor.state.begun));
        let mut told = Told::start(&*desk.store, to.chain.as_deref(), &cursor.state.tally, self.again.limit, end).await;
        let worked = feed.work(&mut cursor, &mut pace, &mut told, &interrupt).await;
        let done = matches!(worked, Ok(true));
        if !done && !dry_run {
            output::say(format_args!(
                "{} so far; the same command goes on behind them",
                counted(cursor.state.tally.done, "vCon")
            ));
        }
        worked?;
        if done && !dry_run {
            cursor.end().await?;
        }
        let mut more = cursor.value();
        more["interrupted"] = json!(!done);
        let state = &cursor.state;
        self.tell(&to.list, &state.tally, &state.reasons, &pace, &told, more)?;
        Ok(if done && state.tally.failed == 0 { Exit::Done } else { Exit::Findings })
    }

    /// The command has come to its end before.
    fn ended(&self, cursor: &Cursor, ended: i64) -> Result<Exit> {
        let Tally { done, failed, .. } = cursor.state.tally;
        output::say(format_args!(
            "this was done {} ago: {} put on the list, {failed} failed; --restart does it again, and so does another \
             --cursor NAME",
            super::age::age(ended),
            counted(done, "vCon"),
        ));
        if self.common.output == Format::Json {
            let mut value = cursor.value();
            value["ended"] = json!(super::age::moment(ended));
            output::print_json(&value)?;
        }
        Ok(Exit::Done)
    }

    fn tell(
        &self,
        list: &str,
        tally: &Tally,
        reasons: &Reasons,
        pace: &Pace,
        told: &Told,
        mut more: Value,
    ) -> Result<()> {
        let seconds = pace.took().as_secs_f64();
        let Tally { done, passed, failed, bytes, .. } = tally;
        match self.common.output {
            Format::Table => {
                let verb = if self.again.dry_run { "would be put" } else { "put" };
                let mut text = format!("{} {verb} on `{list}`", counted(*done, "vCon"));
                if *passed > 0 {
                    text.push_str(&format!(", {passed} not asked for"));
                }
                if *failed > 0 {
                    text.push_str(&format!(", {failed} failed"));
                }
                text.push_str(&format!(" in {seconds:.1} s\n"));
                if let Some(cost) = told.cost() {
                    text.push_str(&format!("its chain has spent ${cost:.2} meanwhile\n"));
                }
                if !reasons.is_empty() {
                    text.push_str(&format!("\n{}", reasons.text()));
                }
                output::print(&text)
            }
            Format::Json => {
                for (name, value) in [
                    ("list", json!(list)),
                    ("done", json!(done)),
                    ("not_asked_for", json!(passed)),
                    ("failed", json!(failed)),
                    ("bytes", json!(bytes)),
                    ("reasons", reasons.value()),
                    ("dry_run", json!(self.again.dry_run)),
                    ("cost_usd", json!(told.cost())),
                    ("seconds", json!(seconds)),
                ] {
                    more[name] = value;
                }
                output::print_json(&more)
            }
            Format::Jsonl => Ok(()),
        }
    }
}

/// A storage of the configuration. `listed`: it must be able to list and load.
pub(super) fn storage(name: &str, configured: Option<&Configured>, listed: bool) -> Result<Arc<dyn Storage>> {
    let Some(configured) = configured else {
        return Err(Failure::new(Exit::Usage, format!("storage `{name}` is one of a configuration"))
            .help("name the configuration with --config"));
    };
    let config = configured.config();
    let Some(written) = config.storage(name) else {
        let names: Vec<&str> = config.storages.iter().map(|storage| &*storage.name.value).collect();
        let failure = Failure::new(Exit::Usage, format!("the configuration has no storage `{name}`"));
        return Err(match nearest(name, &names) {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help(format!("it has {}", names.join(", "))),
        });
    };
    let mut findings = Vec::new();
    let asked = Asked { name: &written.name, module: &written.module, options: &written.options, mode: &config.mode };
    let entry = configured.registry().storage(&written.module);
    let Some(storage) = entry.and_then(|entry| (entry.configure)(asked, &mut findings)) else {
        configuration::complain(&findings);
        return Err(Failure::new(Exit::Configuration, format!("storage `{name}` cannot be used as it is configured"))
            .help("`vconductor check` shows the configuration's faults"));
    };
    let can = storage.capabilities();
    if listed && !(can.list && can.read) {
        let module = &written.module;
        return Err(Failure::new(
            Exit::Usage,
            format!("storage `{name}` ({module}) cannot list and read what it holds"),
        )
        .help("use one that can: `vconductor describe` of a storage says what it can do"));
    }
    Ok(storage)
}
