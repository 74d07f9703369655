//! Benchmarks of the shipped binary on Redis, beside the same protocol sent bare in the same run.
//!
//! `cargo build --release -p vconductor && cargo run --release -p vconductor-tests --bin bench_redis -- [--seconds N]
//! [--rounds N] [--binary PATH] [CASE...]`; cases: `a`, `e`, `b`, `d`, `mb`, `latency`, `startup`, `memory`, all of them
//! by default. A private server on this machine with AOF `everysec` (rewrite off), documents as strings of varying size.
//! Every round has a fresh server and fresh documents; the first one is thrown away, the others give medians.

mod bare;
mod conductor;
mod figures;
mod load;
mod receiver;
mod store;

use std::path::PathBuf;

use crate::conductor::{Case, chain, tags};
use crate::load::{Cost, MEGABYTE, Measured, Outcome, USUAL, median};

struct Options {
    seconds: f64,
    rounds: usize,
    binary: PathBuf,
    cases: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let options = options()?;
    println!("fsync of 4 KB: {:.2} ms (median of 200); documents are strings", load::fsync_time()?);
    for case in &options.cases {
        match case.as_str() {
            "a" => a(&options).await?,
            "e" => e(&options).await?,
            "b" => b(&options).await?,
            "d" => d(&options).await?,
            "mb" => mb(&options).await?,
            "latency" => figures::latency(&options.binary).await?,
            "startup" => figures::startup(&options.binary).await?,
            "memory" => figures::memory(&options.binary).await?,
            other => return Err(format!("unknown case {other}").into()),
        }
    }
    Ok(())
}

fn options() -> Outcome<Options> {
    let mut options =
        Options { seconds: 10.0, rounds: 3, binary: "target/release/vconductor".into(), cases: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => options.seconds = arguments.next().ok_or("--seconds needs a number")?.parse()?,
            "--rounds" => options.rounds = arguments.next().ok_or("--rounds needs a number")?.parse()?,
            "--binary" => options.binary = arguments.next().ok_or("--binary needs a path")?.into(),
            case => options.cases.push(case.to_owned()),
        }
    }
    if options.cases.is_empty() {
        options.cases = ["a", "e", "b", "d", "mb", "latency", "startup", "memory"].map(str::to_owned).to_vec();
    }
    Ok(options)
}

impl Options {
    fn case(&self, configuration: String, size: usize) -> Case {
        Case { binary: self.binary.clone(), configuration, size }
    }

    /// How many vCons fill a round at this rate. Bounded: all of them lie in memory and in the AOF before it begins.
    fn count(&self, rate: f64, size: usize) -> usize {
        ((rate * self.seconds) as usize).clamp(200, (4 << 30) / (size + 1024))
    }
}

/// Rounds of one kind.
#[derive(Default)]
struct Rounds(Vec<Measured>);

impl Rounds {
    fn rate(&self) -> f64 {
        median(self.0.iter().map(|round| round.rate).collect())
    }

    /// Median of this kind's rates over those of another kind in the same rounds.
    fn over(&self, other: &Rounds) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(this, other)| this.rate / other.rate).collect())
    }

    fn tell(&self, who: &str, note: &str) {
        let of = |part: fn(&Cost) -> f64| median(self.0.iter().map(|round| part(&round.cost)).collect());
        println!(
            "  {who:<10} {:>8.0} vCons/s{note}; CPU per vCon: {:.1} us of its own, {:.1} us of Redis",
            self.rate(),
            of(|cost| cost.own),
            of(|cost| cost.redis)
        );
    }
}

/// The conductor, the store without an engine, and the bare protocol in turn.
async fn a(options: &Options) -> Outcome {
    let case = options.case(tags(1), USUAL);
    let (mut engine, mut store, mut bare) = (Rounds::default(), Rounds::default(), Rounds::default());
    let mut count = 40_000;
    for round in 0..=options.rounds {
        let measured = [case.round(count).await?, store::round(USUAL, count).await?, bare::round(USUAL, count).await?];
        if round > 0 {
            for (rounds, measured) in [&mut engine, &mut store, &mut bare].into_iter().zip(measured) {
                rounds.0.push(measured);
            }
        }
        count = options.count(measured[0].rate, USUAL);
    }
    println!("A [tag], 4.7 KB, {} rounds of {count}", options.rounds);
    engine.tell("vconductor", &format!(", {:.2} of bare", engine.over(&bare)));
    store.tell("its store", &format!(", {:.2} of bare", store.over(&bare)));
    bare.tell("bare", "");
    Ok(())
}

