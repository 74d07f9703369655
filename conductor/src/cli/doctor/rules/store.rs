//! The store itself.

use vconductor_core::store::{EmbeddedVitals, RedisVitals, Vitals};

use super::{Findings, Rights, bytes, rank, right};
use crate::cli::doctor::facts::Facts;
use crate::cli::doctor::report::{Finding, Severity};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::plain;

/// From this part of its memory on, a server is nearly full, and full.
const NEARLY_FULL: f64 = 0.85;
const FULL: f64 = 0.95;
/// With less than this the disk of an embedded store is full, and nearly full.
const NO_SPACE: u64 = 100 << 20;
const LITTLE_SPACE: u64 = 1 << 30;
/// A log of this size is not written back, because somebody reads on and on.
const LONG_LOG: u64 = 1 << 30;
/// A difference of clocks that people should know of, and one that harms, in milliseconds.
const CLOCKS_DIFFER: i64 = 1_000;
const CLOCKS_HARM: i64 = 5_000;
/// An answer that takes longer than this makes every step slow, in microseconds.
const SLOW: u64 = 50_000;

/// A store that cannot be opened.
pub(in crate::cli::doctor) fn unusable(place: &str, failure: &Failure) -> Finding {
    let (message, help) = match failure {
        Failure::Told { message, help, .. } => (plain(message), help.as_deref().map(plain)),
        Failure::Silent(_) => ("it cannot be used".to_owned(), None),
    };
    let place = plain(place);
    let redis = !place.starts_with("embedded:");
    let away = failure.exit() == Exit::Unavailable;
    let (code, what, sentence) = if away && redis {
        let sentence = format!("Nothing moves: the store {place} does not answer.");
        ("store-unreachable", format!("the store {place} does not answer"), sentence)
    } else if failure.exit() == Exit::Findings {
        ("store-missing", format!("there is no store at {place}"), format!("There is no store at {place}."))
    } else {
        let sentence = format!("Nothing moves: the store {place} cannot be used.");
        ("store-unusable", format!("the store {place} cannot be used"), sentence)
    };
    let mut finding = Finding::new(Severity::Critical, code, what, message).stops(rank::STORE, sentence);
    if away && redis {
        finding.why.push_str(
            ". Conductors keep what they have and go on within a second of its return; producers get errors meanwhile",
        );
        if let Some(ping) = cli(&place, "PING") {
            finding = finding.fix(format!("{ping}   # does it answer? NOAUTH means that it does"));
        }
        finding =
            finding.fix("systemctl status redis-server   # or: docker ps, kubectl get pods; start it where it runs");
    }
    // That is said above.
    finding.fix.extend(help.filter(|help| !help.starts_with("it is tried again; work goes on")));
    finding
}

/// A command of Redis for the shell; what `place` names has no password.
fn cli(place: &str, command: &str) -> Option<String> {
    let (scheme, rest) = place.split_once("://")?;
    let program = if scheme.starts_with("valkey") { "valkey-cli" } else { "redis-cli" };
    match scheme {
        "redis" | "rediss" => Some(format!("{program} -u {place} {command}")),
        "valkey" | "valkeys" => {
            let scheme = scheme.replace("valkey", "redis");
            Some(format!("{program} -u {scheme}://{rest} {command}"))
        }
        "unix" => Some(format!("{program} -s {rest} {command}")),
        _ => None,
    }
}

/// How it is.
pub(in crate::cli::doctor) fn vitals(facts: &Facts, findings: &mut Findings, rights: &mut Rights) {
    match &facts.vitals {
        Err(error) => {
            let what = format!("the store {} does not say how it is", plain(&facts.store));
            let mut finding = Finding::new(Severity::Warning, "store-silent", what, plain(&error.chain_text()));
            finding.fix.extend(error.help_text().map(plain));
            findings.push(finding);
        }
        Ok(Vitals::Redis(vitals)) => redis(vitals, &facts.store, findings, rights),
        Ok(Vitals::Embedded(vitals)) => embedded(vitals, findings, rights),
    }
}

fn redis(vitals: &RedisVitals, place: &str, findings: &mut Findings, rights: &mut Rights) {
    let place = plain(place);
    let setting = |name: &str, value: &str| {
        let command = format!("CONFIG SET {name} {value}");
        cli(&place, &command).unwrap_or(command)
    };
    let server = if vitals.server.is_empty() { "the server".to_owned() } else { plain(&vitals.server) };
    if vitals.answer_us > SLOW {
        let what = format!("{place} takes {} ms for an answer", vitals.answer_us / 1000);
        let why = "every step of every run waits for it; a slow command, a full processor or a long way makes it slow";
        let finding = Finding::new(Severity::Warning, "store-slow", what, why);
        findings.push(finding.fix(cli(&place, "SLOWLOG GET 10").unwrap_or_else(|| "SLOWLOG GET 10".to_owned())));
    } else {
        let took = vitals.answer_us as f64 / 1000.0;
        right(rights, "store", format!("{server} at {place} answers in {took:.1} ms"));
    }
    role(vitals, &place, findings);
    memory(vitals, &place, &setting, findings, rights);
    file(vitals, &place, &setting, findings, rights);
    clock(vitals.clock_ahead_ms, findings, rights);
    if let (Some(clients), Some(limit)) = (vitals.clients, vitals.clients_limit)
        && clients.saturating_mul(10) > limit.saturating_mul(9)
    {
        let what = format!("{place} has {clients} clients and takes {limit} at most");
        let why = "the next conductor or producer may be refused";
        let finding = Finding::new(Severity::Warning, "store-clients", what, why);
        findings.push(finding.fix(setting("maxclients", &(limit * 2).to_string())));
    }
}

