//! The shipped chain of a contact centre, whole: recordings go in, and every vendor and every storage of
//! `chains/contact-center.yml` is there. Vendors are stand-ins, Redis and the storages are real servers.
//!
//! First the sample conversations of `examples/` and some recordings are worked on, and again from what the store has, and
//! again from the bare recordings: neither time may cost anything. Then, where kills are asked for, conductors are killed
//! while more recordings come in. At last a vendor refuses a call and repeats the key in its answer: the run becomes a dead
//! letter, nothing holds the key, and trying it again pays for what was missing alone.

mod calls;
mod judge;
mod place;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use redis::Commands as _;
use vconductor_core::error::{Error, Result};

use self::place::Place;
use super::crew::Crew;
use super::{Findings, POINTS, Plan, REDIS_POINTS};

/// Recordings that wait at most while conductors are killed.
const BACKLOG: usize = 24;
/// How long the last conductors may take for what is left.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is looked at when everything is over.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Conversations that went in.
    pub given: usize,
    /// Those that came out.
    pub done: usize,
    /// Dead letters that were tried again: runs whose conductor died three times.
    pub revived: usize,
    /// Calls by vendor: those that were paid, and of these the ones paid again.
    pub paid: BTreeMap<&'static str, (usize, usize)>,
    /// Conductors killed, by point.
    pub kills: BTreeMap<String, u32>,
    /// Breaches of a promise; empty if all is well.
    pub breaches: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// A conductor's debug build, which has failpoints: `conductor_under_test`.
    pub binary: PathBuf,
    /// Recordings of the first part.
    pub calls: u32,
    /// Kills of the second part.
    pub kills: u32,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Whether the conductor's own progress and summary are shown.
    pub show: bool,
}

/// Does everything in `folder`.
///
/// # Errors
/// If it cannot go on; breaches are part of the outcome.
pub async fn run(order: &Order, folder: &Path) -> Result<Outcome> {
    let place = Place::start().await;
    let mut outcome = Outcome::default();
    three_times(order, folder, &place, &mut outcome).await?;
    if order.kills > 0 {
        killing(order, folder, &place, &mut outcome).await?;
    }
    outcome.breaches.extend(place.refusals());
    refused(order, folder, &place, &mut outcome).await?;
    judge::all(&place, &mut outcome).await?;
    outcome.breaches.extend(judge::secrets(&place, folder)?);
    Ok(outcome)
}

/// The chain once, and twice more for nothing.
async fn three_times(order: &Order, folder: &Path, place: &Place, outcome: &mut Outcome) -> Result<()> {
    let recordings = folder.join("recordings");
    calls::write(&recordings, 0..order.calls).map_err(io)?;
    let samples = repository().join("examples/conversations");
    let given = [samples.join("calls"), samples.join("recordings"), recordings];
    let paths = given.iter().map(|path| path.display().to_string());
    tell(order, folder, place, ["ingest".to_owned(), "--list".to_owned(), "calls".to_owned()].into_iter().chain(paths))
        .await?;
    let mut connection = place.connect();
    let waiting: Vec<String> = connection.lrange("calls", 0, -1).map_err(answer)?;
    let bare: Vec<(String, String)> = waiting
        .iter()
        .map(|uuid| Ok((uuid.clone(), connection.get(format!("vcon:{uuid}")).map_err(answer)?)))
        .collect::<Result<_>>()?;
    let until_idle = ["run".to_owned(), place::CHAIN.to_owned(), "--until-idle".to_owned()];
    tell(order, folder, place, until_idle.clone()).await?;
    let before = place.paid();
    if order.show {
        println!("\nthe same conversations again");
    }
    connection.rpush::<_, _, ()>("calls", &waiting).map_err(answer)?;
    tell(order, folder, place, until_idle.clone()).await?;
    if place.paid() != before {
        outcome.breaches.push(format!("a second pass called vendors: {before:?} became {:?}", place.paid()));
    }
    if order.show {
        println!("\nand from the bare recordings");
    }
    for (uuid, document) in &bare {
        give(&mut connection, uuid, document)?;
    }
    tell(order, folder, place, until_idle).await?;
    let without_slack = |mut paid: BTreeMap<&'static str, usize>| {
        // A message that the document does not know of is posted again, as it should be.
        paid.remove("slack");
        paid
    };
    if without_slack(place.paid()) != without_slack(before.clone()) {
        outcome.breaches.push(format!("what was paid for was bought again: {before:?} became {:?}", place.paid()));
    }
    // Each was done three times; from here on, each is done once.
    let done: Vec<String> = connection.lrange("done", 0, -1).map_err(answer)?;
    outcome.breaches.extend(judge::came_out(&done, &waiting, 3));
    outcome.breaches.extend(judge::conversations(place, &waiting).await?);
    (outcome.given, outcome.done) = (waiting.len() * 3, done.len());
    place.forget();
    connection.del::<_, ()>("done").map_err(answer)
}

