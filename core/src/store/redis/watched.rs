//! Transactions of the desk under `WATCH`, one after another on a connection of their own.

use redis::Pipeline;
use redis::Value;
use redis::aio::MultiplexedConnection;

use super::wire::{Home, refused, send};
use super::{Inner, fault};
use crate::error::{Error, Result};

/// How often a transaction is begun anew because something that it looked at changed.
const TRIES: usize = 50;

/// The connection, and the runtime it dies with.
#[derive(Debug)]
pub(super) struct Connection(MultiplexedConnection, Home);

/// What follows from what was looked at.
pub(super) enum Verdict<T> {
    /// Nothing is done.
    Leave(T),
    /// These commands, unless what was watched has changed meanwhile.
    Do(Pipeline, T),
}

/// Looks under `WATCH` of `keys`, decides, and does in one transaction what was decided. After an error of the connection
/// nobody knows whether it was done; `decide` must find out when it is asked again.
pub(super) async fn transact<T>(
    inner: &Inner,
    keys: &[String],
    look: &Pipeline,
    decide: impl Fn(&[Value]) -> Result<Verdict<T>>,
) -> Result<T> {
    let mut kept = inner.watched.lock().await;
    // Taken out: a connection that is left in the middle of something is dropped.
    let mut connection = match kept.take().filter(|Connection(_, home)| !home.is_gone()) {
        Some(connection) => connection,
        None => Connection(inner.wire.bulk().await?, Home::here()),
    };
    let explain = |error| inner.wire.explain(error);
    for _ in 0..TRIES {
        let mut pipe = Pipeline::new();
        pipe.cmd("WATCH").arg(keys);
        for command in look.cmd_iter() {
            pipe.add_command(command.clone());
        }
        let answers = send(&mut connection.0, &pipe).await.map_err(explain)?;
        if let Some(error) = answers.iter().find_map(refused) {
            return Err(explain(error));
        }
        let (commands, outcome) = match decide(&answers[1..])? {
            Verdict::Leave(outcome) => {
                let mut pipe = Pipeline::new();
                pipe.cmd("UNWATCH");
                send(&mut connection.0, &pipe).await.map_err(explain)?;
                *kept = Some(connection);
                return Ok(outcome);
            }
            Verdict::Do(commands, outcome) => (commands, outcome),
        };
        let mut pipe = Pipeline::new();
        pipe.cmd("MULTI");
        for command in commands.cmd_iter() {
            pipe.add_command(command.clone());
        }
        pipe.cmd("EXEC");
        let answers = send(&mut connection.0, &pipe).await.map_err(explain)?;
        if let Some(error) = answers.iter().find_map(refused) {
            return Err(explain(error));
        }
        match answers.last() {
            Some(Value::Nil) => {}
            Some(Value::Array(results)) => {
                *kept = Some(connection);
                return match results.iter().find_map(refused) {
                    Some(error) => Err(explain(error)),
                    None => Ok(outcome),
                };
            }
            _ => return Err(fault::odd("EXEC")),
        }
    }
    Err(Error::retryable("what a transaction looked at changed again and again"))
}
