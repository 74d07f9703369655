//! What is no rate: latency, start-up, memory.

use std::path::Path;
use std::time::{Duration, Instant};

use redis::Pipeline;
use redis::aio::MultiplexedConnection;

use crate::conductor::{Conductor, tags};
use crate::load::{Outcome, USUAL, connect, document, fill, length, median, server, uuid};

async fn give(connection: &mut MultiplexedConnection, number: usize, size: usize) -> Outcome {
    redis::cmd("SET").arg(format!("vcon:{}", uuid(number))).arg(document(number, size)).exec_async(connection).await?;
    Ok(())
}

/// From a producer's `RPUSH` to the uuid on the egress list, on an idle system.
pub(crate) async fn latency(binary: &Path) -> Outcome {
    const COUNT: usize = 2000;
    let server = server();
    let mut connection = connect(&server).await?;
    let mut conductor = Conductor::start(binary, &tags(1), &server)?;
    let mut times = Vec::new();
    for number in 0..COUNT {
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
    let mut times = times.split_off(100);
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[times.len() * part / 100];
    println!("latency, idle, RPUSH to egress: p50 {:.2} ms, p99 {:.2} ms", at(50), at(99));
    Ok(())
}

pub(crate) async fn startup(binary: &Path) -> Outcome {
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
    println!("process start to first vCon done: {:.0} ms (median of 11)", median(times));
    Ok(())
}

pub(crate) async fn memory(binary: &Path) -> Outcome {
    const COUNT: usize = 200_000;
    let server = server();
    let mut connection = connect(&server).await?;
    let mut conductor = Conductor::start(binary, &tags(1), &server)?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = conductor.resident()?;
    // The backlog waits until all of it is there, so that the conductor works at its full rate.
    redis::cmd("SADD").arg("vconductor:paused").arg("in").exec_async(&mut connection).await?;
    fill(&server, COUNT, USUAL).await?;
    redis::cmd("SREM").arg("vconductor:paused").arg("in").exec_async(&mut connection).await?;
    let load = peak(&mut conductor, &mut connection, COUNT).await?;
    give(&mut connection, COUNT, 50 << 20).await?;
    redis::cmd("RPUSH").arg("in").arg(uuid(COUNT)).exec_async(&mut connection).await?;
    let large = peak(&mut conductor, &mut connection, COUNT + 1).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let after = conductor.resident()?;
    println!(
        "resident memory: idle {idle} MiB, under load A {load} MiB, one 50 MB vCon {large} MiB, 10 s later {after} MiB"
    );
    Ok(())
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