fn role(vitals: &RedisVitals, place: &str, findings: &mut Findings) {
    if vitals.loading {
        let what = format!("{place} is loading its data");
        let finding =
            Finding::new(Severity::Critical, "store-loading", what, "it was started a moment ago; wait for it");
        findings.push(finding.stops(rank::STORE, format!("Nothing moves: {place} is loading its data.")));
    }
    if vitals.role.as_deref() == Some("slave") {
        let what = format!("{place} is a replica and cannot be written to");
        let why = "a failover has made another server the master, or `store:` names the wrong one";
        let finding = Finding::new(Severity::Critical, "store-replica", what, why);
        let finding =
            finding.fix("name the master in `store:`, or use redis+sentinel://HOST,HOST/MASTER, which follows it");
        findings.push(finding.stops(rank::STORE, format!("Nothing moves: {place} is a replica and takes no changes.")));
    }
}

fn memory(
    vitals: &RedisVitals,
    place: &str,
    setting: &dyn Fn(&str, &str) -> String,
    findings: &mut Findings,
    rights: &mut Rights,
) {
    let limit = vitals.memory_limit.filter(|limit| *limit > 0);
    let policy = vitals.eviction.as_deref().filter(|policy| *policy != "noeviction");
    if let (Some(policy), Some(_)) = (policy, limit) {
        let evicted = vitals.evicted.unwrap_or(0);
        let (severity, what) = match evicted {
            0 => (Severity::Warning, format!("{place} may evict vCons and queues: maxmemory-policy is {policy}")),
            count => (Severity::Critical, format!("{place} has evicted {count} keys since its start ({policy})")),
        };
        let why =
            "an evicted key is a lost conversation or list; a server that is full should refuse what is new instead";
        let finding = Finding::new(severity, "store-evicts", what, why);
        findings.push(finding.fix(setting("maxmemory-policy", "noeviction")));
    }
    let (Some(used), Some(most)) = (vitals.memory, limit.or(vitals.machine_memory)) else { return };
    let part = used as f64 / most.max(1) as f64;
    let of = if limit.is_some() { "of its maxmemory" } else { "of its machine's memory" };
    if part < NEARLY_FULL {
        return right(rights, "memory", format!("{} used, {:.0} % {of}", bytes(used), part * 100.0));
    }
    let what = format!("{place} uses {:.0} % {of}: {} of {}", part * 100.0, bytes(used), bytes(most));
    let why = "when it is full it refuses every change (OOM), and work waits until there is room";
    let full = part >= FULL;
    let severity = if full { Severity::Critical } else { Severity::Warning };
    let mut finding = Finding::new(severity, "store-memory", what, why);
    if limit.is_some() {
        finding = finding.fix(setting("maxmemory", &(most.saturating_mul(2)).to_string()));
    }
    finding = finding.fix("vconductor dlq list   # dead letters keep their vCons; purge what nobody will mend");
    if full {
        finding = finding.stops(rank::STORE_FULL, format!("Work stops: {place} has no memory left."));
    }
    findings.push(finding);
}

fn file(
    vitals: &RedisVitals,
    place: &str,
    setting: &dyn Fn(&str, &str) -> String,
    findings: &mut Findings,
    rights: &mut Rights,
) {
    let aof = vitals.write_failed.iter().any(|what| what == "aof");
    let rdb = vitals.write_failed.iter().any(|what| what == "rdb");
    let refuses = aof || rdb && vitals.stops_on_failed_snapshot != Some(false);
    if aof || rdb {
        let what =
            format!("{place} could not write its {} to the disk", if aof { "append-only file" } else { "snapshot" });
        let why = match refuses {
            true => "it refuses every change until it can (MISCONF); most often its disk is full",
            false => "what it holds would be gone with it; most often its disk is full",
        };
        let severity = if refuses { Severity::Critical } else { Severity::Warning };
        let mut finding = Finding::new(severity, "store-disk", what, why)
            .fix("df -h   # on the server's machine, and its log says why; free space there")
            .fix(cli(place, "BGSAVE").unwrap_or_else(|| "BGSAVE".to_owned()));
        if refuses {
            finding = finding.stops(rank::STORE_FULL, format!("Work stops: {place} cannot write to its disk."));
        }
        findings.push(finding);
    }
    match (vitals.file, vitals.file_sync.as_deref()) {
        (Some(false), _) => {
            let what = format!("{place} keeps no append-only file");
            let why = "when the server crashes, everything since its last snapshot is lost: vCons, lists and runs";
            let finding = Finding::new(Severity::Warning, "store-no-file", what, why);
            findings.push(finding.fix(setting("appendonly", "yes")).fix(setting("appendfsync", "always")));
        }
        (Some(true), Some(sync)) if sync != "always" => {
            let what = format!("{place} writes its file with appendfsync {sync}");
            let why = "a crash of the server may lose its last second; with `always` it loses nothing, at some speed";
            let finding = Finding::new(Severity::Note, "store-file-sync", what, why);
            findings.push(finding.fix(setting("appendfsync", "always")));
        }
        (Some(true), Some(_)) => right(rights, "file", "append-only file on the disk before each answer"),
        _ => {
            let what = format!("{place} does not say how it keeps its data");
            let why = "this user may not use CONFIG GET; without it nobody can tell what a crash would cost";
            let finding = Finding::new(Severity::Note, "store-file-unknown", what, why);
            findings.push(finding.fix("ACL SETUSER <user> +config|get +info"));
        }
    }
}

