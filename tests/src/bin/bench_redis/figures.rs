//! What is no rate: latency, start-up, memory.

use std::path::Path;
use std::time::{Duration, Instant};

use redis::Pipeline;
use redis::aio::MultiplexedConnection;

use crate::conductor::{Conductor, tags};
use crate::load::{Outcome, USUAL, connect, document, fill, length, median, server, uuid};
use crate::report::Line;

async fn give(connection: &mut MultiplexedConnection, number: usize, size: usize) -> Outcome {
    redis::cmd("SET").arg(format!("vcon:{}", uuid(number))).arg(document(number, size)).exec_async(connection).await?;
    Ok(())
}

/// From a producer's `RPUSH` to the uuid on the egress list, on an idle system.
pub(crate) async fn latency(binary: &Path, count: usize) -> Outcome<Vec<Line>> {
    let server = server();
    let mut connection = connect(&server).await?;
    let mut conductor = Conductor::start(binary, &tags(1), &server)?;
    let mut times = Vec::new();
    for number in 0..count {
        give(&mut connection, number, USUAL).await?;
        let started = Instant::now();
        let mut pipe = Pipeline::new();
        pipe.cmd("RPUSH").arg("in").arg(uuid(number));
        pipe.cmd("BLPOP").arg("out").arg(5);
        connection.send_packed_commands(&pipe, 0, 2).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    conductor.until(&mut connection, "out", 0).await?;
    // The first ones wait for the start.
    let mut times = times.split_off(count / 20);
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[times.len() * part / 100];
    let name = "latency, RPUSH to egress";
    Ok(vec![Line::new(name, "p50", at(50), "ms").goal("0.3 ms"), Line::new(name, "p99", at(99), "ms").goal("1 ms")])
}

pub(crate) async fn startup(binary: &Path) -> Outcome<Vec<Line>> {
    let mut times = Vec::new();
    for _ in 0..11 {
        let server = server();
        fill(&server, 1, USUAL).await?;
        let mut connection = connect(&server).await?;
        let started = Instant::now();
        let _conductor = Conductor::start(binary, &tags(1), &server)?;
        redis::cmd("BLPOP").arg("out").arg(20).exec_async(&mut connection).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(vec![Line::new("start to first vCon", "median of 11", median(times), "ms").goal("100 ms")])
}

pub(crate) async fn memory(binary: &Path, count: usize) -> Outcome<Vec<Line>> {
    let server = server();
    let mut connection = connect(&server).await?;
    let mut conductor = Conductor::start(binary, &tags(1), &server)?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = conductor.resident()?;
    // The backlog waits until all of it is there, so that the conductor works at its full rate.
    redis::cmd("SADD").arg("vconductor:paused").arg("in").exec_async(&mut connection).await?;
    fill(&server, count, USUAL).await?;
    redis::cmd("SREM").arg("vconductor:paused").arg("in").exec_async(&mut connection).await?;
    let load = peak(&mut conductor, &mut connection, count).await?;
    give(&mut connection, count, 50 << 20).await?;
    redis::cmd("RPUSH").arg("in").arg(uuid(count)).exec_async(&mut connection).await?;
    let large = peak(&mut conductor, &mut connection, count + 1).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let after = conductor.resident()?;
    let line = |subject, value: u64, goal| Line::new("resident memory", subject, value as f64, "MiB").goal(goal);
    Ok(vec![
        line("idle", idle, "30"),
        line("under load A", load, "100"),
        line("one 50 MB vCon", large, "280"),
        line("10 s later", after, "60"),
    ])
}

/// The most that was resident until `count` uuids are on the egress list.
async fn peak(conductor: &mut Conductor, connection: &mut MultiplexedConnection, count: usize) -> Outcome<u64> {
    let mut peak = 0;
    while length(connection, "out").await? < count {
        peak = peak.max(conductor.resident()?);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    conductor.until(connection, "out", count).await?;
    Ok(peak)
}
