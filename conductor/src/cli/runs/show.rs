//! `runs show`: one run, or all runs of one vCon, step by step.

use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;
use vconductor_core::run::{RunId, Stage};
use vconductor_core::store::{AtWork, PastQuery, PastRun, RunQuery, RunRecord, RunState, Store};

use super::gather::{chain_of, cost_of};
use super::judge::{Judgement, State, judge};
use super::list::colour;
use super::timeline;
use crate::cli::age;
use crate::cli::configuration::Configured;
use crate::cli::desk::Common;
use crate::cli::dlq::canonical;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::look::{self, Look};
use crate::cli::output::{self, DIM, Format, HELP, STRONG, plain, styled};
use crate::cli::paragraphs::wrapped;

const EXAMPLES: &str = "\
Examples:
  vconductor runs show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10   # a vCon: all of its runs
  vconductor runs show 0192f1c4-7b1e-7d2a-9a51-3a6f1f0b8c11   # a run
  vconductor runs show 0192f1c4-7b1e-7d2a-9a51-3a6f1f0b8c11 --output json | jq '.[0].events'";

/// So many runs of one vCon, and passages of one run, are looked for.
const MOST: usize = 1000;

/// Show one run step by step: when, how long, what it cost, what it waits for
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    /// The uuid of a vCon, or of a run
    #[arg(value_name = "UUID|RUN")]
    what: String,
    #[command(flatten)]
    common: Common,
}

/// Everything that is known of one run.
struct Story {
    run: Option<RunId>,
    record: Option<RunRecord>,
    /// The latest first.
    past: Vec<PastRun>,
    at_work: Option<AtWork>,
}

impl Show {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        let store = &*desk.store;
        let look = Look::at(store).await?;
        let stories = find(store, &look, &canonical(&self.what)).await?;
        if stories.is_empty() {
            return Err(Failure::new(
                Exit::Findings,
                format!("no run of a vCon or run `{}` is known in {}", plain(&self.what), store.describe()),
            )
            .help("what ended long ago is forgotten; `vconductor show` looks for the vCon itself"));
        }
        let configured = desk.configured.as_ref();
        match self.common.output {
            Format::Table => {
                let parts: Vec<String> = stories.iter().map(|story| story.text(&look, configured)).collect();
                output::print(&parts.join("\n"))?;
            }
            Format::Json => {
                output::print_json(&stories.iter().map(|story| story.value(&look, configured)).collect::<Vec<_>>())?;
            }
            Format::Jsonl => output::print_jsonl(stories.iter().map(|story| story.value(&look, configured)))?,
        }
        Ok(Exit::Done)
    }
}

/// The run of this name, else all of a vCon: those first that have not ended.
async fn find(store: &dyn Store, look: &Look, what: &str) -> Result<Vec<Story>> {
    if let Ok(run) = Uuid::parse_str(what).map(RunId) {
        let records =
            store.runs(&RunQuery { run: Some(run), ledgers: true, limit: MOST, ..RunQuery::default() }).await?;
        let past = store.past(&PastQuery { run: Some(run), limit: MOST, ..PastQuery::default() }).await?;
        let stories = told(records, past, look);
        if !stories.is_empty() {
            return Ok(stories);
        }
    }
    let query = RunQuery { uuid: Some(what.to_owned()), ledgers: true, limit: MOST, ..RunQuery::default() };
    let mut records = store.runs(&query).await?;
    // What lies on a list for another program is no run.
    records.retain(|record| record.state != RunState::Waiting || !look.is_handed_on(&record.list));
    let past = store.past(&PastQuery { uuid: Some(what.to_owned()), limit: MOST, ..PastQuery::default() }).await?;
    Ok(told(records, past, look))
}

/// Brings together what belongs to one run.
fn told(records: Vec<RunRecord>, past: Vec<PastRun>, look: &Look) -> Vec<Story> {
    let mut stories: Vec<Story> = records
        .into_iter()
        .map(|record| Story {
            run: record.run,
            at_work: look.at_work(&record).cloned(),
            record: Some(record),
            past: Vec::new(),
        })
        .collect();
    for passage in past {
        match stories.iter_mut().find(|story| story.run == Some(passage.run)) {
            Some(story) => story.past.push(passage),
            None => {
                let run = Some(passage.run);
                stories.push(Story { run, record: None, past: vec![passage], at_work: None });
            }
        }
    }
    stories
}

impl Story {
    /// Where it stands; a run that left the store has ended.
    fn judged(&self, look: &Look) -> Judgement {
        if let Some(record) = &self.record {
            return judge(record, look);
        }
        let last = self.past.first();
        let (state, reason) = match last.map(|past| past.outcome.as_str()) {
            Some("done") => (State::Done, None),
            Some("stopped") => (State::Done, Some("a link stopped the chain".to_owned())),
            // It was buried or put back as another run.
            Some("dead") => (State::Failed, Some("its dead letter was purged or has expired".to_owned())),
            _ => (State::Done, Some("how it ended was not noted".to_owned())),
        };
        let since = last.map(|past| past.ended);
        Judgement { state, stuck: None, step: None, since, reason, cause: None, fix: None }
    }

    fn uuid(&self) -> &str {
        let record = self.record.as_ref().map(|record| record.uuid.as_str());
        record.or(self.past.first().map(|past| past.uuid.as_str())).unwrap_or_default()
    }