/// Recordings come in while conductors are killed.
async fn killing(order: &Order, folder: &Path, place: &Place, outcome: &mut Outcome) -> Result<()> {
    let plan = Plan {
        binary: order.binary.clone(),
        place: super::Place::Redis(place.redis_url()),
        conductors: 2,
        seed: order.seed,
        kills: order.kills,
        limit: Duration::from_secs(3600),
    };
    let points = [&POINTS[..], &REDIS_POINTS].concat();
    let config = repository().join(place::CHAIN);
    let crew = Crew::new(&plan, &config, &place.redis_url(), points, &["--until-idle"]);
    let mut crew = crew.set_up(place.environment(), folder, PATIENCE);
    let mut findings = Findings::default();
    let mut rng = fastrand::Rng::with_seed(order.seed);
    let (mut given, mut connection) = (Vec::new(), place.connect());
    let started = Instant::now();
    while findings.total_kills() < plan.kills {
        let waiting: usize = connection.llen("calls").map_err(answer)?;
        let more = if waiting < BACKLOG { rng.usize(1..8) } else { 0 };
        for _ in 0..more {
            let number = order.calls + u32::try_from(given.len()).unwrap_or(u32::MAX);
            let (uuid, document) = calls::vcon(number);
            give(&mut connection, &uuid, &document)?;
            given.push(uuid);
        }
        crew.fill(true);
        while crew.look(&mut findings)? == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if order.show {
            print!(
                "\r{} kills, {} recordings, {} s ",
                findings.total_kills(),
                given.len(),
                started.elapsed().as_secs()
            );
            std::io::Write::flush(&mut std::io::stdout()).map_err(io)?;
        }
    }
    crew.disarm();
    while !crew.is_empty() {
        crew.look(&mut findings)?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    crew.finish(&mut findings);
    let (killed, deaths) = (findings.kills, crew.deaths.into_values().flatten().collect::<Vec<_>>());
    outcome.kills = killed;
    outcome.breaches.append(&mut findings.breaches);
    outcome.revived = revive(order, folder, place).await?;
    let done: Vec<String> = connection.lrange("done", 0, -1).map_err(answer)?;
    outcome.breaches.extend(judge::came_out(&done, &given, 1));
    outcome.breaches.extend(judge::conversations(place, &given).await?);
    judge::payments(place, &deaths, outcome);
    outcome.given += given.len();
    outcome.done += done.len();
    Ok(())
}

/// One run that a vendor refuses for good.
async fn refused(order: &Order, folder: &Path, place: &Place, outcome: &mut Outcome) -> Result<()> {
    let (uuid, document) = calls::vcon(u32::MAX);
    let mut connection = place.connect();
    give(&mut connection, &uuid, &document)?;
    place.will_be_refused();
    let before = place.paid();
    let failed = tell(order, folder, place, ["run", place::CHAIN, "--until-idle"].map(str::to_owned)).await;
    let dead: Vec<String> = connection.lrange("DLQ:calls", 0, -1).map_err(answer)?;
    if failed.is_ok() || dead != [uuid.clone()] {
        outcome.breaches.push(format!("what a vendor refuses is no dead letter: {dead:?}"));
    }
    outcome.breaches.extend(judge::secrets(place, folder)?);
    outcome.revived += revive(order, folder, place).await?;
    let after = place.paid();
    if after["deepgram"] != before["deepgram"] + 1 || after["openai"] != before["openai"] + 4 {
        outcome.breaches.push(format!("a refused call had others paid again: {before:?} became {after:?}"));
    }
    outcome.breaches.extend(judge::conversations(place, &[uuid]).await?);
    Ok(())
}

/// Puts a vCon on the list, as a producer does it.
fn give(connection: &mut redis::Connection, uuid: &str, document: &str) -> Result<()> {
    connection.set::<_, _, ()>(format!("vcon:{uuid}"), document).map_err(answer)?;
    connection.rpush::<_, _, ()>("calls", uuid).map_err(answer)
}

/// Runs whose conductor died three times are tried again, as an operator does it; returns how many.
async fn revive(order: &Order, folder: &Path, place: &Place) -> Result<usize> {
    let mut connection = place.connect();
    let mut revived = 0;
    for list in ["calls", "complaints"] {
        let dead: usize = connection.llen(format!("DLQ:{list}")).map_err(answer)?;
        if dead > 0 {
            revived += dead;
            tell(order, folder, place, ["replay", "--from", "dlq", list].map(str::to_owned)).await?;
        }
    }
    if revived > 0 {
        tell(order, folder, place, ["run", place::CHAIN, "--until-idle"].map(str::to_owned)).await?;
    }
    Ok(revived)
}

/// Runs a command of the binary to its end; what is not shown goes to a log that holds everything.
async fn tell(order: &Order, folder: &Path, place: &Place, arguments: impl IntoIterator<Item = String>) -> Result<()> {
    let mut command = Command::new(&order.binary);
    command.args(arguments).args(["--store", &place.redis_url()]).envs(place.environment());
    command.current_dir(repository()).stdin(Stdio::null());
    if !order.show {
        let log = File::options().create(true).append(true).open(folder.join("commands.log")).map_err(io)?;
        command.env("VCONDUCTOR_LOG", "trace").stdout(log.try_clone().map_err(io)?).stderr(log);
    }
    let ended = tokio::task::spawn_blocking(move || (command.status(), command)).await;
    let (status, command) = ended.map_err(|_| Error::permanent("a command was not waited for"))?;
    match status.map_err(io)? {
        status if status.success() => Ok(()),
        status => Err(Error::permanent(format!("{command:?} ended with {status}"))),
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn answer(error: redis::RedisError) -> Error {
    Error::permanent("the server cannot be asked").caused_by(error)
}

fn io(error: std::io::Error) -> Error {
    Error::permanent("the campaign cannot go on").caused_by(error)
}
