//! Benchmarks of the shipped binary on Redis, beside the same protocol sent bare in the same run.
//!
//! `scripts/benchmark [--seconds N] [--rounds N] [--output table|json] [CASE...]` builds what it needs and runs it. A
//! private server on this machine with AOF `everysec` (rewrite off), documents as strings of varying size. Every round
//! has a fresh server and fresh documents; a short first one is thrown away, the others give medians.

mod bare;
mod conductor;
mod database;
mod figures;
mod load;
mod receiver;
mod report;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::conductor::{Case, chain, tags};
use crate::load::{MEGABYTE, Measured, Outcome, USUAL, median};
use crate::report::{Line, Report, Rounds};
use vconductor_tests::servers::mongo::MongoServer;
use vconductor_tests::servers::postgres::PostgresServer;

/// The cases and what each measures.
const CASES: [(&str, &str); 11] = [
    ("a", "[tag], 4.7 KB, egress; beside the bare protocol"),
    ("store", "the store without an engine, beside the bare protocol"),
    ("e", "six [tag] links, beside one"),
    ("b", "[tag, jq_link, tag_router] and files, without and with fsync; beside fsynced files alone"),
    ("c", "[tag] and PostgreSQL; beside the same batched upsert, with the compatible GIN index"),
    ("mongo", "[tag] and a server of MongoDB's protocol; beside the same batched insertions"),
    ("d", "[webhook] to an HTTP server on this machine"),
    ("mb", "[tag], 1 MB; beside the bare protocol"),
    ("latency", "from RPUSH to egress, idle"),
    ("startup", "from the start of the process to its first vCon"),
    ("memory", "resident memory: idle, under load, one 50 MB vCon, 10 s later"),
];

struct Options {
    seconds: f64,
    rounds: usize,
    binary: PathBuf,
    json: bool,
    cases: Vec<String>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}\n{}", usage());
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(options: &Options) -> Outcome {
    let mut report = Report {
        fsync_ms: load::fsync_time()?,
        processors: std::thread::available_parallelism()?.get(),
        redis: load::version().await?,
        lines: Vec::new(),
    };
    for case in &options.cases {
        eprintln!("{case}: {}", CASES.iter().find(|(name, _)| name == case).map_or("", |(_, what)| what));
        report.lines.extend(match case.as_str() {
            "a" => against_bare(options, "A [tag], 4.7 KB", USUAL, "0.80; 45,000/s").await?,
            "store" => store_alone(options).await?,
            "e" => e(options).await?,
            "b" => b(options).await?,
            "c" => c(options).await?,
            "mongo" => mongo(options).await?,
            "d" => d(options).await?,
            "mb" => against_bare(options, "A [tag], 1 MB", MEGABYTE, "0.50; 372/s").await?,
            "latency" => figures::latency(&options.binary, options.count(200.0, USUAL)).await?,
            "startup" => figures::startup(&options.binary).await?,
            _ => figures::memory(&options.binary, options.count(20_000.0, USUAL)).await?,
        });
    }
    report.print(options.json)
}

fn usage() -> String {
    let cases: String = CASES.iter().map(|(name, what)| format!("  {name:<8} {what}\n")).collect();
    format!(
        "usage: scripts/benchmark [--seconds N] [--rounds N] [--output table|json] [--binary PATH] [CASE...]\n\n\
         N seconds a round (10) and N rounds (3); without a case, all of them:\n{cases}\n\
         example: scripts/benchmark --rounds 1 a d"
    )
}

/// `None`: the usage was asked for and printed.
fn options(mut arguments: impl Iterator<Item = String>) -> Outcome<Option<Options>> {
    let mut options = Options {
        seconds: 10.0,
        rounds: 3,
        binary: "target/release/vconductor".into(),
        json: false,
        cases: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
        match argument.as_str() {
            "-h" | "--help" => {
                println!("{}", usage());
                return Ok(None);
            }
            "--seconds" => options.seconds = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
            "--binary" => options.binary = value()?.into(),
            "--output" => {
                options.json = match value()?.as_str() {
                    "json" => true,
                    "table" => false,
                    other => return Err(format!("unknown output `{other}`").into()),
                }
            }
            case if CASES.iter().any(|(name, _)| *name == case) => options.cases.push(case.to_owned()),
            other => return Err(format!("unknown case or option `{other}`").into()),
        }
    }
    if options.cases.is_empty() {
        options.cases = CASES.map(|(name, _)| name.to_owned()).to_vec();
    }
    Ok(Some(options))
}