    fn list(&self) -> &str {
        let record = self.record.as_ref().map(|record| record.list.as_str());
        record.or(self.past.first().map(|past| past.list.as_str())).unwrap_or_default()
    }

    fn chain(&self, look: &Look, configured: Option<&Configured>) -> Option<String> {
        let record = self.record.as_ref().and_then(|record| chain_of(record, look, configured));
        record.or_else(|| self.past.first().map(|past| past.chain.clone()))
    }

    fn cost(&self) -> Option<f64> {
        let past = self.past.iter().filter_map(PastRun::cost).reduce(|sum, cost| sum + cost);
        let record = self.record.as_ref().and_then(|record| cost_of(record, self.at_work.as_ref()));
        // The ledger knows all that is not forgotten; what ended may know more once the ledger is gone.
        record.or(past)
    }

    fn events(&self) -> Vec<timeline::Event> {
        let ledger = self.record.as_ref().and_then(|record| record.ledger.as_ref());
        timeline::events(&self.past, self.at_work.as_ref(), ledger)
    }

    fn value(&self, look: &Look, configured: Option<&Configured>) -> Value {
        let judged = self.judged(look);
        json!({
            "run": self.run,
            "uuid": self.uuid(),
            "list": self.list(),
            "chain": self.chain(look, configured),
            "state": judged.state,
            "step": judged.step,
            "since": judged.since.map(age::moment),
            "reason": judged.reason,
            "fix": judged.fix,
            "cost_usd": self.cost(),
            "events": self.events(),
            "record": self.record,
            "passages": self.past,
            "at_work": self.at_work,
        })
    }

    fn text(&self, look: &Look, configured: Option<&Configured>) -> String {
        let judged = self.judged(look);
        let name = self.run.map_or_else(|| "that waits for its turn".to_owned(), |run| run.to_string());
        let mut text = format!(
            "{} {}  {}\n",
            styled(STRONG, "Run"),
            styled(STRONG, name),
            styled(colour(judged.state), judged.state.as_str())
        );
        let mut line = |name: &str, value: &str| {
            let lines = wrapped(value, 0, 13);
            text.push_str(&format!("  {} {lines}", styled(DIM, format_args!("{name:<10}"))));
        };
        line("vcon", &plain(self.uuid()));
        let chain = self.chain(look, configured).map_or_else(|| "not known".to_owned(), |chain| plain(&chain));
        line("chain", &format!("{chain}, from list {}", plain(self.list())));
        if let Some(step) = &judged.step {
            let at = if judged.state == State::Failed { "failed in" } else { "at" };
            line(at, &plain(step));
        }
        if let Some(since) = judged.since {
            let name = if judged.state == State::Done { "ended" } else { "since" };
            line(name, &format!("{} ago ({})", age::age(since), age::moment(since)));
        }
        if let Some(reason) = &judged.reason {
            line(
                if judged.state == State::Waiting || judged.state == State::Parked { "waits for" } else { "why" },
                reason,
            );
        }
        if let Some(help) = self.record.as_ref().and_then(|record| record.failure.as_ref()?.help.as_deref())
            && judged.state == State::Failed
        {
            line("help", &plain(help));
        }
        if let Some(record) = &self.record {
            for (name, value) in of_record(record, look) {
                line(name, &value);
            }
        }
        if let Some(cost) = self.cost() {
            line("cost", &format!("${cost:.4}, by the prices that are known"));
        }
        if let Some(fix) = &judged.fix {
            text.push_str(&format!("  {} {}\n", styled(DIM, format_args!("{:<10}", "do")), styled(HELP, fix)));
        }
        let course = timeline::text(&self.events(), look.at);
        if !course.is_empty() {
            text.push('\n');
            text.push_str(&course);
        }
        text
    }
}

/// What the store knows of a run that has not ended.
fn of_record(record: &RunRecord, look: &Look) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(process) = &record.process {
        let known = look.conductor(process);
        let alive = known.is_some_and(|conductor| conductor.alive);
        let name = known.map_or_else(|| process.to_string(), look::name);
        lines.push(("conductor", format!("{name}, {}", if alive { "alive" } else { "dead" })));
    }
    let mut tries = Vec::new();
    if record.attempts > 0 {
        tries.push(format!("tried again {}", crate::cli::configuration::counted(u64::from(record.attempts), "time")));
    }
    if record.crashes > 0 {
        let crashes = crate::cli::configuration::counted(u64::from(record.crashes), "conductor");
        tries.push(format!("{crashes} died while working on it"));
    }
    if !tries.is_empty() {
        lines.push(("tries", tries.join(", ")));
    }
    if let Some(at) = record.enqueued_at {
        lines.push(("enqueued", format!("{} ago ({})", age::age(at), age::moment(at))));
    }
    let Some(ledger) = &record.ledger else { return lines };
    lines.extend(ledger.deviation.lines().into_iter().map(|different| ("with", plain(&different))));
    if !ledger.storages.is_empty() {
        let held: Vec<String> = ledger.storages.keys().map(|name| plain(name)).collect();
        lines.push(("stored in", held.join(", ")));
    }
    let stage = match ledger.stage {
        Stage::Links => "held back until its links and storages are done",
        Stage::Storages => "held back until the required storages hold the vCon",
        Stage::Egress => "handed on already; optional storages are missing",
    };
    lines.push(("egress", stage.to_owned()));
    lines
}