/// Two kinds of rounds in turn.
async fn pair(options: &Options, first: &Case, second: &Case, start: usize) -> Outcome<[Rounds; 2]> {
    let mut rounds: [Rounds; 2] = Default::default();
    let mut count = start;
    for round in 0..=options.rounds {
        let measured = [first.round(count).await?, second.round(count).await?];
        if round > 0 {
            rounds[0].0.push(measured[0]);
            rounds[1].0.push(measured[1]);
        }
        count = options.count(measured[0].rate, first.size);
    }
    Ok(rounds)
}

async fn e(options: &Options) -> Outcome {
    let [six, one] = pair(options, &options.case(tags(6), USUAL), &options.case(tags(1), USUAL), 40_000).await?;
    println!("E six [tag], 4.7 KB, {} rounds", options.rounds);
    six.tell("E", &format!(", {:.2} of A", six.over(&one)));
    one.tell("A", "");
    Ok(())
}

/// `[tag, jq_link, tag_router]` and files, without and with fsync; bare are files of that size alone.
async fn b(options: &Options) -> Outcome {
    let case = |fsync: bool| {
        let links = "  t0: {module: links.tag, options: {tags: [t0]}}\n  \
            some: {module: links.jq_link, options: {filter: '.dialog | length > 0'}}\n  \
            route: {module: links.tag_router, options: {tag_routes: {t0: routed}}}\n";
        let files = format!("{{module: storage.file, options: {{path: FOLDER/files, fsync: {fsync}}}}}");
        options.case(chain(links, "t0, some, route", &files), USUAL)
    };
    let (with, without) = (case(true), case(false));
    let (mut fast, mut durable, mut bare) = (Rounds::default(), Rounds::default(), Vec::new());
    let (mut many, mut few) = (5_000, 2_000);
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
    println!("B [tag, jq_link, tag_router] and storage.file, 4.7 KB, {} rounds", options.rounds);
    fast.tell("no fsync", "");
    let ratios = durable.0.iter().zip(&bare).map(|(round, bare)| round.rate / bare).collect();
    durable.tell("fsync", &format!(", {:.2} of fsynced writes alone", median(ratios)));
    println!("  {:<10} {:>8.0} fsynced files/s by 64 threads", "bare", median(bare));
    Ok(())
}

/// `[webhook]` to an HTTP server on this machine, status honoured, ledger on.
async fn d(options: &Options) -> Outcome {
    let receiver = receiver::Receiver::start()?;
    let links = format!("  hook: {{module: links.webhook, options: {{webhook-urls: ['{}']}}}}\n", receiver.url());
    let case = options.case(chain(&links, "hook", ""), USUAL);
    let (mut rounds, mut count) = (Rounds::default(), 5_000);
    for round in 0..=options.rounds {
        let measured = case.round(count).await?;
        if round > 0 {
            rounds.0.push(measured);
        }
        count = options.count(measured.rate, USUAL);
    }
    println!("D [webhook] to {}, 4.7 KB, {} rounds of {count}", receiver.name(), options.rounds);
    rounds.tell("vconductor", "");
    Ok(())
}

async fn mb(options: &Options) -> Outcome {
    let case = options.case(tags(1), MEGABYTE);
    let (mut engine, mut bare, mut count) = (Rounds::default(), Rounds::default(), 300);
    for round in 0..=options.rounds {
        let measured = [case.round(count).await?, bare::round(MEGABYTE, count).await?];
        if round > 0 {
            engine.0.push(measured[0]);
            bare.0.push(measured[1]);
        }
        count = options.count(measured[0].rate, MEGABYTE);
    }
    println!("A [tag], 1 MB, {} rounds of {count}", options.rounds);
    engine.tell("vconductor", &format!(", {:.2} of bare", engine.over(&bare)));
    bare.tell("bare", "");
    Ok(())
}