impl Options {
    fn case(&self, configuration: String, size: usize) -> Case {
        Case { binary: self.binary.clone(), configuration, size }
    }

    /// How many vCons fill a round at this rate. Bounded: all of them lie in memory and in the AOF before it begins.
    fn count(&self, rate: f64, size: usize) -> usize {
        ((rate * self.seconds) as usize).clamp(100, (4 << 30) / (size + 1024))
    }

    /// How many the round has that is thrown away.
    fn first(&self, rate: f64, size: usize) -> usize {
        ((rate * self.seconds.min(1.0)) as usize).clamp(100, (1 << 30) / (size + 1024))
    }
}

/// The conductor and the bare protocol in turn.
async fn against_bare(options: &Options, name: &str, size: usize, goal: &'static str) -> Outcome<Vec<Line>> {
    let case = options.case(tags(1), size);
    let (mut engine, mut bare) = (Rounds::default(), Rounds::default());
    let mut count = options.first(if size > USUAL { 300.0 } else { 20_000.0 }, size);
    for round in 0..=options.rounds {
        let measured = [case.round(count).await?, bare::round(size, count).await?];
        if round > 0 {
            engine.0.push(measured[0]);
            bare.0.push(measured[1]);
        }
        count = options.count(measured[0].rate, size);
    }
    let over = engine.over(&bare);
    Ok(vec![engine.line(name, "vconductor").ratio(over).goal(goal), bare.line(name, "bare")])
}

async fn store_alone(options: &Options) -> Outcome<Vec<Line>> {
    let (mut store, mut bare) = (Rounds::default(), Rounds::default());
    let mut count = options.first(20_000.0, USUAL);
    for round in 0..=options.rounds {
        let measured = [store::round(USUAL, count).await?, bare::round(USUAL, count).await?];
        if round > 0 {
            store.0.push(measured[0]);
            bare.0.push(measured[1]);
        }
        count = options.count(measured[0].rate, USUAL);
    }
    let (name, over) = ("store alone, 4.7 KB", store.over(&bare));
    Ok(vec![store.line(name, "store").ratio(over), bare.line(name, "bare")])
}

async fn e(options: &Options) -> Outcome<Vec<Line>> {
    let (six, one) = (options.case(tags(6), USUAL), options.case(tags(1), USUAL));
    let (mut sixes, mut ones) = (Rounds::default(), Rounds::default());
    let mut count = options.first(20_000.0, USUAL);
    for round in 0..=options.rounds {
        let measured: [Measured; 2] = [six.round(count).await?, one.round(count).await?];
        if round > 0 {
            sixes.0.push(measured[0]);
            ones.0.push(measured[1]);
        }
        count = options.count(measured[0].rate, USUAL);
    }
    let (name, over) = ("E six [tag], 4.7 KB", sixes.over(&ones));
    Ok(vec![sixes.line(name, "vconductor").ratio(over).goal("0.85 of A"), ones.line(name, "A")])
}