fn clock(ahead: i64, findings: &mut Findings, rights: &mut Rights) {
    if ahead.abs() < CLOCKS_DIFFER {
        return right(rights, "clock", "the store's clock and this machine's agree");
    }
    let severity = if ahead.abs() >= CLOCKS_HARM { Severity::Warning } else { Severity::Note };
    let seconds = ahead.abs() as f64 / 1000.0;
    let how = if ahead > 0 { "ahead of" } else { "behind" };
    let what = format!("the store's clock is {seconds:.1} s {how} this machine's");
    let why = "the store's clock counts for leases and retries; times in logs do not fit together";
    let finding = Finding::new(severity, "clock-differs", what, why);
    findings.push(finding.fix("timedatectl status   # on both machines: is the clock synchronised?"));
}

fn embedded(vitals: &EmbeddedVitals, findings: &mut Findings, rights: &mut Rights) {
    let place = plain(&vitals.directory.display().to_string());
    match &vitals.damage {
        Some(faults) if faults.is_empty() => {
            right(rights, "file", format!("{place}: {}, a quick check finds it sound", bytes(vitals.file_bytes)));
        }
        Some(faults) => {
            let what = format!("the file of the store {place} is damaged");
            let why = faults.iter().map(|fault| plain(fault)).collect::<Vec<_>>().join("; ");
            let finding = Finding::new(Severity::Critical, "store-damaged", what, why)
                .fix(format!("systemctl stop vconductor; cp -a {place} {place}.damaged   # keep what is there"))
                .fix(format!(
                    "sqlite3 {place}/vconductor.db .recover | sqlite3 {place}/recovered.db   # or restore a back-up"
                ));
            findings.push(finding.stops(rank::STORE, format!("The file of the store {place} is damaged.")));
        }
        None => {
            let what = format!("the check of {place} was not finished in time ({})", bytes(vitals.file_bytes));
            let finding = Finding::new(Severity::Note, "store-unchecked", what, "a large file takes longer");
            findings.push(finding.fix("vconductor doctor --patience 10m"));
        }
    }
    let (free, disk) = (vitals.free_bytes, vitals.disk_bytes.max(1));
    let left = format!("{} of {} left on the disk of {place}", bytes(free), bytes(disk));
    if free < NO_SPACE {
        let why = "what comes in is refused, and runs wait, until there is room; nothing is half written";
        let finding =
            Finding::new(Severity::Critical, "store-disk", format!("only {left}"), why).fix(format!("df -h {place}"));
        let sentence = format!("Work stops: the disk of the store {place} is full.");
        findings.push(finding.stops(rank::STORE_FULL, sentence));
    } else if free < LITTLE_SPACE {
        let why = "a backlog of recordings fills that soon";
        findings.push(
            Finding::new(Severity::Warning, "store-disk", format!("only {left}"), why).fix(format!("df -h {place}")),
        );
    } else {
        right(rights, "disk", left);
    }
    if let Some(kind) = vitals.network {
        let what = format!("the store {place} lies on a network file system ({kind})");
        let why = "locks do not hold there as the store needs them: two conductors may work on one run, and the file may be damaged";
        let finding = Finding::new(Severity::Critical, "store-on-network", what, why);
        findings.push(finding.fix("move the directory to a local disk, or use a store on Redis for several machines"));
    }
    if vitals.log_bytes > LONG_LOG {
        let what = format!("the log of the store {place} has grown to {}", bytes(vitals.log_bytes));
        let why = "something reads the file without a pause, so that the log is never written back";
        findings
            .push(Finding::new(Severity::Warning, "store-log", what, why).fix(format!("lsof {place}/vconductor.db")));
    }
    if vitals.directory_mode & 0o001 != 0 && vitals.file_mode & 0o004 != 0 {
        let what = format!("everybody on this machine can read the conversations in {place}");
        let why = format!("the directory has the mode {:o} and the file {:o}", vitals.directory_mode, vitals.file_mode);
        let finding = Finding::new(Severity::Warning, "store-readable", what, why);
        findings.push(finding.fix(format!("chmod -R o-rwx {place}")));
    }
}
