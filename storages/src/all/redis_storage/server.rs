//! The connection: made at the first use, and again after it broke.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, Value};
use tokio::sync::Mutex;
use vconductor_core::Result;

use super::fault::fault;
use super::scripts::Script;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

pub(super) struct Server {
    client: Client,
    /// The server as people name it, without secrets.
    place: String,
    timeout: Duration,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Server {
    /// Opens no socket.
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self> {
        vconductor_core::tls::decide();
        let client = Client::open(url).map_err(|error| fault("Redis", error))?;
        let info = client.get_connection_info();
        let place = match info.redis_settings().db() {
            0 => format!("redis://{}", info.addr()),
            db => format!("redis://{}/{db}", info.addr()),
        };
        Ok(Server { client, place, timeout, connection: Mutex::default() })
    }

    pub(super) fn explain(&self, error: RedisError) -> vconductor_core::Error {
        fault(&self.place, error)
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref() {
            return Ok(connection.clone());
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(self.timeout));
        let connected = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = connected.map_err(|error| self.explain(error))?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    /// Sends commands in one flight; refusals of the server are among the answers.
    pub(super) async fn ask(&self, pipe: &Pipeline) -> Result<Vec<Value>> {
        if pipe.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.connection().await?;
        match connection.send_packed_commands(pipe, 0, pipe.len()).await {
            Ok(answers) => Ok(answers),
            Err(error) => {
                *self.connection.lock().await = None;
                Err(self.explain(error))
            }
        }
    }

    /// Calls a script, which the server may have forgotten.
    pub(super) async fn run(&self, script: &Script, keys: &[String], arguments: &[&[u8]]) -> Result<Value> {
        let answer = self.call(script.call(keys, arguments)).await?;
        let answer = if is_noscript(&answer) { self.call(script.whole(keys, arguments)).await? } else { answer };
        refused(&answer).map_or(Ok(answer), |error| Err(self.explain(error)))
    }

    async fn call(&self, command: Cmd) -> Result<Value> {
        let mut pipe = Pipeline::new();
        pipe.add_command(command);
        Ok(self.ask(&pipe).await?.pop().unwrap_or(Value::Nil))
    }
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
