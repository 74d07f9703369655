//! The command line: one file per command, and what they share.
//!
//! stdout is data, stderr is talk. Every command returns its exit code; nothing below prints an error and goes on.

mod age;
mod bulk;
mod check;
mod completions;
mod configuration;
mod copy;
mod describe;
mod desk;
mod dlq;
mod doctor;
mod exit;
mod explain;
mod graph;
mod http;
mod ingest;
mod inputs;
mod intake;
mod interrupt;
mod keys;
mod list;
mod logging;
mod look;
mod new;
mod output;
mod paragraphs;
mod plugins;
mod progress;
mod queue;
mod refusal;
mod reload;
mod replay;
mod rewrite;
mod run;
mod runs;
mod schema;
mod serve;
mod show;
mod signals;
mod simulate;
mod store;
mod test;
mod validate;
mod vcon;
mod watched;

use std::future::Future;
use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::builder::Styles;
use clap::{ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use exit::{Exit, Failure, Result};
use logging::LogFormat;

const ABOUT: &str = "Runs conversations (vCons) through chains of links, and loses none";

const LONG_ABOUT: &str = "\
Runs conversations (vCons) through chains of links that are written in YAML, and stores the results.

Reads the configuration of vcon-server unchanged. Needs no server: without --store, vCons and queues live in \
./vconductor-data.";

const EXAMPLES: &str = "\
Examples:
  vconductor new chain deepgram,analyze/webhook,s3         # start a chain
  vconductor check chains.yml                              # is it right?
  vconductor test                                          # does it do what it should?
  vconductor ingest --list calls recordings/ call.vcon     # take conversations in
  vconductor run chains.yml --until-idle                   # work until nothing is left to do
  vconductor serve --http 0.0.0.0:8000                     # take conversations in over HTTP
  vconductor show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10     # look at one
  vconductor validate --strict export/                     # does it follow the draft?
  vconductor doctor                                        # why is nothing moving?
  vconductor queue                                         # how the lists stand
  vconductor runs                                          # single runs, and those that are stuck
  vconductor dlq list                                      # what failed for good
  vconductor replay --from dlq calls --dry-run             # run vCons again
  vconductor describe links.webhook                        # the manual of a link

Exit codes:
  0   done                            65  bad data
  1   findings or failed items        69  store or server unavailable
  2   wrong command line              78  bad configuration";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "vconductor", version, about = ABOUT, long_about = LONG_ABOUT, after_help = EXAMPLES)]
#[command(styles = STYLES, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    talk: Talk,
    #[command(subcommand)]
    command: Command,
}

/// How the program talks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Talk {
    /// When to use colour (also NO_COLOR, CLICOLOR_FORCE)
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: ColorChoice,
    /// Log more; repeat for still more
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// The form of the log on stderr (what is logged: VCONDUCTOR_LOG or RUST_LOG)
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Serve(serve::Serve),
    Ingest(ingest::Ingest),
    Show(show::Show),
    Vcon(vcon::Vcon),
    Validate(validate::Validate),
    Queue(queue::Queue),
    Runs(runs::Runs),
    Doctor(doctor::Doctor),
    Dlq(dlq::Dlq),
    Replay(Box<replay::Replay>),
    Copy(copy::Copy),
    Keys(keys::Keys),
    Check(check::Check),
    Test(test::Test),
    Simulate(simulate::Simulate),
    Explain(explain::Explain),
    New(new::New),
    Graph(graph::Graph),
    Schema(schema::PrintSchema),
    List(list::List),
    Describe(describe::Describe),
    Completions(completions::Completions),
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// The command line as clap knows it: for completions and the reference pages.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Reads the command line, does what it says, and tells the exit code.
pub fn main() -> ExitCode {
    // Before any thread is started, since it changes the process's environment.
    let environment = dotenvy::dotenv();
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match start(&arguments, environment).and_then(|()| dispatch(&arguments.command)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::complain_of(&failure);
            failure.exit().into()
        }
    }
}

fn parse() -> std::result::Result<Arguments, ExitCode> {
    let parsed = command().color(early_colour()).try_get_matches();
    parsed.and_then(|matches| Arguments::from_arg_matches(&matches)).map_err(|error| {
        // Nobody is left to tell when this fails.
        drop(error.print());
        if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS }
    })
}

/// `--color` must hold for help and usage errors too, which are written before it is read.
fn early_colour() -> ColorChoice {
    let mut arguments = std::env::args().skip_while(|argument| !argument.starts_with("--color"));
    let value = match arguments.next().as_deref().and_then(|argument| argument.split_once('=')) {
        Some((_, value)) => value.to_owned(),
        None => arguments.next().unwrap_or_default(),
    };
    value.parse().unwrap_or_default()
}

fn start(Arguments { talk, command }: &Arguments, environment: dotenvy::Result<std::path::PathBuf>) -> Result<()> {
    match talk.color {
        ColorChoice::Auto => {}
        ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
        ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
    }
    if talk.quiet {
        output::be_quiet();
    }
    // What an engine says that only rehearses is told by its command, better.
    let rehearses = matches!(command, Command::Test(_) | Command::Simulate(_) | Command::New(_)) && talk.verbose == 0;
    logging::start(talk.log_format, talk.verbose, talk.quiet || rehearses)?;
    match environment {
        Err(error) if !error.not_found() => {
            Err(Failure::new(Exit::Configuration, format!("cannot read .env: {error}"))
                .help("write NAME=value lines; quote values with blanks"))
        }
        _ => Ok(()),
    }
}

fn dispatch(command: &Command) -> Result<Exit> {
    match command {
        Command::Run(run) => block_on(run.run()),
        Command::Serve(serve) => block_on(serve.run()),
        Command::Ingest(ingest) => block_on(ingest.run()),
        Command::Show(show) => block_on(show.run()),
        Command::Vcon(vcon) => block_on(vcon.run()),
        Command::Validate(validate) => block_on(validate.run()),
        Command::Queue(queue) => block_on(queue.run()),
        Command::Runs(runs) => block_on(runs.run()),
        Command::Doctor(doctor) => block_on(doctor.run()),
        Command::Dlq(dlq) => block_on(dlq.run()),
        Command::Replay(replay) => block_on(replay.run()),
        Command::Copy(copy) => block_on(copy.run()),
        Command::Keys(keys) => block_on(keys.run()),
        Command::Check(check) => block_on(check.run()),
        Command::Explain(explain) => explain.run(),
        Command::Test(test) => block_on(test.run()),
        Command::Simulate(simulate) => block_on(simulate.run()),
        Command::New(new) => block_on(new.run()),
        Command::Graph(graph) => graph.run(),
        Command::Schema(schema) => schema.run(),
        Command::List(list) => list.run(),
        Command::Describe(describe) => describe.run(),
        Command::Completions(completions) => completions.run(),
    }
}

fn block_on(work: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Findings, format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(Box::pin(work));
    // What still blocks (a reader of stdin) must not keep the process.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
