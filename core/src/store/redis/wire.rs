//! Connections: one kind for each purpose, with its own time limit.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, Value, cmd, from_redis_value};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::address::Address;
use super::probe::Server;
use super::scripts::{self, Script};
use super::{Settings, fault};
use crate::error::{Error, Result};

/// How to reach the server.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) address: Arc<Address>,
    /// The server as people name it, without secrets.
    pub(super) place: String,
    connect: Duration,
    answer: Duration,
    bulk: Duration,
    /// For operations that need no state on their connection.
    desk: Mutex<Option<(MultiplexedConnection, Home)>>,
}

impl Wire {
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self> {
        let address = Address::parse(url)?;
        Ok(Wire {
            place: address.place.clone(),
            address: Arc::new(address),
            connect: settings.connect_timeout,
            answer: settings.response_timeout,
            bulk: settings.bulk_timeout,
            desk: Mutex::default(),
        })
    }

    /// Names the server as what it is.
    pub(super) fn found(&mut self, server: &Server) {
        if server.is_valkey() {
            for (scheme, own) in [("rediss", "valkeys"), ("redis", "valkey")] {
                if let Some(rest) = self.place.strip_prefix(scheme).filter(|rest| rest.starts_with([':', '+'])) {
                    self.place = format!("{own}{rest}");
                }
            }
        }
    }

    pub(super) fn explain(&self, error: RedisError) -> Error {
        fault::explain(error, &self.place)
    }

    /// A new connection whose answers are waited for at most so long.
    pub(super) async fn open(&self, answer: Duration) -> Result<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(self.connect)).set_response_timeout(Some(answer));
        let client = self.client().await?;
        let connected = client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connected.map_err(|error| self.explain(error))?;
        if self.address.moves() {
            // What a Sentinel names may just have stopped to be the master. A server that does not say is believed:
            // a replica refuses to write.
            let role = connection.send_packed_command(&cmd("ROLE")).await.map(list).unwrap_or_default();
            if role.into_iter().next().and_then(text).is_some_and(|role| role != "master") {
                return Err(fault::no_master(&self.place));
            }
        }
        Ok(connection)
    }

    /// Subscribes to a channel, over a connection of its own.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSubStream> {
        let client = self.client().await?;
        let subscribed = tokio::time::timeout(self.connect + self.answer, async {
            let mut subscription = client.get_async_pubsub().await?;
            subscription.subscribe(channel).await?;
            Ok(subscription.into_on_message())
        });
        let late = |_| Error::retryable(format!("{} did not answer in time", self.place));
        subscribed.await.map_err(late)?.map_err(|error| self.explain(error))
    }

    /// Says something on a channel; nobody has to hear it.
    pub(super) async fn publish(&self, channel: &str, message: &str) {
        let mut pipe = Pipeline::new();
        pipe.cmd("PUBLISH").arg(channel).arg(message);
        // A user may not be allowed to; what is said here is found without it, only later.
        drop(self.try_ask(&pipe).await);
    }

    /// The server to connect to now.
    pub(super) async fn client(&self) -> Result<Client> {
        let (address, patience) = (Arc::clone(&self.address), self.connect);
        let found = if address.moves() {
            tokio::task::spawn_blocking(move || address.client(patience))
                .await
                .map_err(|error| Error::retryable("the question to Sentinel was cut off").caused_by(error))?
        } else {
            address.client(patience)
        };
        found.map_err(|error| self.explain(error))
    }

    /// A connection for one large document. It is thrown away afterwards, with the buffers that it has grown.
    pub(super) async fn bulk(&self) -> Result<MultiplexedConnection> {
        self.open(self.bulk).await
    }

    /// A new connection for a lane.
    pub(super) async fn lane(&self) -> Result<MultiplexedConnection> {
        let mut connection = self.open(self.answer).await?;
        let mut pipe = Pipeline::new();
        for script in scripts::ALL {
            pipe.add_command(script.load());
        }
        send(&mut connection, &pipe).await.map_err(|error| self.explain(error))?;
        Ok(connection)
    }

    /// The shared connection.
    async fn desk(&self) -> Result<MultiplexedConnection> {
        let mut desk = self.desk.lock().await;
        if let Some((connection, _)) = desk.as_ref().filter(|(_, home)| !home.is_gone()) {
            return Ok(connection.clone());
        }
        let connection = self.lane().await?;
        *desk = Some((connection.clone(), Home::here()));
        Ok(connection)
    }

    /// Sends commands on the shared connection; any error of the server fails the whole.
    pub(super) async fn ask(&self, pipe: &Pipeline) -> Result<Vec<Value>> {
        let values = self.try_ask(pipe).await?;
        match values.iter().find_map(refused) {
            Some(error) => Err(self.explain(error)),
            None => Ok(values),
        }
    }

    /// Sends commands on the shared connection; errors of the server stay among the answers.
    pub(super) async fn try_ask(&self, pipe: &Pipeline) -> Result<Vec<Value>> {
        let mut connection = self.desk().await?;
        match send(&mut connection, pipe).await {
            Ok(values) => {
                if values.iter().any(is_elsewhere) {
                    *self.desk.lock().await = None;
                }
                Ok(values)
            }
            Err(error) => {
                // The next one connects anew.
                *self.desk.lock().await = None;
                Err(self.explain(error))
            }
        }
    }

    /// Sends one command on the shared connection.
    pub(super) async fn one(&self, command: Cmd) -> Result<Value> {
        let mut pipe = Pipeline::new();
        pipe.add_command(command);
        self.ask(&pipe).await.map(only)
    }

    /// Calls scripts on the shared connection, all in one flight.
    pub(super) async fn run(&self, script: &Script, keys: &[&str], arguments: &[Vec<String>]) -> Result<Vec<Value>> {
        let calls = |call: fn(&Script, &[&str]) -> Cmd, which: &mut dyn Iterator<Item = &Vec<String>>| {
            let mut pipe = Pipeline::new();
            for arguments in which {
                let mut call = call(script, keys);
                call.arg(arguments);
                pipe.add_command(call);
            }
            pipe
        };
        if arguments.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = self.try_ask(&calls(Script::call, &mut arguments.iter())).await?;
        let forgotten: Vec<usize> = (0..values.len()).filter(|index| is_noscript(&values[*index])).collect();
        if !forgotten.is_empty() {
            let mut again = forgotten.iter().map(|index| &arguments[*index]);
            let answers = self.try_ask(&calls(Script::whole, &mut again)).await?;
            for (index, answer) in forgotten.into_iter().zip(answers) {
                values[index] = answer;
            }
        }
        match values.iter().find_map(refused) {
            Some(error) => Err(self.explain(error)),
            None => Ok(values),
        }
    }
}