/// `[tag, jq_link, tag_router]` and files, without and with fsync; bare are files of that size alone.
async fn b(options: &Options) -> Outcome<Vec<Line>> {
    let case = |fsync: bool| {
        let links = "  t0: {module: links.tag, options: {tags: [t0]}}\n  \
            some: {module: links.jq_link, options: {filter: '.dialog | length > 0'}}\n  \
            route: {module: links.tag_router, options: {tag_routes: {t0: routed}}}\n";
        let files = format!("{{module: storage.file, options: {{path: FOLDER/files, fsync: {fsync}}}}}");
        options.case(chain(links, "t0, some, route", &files), USUAL)
    };
    let (with, without) = (case(true), case(false));
    let (mut fast, mut durable, mut bare) = (Rounds::default(), Rounds::default(), Vec::new());
    let (mut many, mut few) = (options.first(5_000.0, USUAL), options.first(2_000.0, USUAL));
    for round in 0..=options.rounds {
        let (loose, tight) = (without.round(many).await?, with.round(few).await?);
        let writes = tokio::task::spawn_blocking(move || bare::fsynced_writes(USUAL, few, 64)).await??;
        if round > 0 {
            fast.0.push(loose);
            durable.0.push(tight);
            bare.push(writes);
        }
        (many, few) = (options.count(loose.rate, USUAL), options.count(tight.rate, USUAL));
    }
    let ratio = median(durable.0.iter().zip(&bare).map(|(round, bare)| round.rate / bare).collect());
    let name = "B three links, file";
    Ok(vec![
        fast.line(name, "no fsync").goal("5,880/s"),
        durable.line(name, "fsync").ratio(ratio).goal("0.70"),
        Line::new(name, "fsynced files, 64 threads", median(bare), "files/s"),
    ])
}

/// `[tag]` and a table, every commit on disk.
async fn c(options: &Options) -> Outcome<Vec<Line>> {
    let (mut rounds, mut bare, mut count) = (Rounds::default(), Vec::new(), options.first(1_000.0, USUAL));
    for round in 0..=options.rounds {
        let (ours, theirs) = (PostgresServer::durable(), PostgresServer::durable());
        let storage = format!("{{module: storage.postgres, options: {{url: '{}'}}}}", ours.url());
        let measured = options.case(one_tag(&storage), USUAL).round(count).await?;
        let written = database::postgres(&theirs, count, USUAL).await?;
        if round > 0 {
            rounds.0.push(measured);
            bare.push(written);
        }
        count = options.count(measured.rate, USUAL);
    }
    Ok(beside("C [tag], PostgreSQL", &rounds, "bare upserts", bare, "0.70"))
}

/// `[tag]` and a collection.
async fn mongo(options: &Options) -> Outcome<Vec<Line>> {
    let (mut rounds, mut bare, mut count) = (Rounds::default(), Vec::new(), options.first(200.0, USUAL));
    for round in 0..=options.rounds {
        let (ours, theirs) = (MongoServer::start(), MongoServer::start());
        let storage = format!("{{module: storage.mongo, options: {{url: '{}'}}}}", ours.url());
        let measured = options.case(one_tag(&storage), USUAL).round(count).await?;
        let written = database::mongo(&theirs, count, USUAL).await?;
        if round > 0 {
            rounds.0.push(measured);
            bare.push(written);
        }
        count = options.count(measured.rate, USUAL);
    }
    Ok(beside("C [tag], FerretDB", &rounds, "bare insertions", bare, "0.70"))
}

fn one_tag(storage: &str) -> String {
    chain("  t0: {module: links.tag, options: {tags: [t0]}}\n", "t0", storage)
}

fn beside(name: &str, rounds: &Rounds, writes: &'static str, bare: Vec<f64>, goal: &'static str) -> Vec<Line> {
    let ratio = median(rounds.0.iter().zip(&bare).map(|(round, bare)| round.rate / bare).collect());
    vec![rounds.line(name, "vconductor").ratio(ratio).goal(goal), Line::new(name, writes, median(bare), "vCons/s")]
}

/// `[webhook]` to an HTTP server on this machine, status honoured, ledger on.
async fn d(options: &Options) -> Outcome<Vec<Line>> {
    let receiver = receiver::Receiver::start()?;
    let links = format!("  hook: {{module: links.webhook, options: {{webhook-urls: ['{}']}}}}\n", receiver.url());
    let case = options.case(chain(&links, "hook", ""), USUAL);
    let (mut rounds, mut count) = (Rounds::default(), options.first(5_000.0, USUAL));
    for round in 0..=options.rounds {
        let measured = case.round(count).await?;
        if round > 0 {
            rounds.0.push(measured);
        }
        count = options.count(measured.rate, USUAL);
    }
    let name = format!("D [webhook] to {}", receiver.name());
    Ok(vec![rounds.line(&name, "vconductor").goal("10,030/s")])
}