/// The runtime that a connection was made on and dies with. A store outlives the threads of an engine.
#[derive(Debug)]
pub(super) struct Home(JoinHandle<()>);

impl Home {
    pub(super) fn here() -> Self {
        Home(tokio::spawn(std::future::pending()))
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a pipeline in one flight.
pub(super) async fn send(
    connection: &mut MultiplexedConnection,
    pipe: &Pipeline,
) -> std::result::Result<Vec<Value>, RedisError> {
    if pipe.is_empty() {
        return Ok(Vec::new());
    }
    connection.send_packed_commands(pipe, 0, pipe.len()).await
}

/// The error of the server in an answer.
pub(super) fn refused(value: &Value) -> Option<RedisError> {
    match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    }
}

/// Whether the server does not know a script any more.
pub(super) fn is_noscript(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// Whether the server says that another one is the master now: the next command needs a new connection.
pub(super) fn is_elsewhere(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if matches!(error.code(), "READONLY" | "MASTERDOWN"))
}

fn only(mut values: Vec<Value>) -> Value {
    values.pop().unwrap_or(Value::Nil)
}

/// A number in an answer; 0 for none.
pub(super) fn number(value: &Value) -> i64 {
    if let Value::Int(number) = value {
        return *number;
    }
    from_redis_value::<Option<f64>>(value.clone()).ok().flatten().map_or(0, |number| number as i64)
}

/// A number in an answer, if there is one.
pub(super) fn maybe_number(value: &Value) -> Option<i64> {
    from_redis_value::<Option<f64>>(value.clone()).ok().flatten().map(|number| number as i64)
}

/// A text in an answer, if there is one.
pub(super) fn text(value: Value) -> Option<String> {
    from_redis_value(value).ok()
}

/// The parts of an answer.
pub(super) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) | Value::Set(values) => values,
        _ => Vec::new(),
    }
}
