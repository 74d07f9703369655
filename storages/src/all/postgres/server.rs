//! The connections: a pool that is made at the first use.

use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::sync::OnceCell;
use vconductor_core::{Error, Result};

use super::fault::{fault, no_connection};
use super::options::{SslMode, Target};
use super::tls::connector;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// When a silent connection is asked whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

pub(super) struct Server {
    target: Target,
    timeout: Duration,
    connections: usize,
    pool: OnceCell<Pool>,
}

impl Server {
    /// Opens no socket and reads no file.
    pub(super) fn new(mut target: Target, timeout: Duration, connections: usize) -> Self {
        target.config.connect_timeout(CONNECT).keepalives_idle(KEEPALIVE).tcp_user_timeout(timeout);
        Server { target, timeout, connections, pool: OnceCell::new() }
    }

    /// The server and database, without secrets.
    pub(super) fn place(&self) -> &str {
        &self.target.place
    }

    /// Lends a connection.
    pub(super) async fn lend(&self) -> Result<Lent<'_>> {
        let pool = self.pool.get_or_try_init(async || self.pool()).await?;
        let object = pool.get().await.map_err(|error| no_connection(self.place(), error))?;
        Ok(Lent { object: Some(object), waiting: AtomicBool::new(false), server: self })
    }

    fn pool(&self) -> Result<Pool> {
        let config = self.target.config.clone();
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if self.target.sslmode == SslMode::Disable {
            Manager::from_config(config, tokio_postgres::NoTls, recycling)
        } else {
            Manager::from_config(config, connector(&self.target)?, recycling)
        };
        // What we no longer wait for, the server ends too.
        let limit = format!("SET statement_timeout = {}", self.timeout.as_millis());
        let hook = Hook::async_fn(move |client, _| {
            let limit = limit.clone();
            Box::pin(async move { client.batch_execute(&limit).await.map_err(HookError::Backend) })
        });
        Pool::builder(manager)
            .max_size(self.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(self.timeout))
            .create_timeout(Some(CONNECT))
            .post_create(hook)
            .build()
            .map_err(|error| Error::configuration("the pool of connections cannot be made").caused_by(error))
    }
}

/// A connection of the pool. It goes back when it is dropped, unless an answer is still to come: then it is closed.
pub(super) struct Lent<'a> {
    object: Option<Object>,
    waiting: AtomicBool,
    server: &'a Server,
}

impl Lent<'_> {
    /// Waits for an answer, as long as the options allow.
    pub(super) async fn answer<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        let place = self.server.place();
        self.waiting.store(true, Ordering::Relaxed);
        let answer = tokio::time::timeout(self.server.timeout, work).await;
        match answer {
            Ok(answer) => {
                self.waiting.store(false, Ordering::Relaxed);
                answer.map_err(|error| fault(place, error))
            }
            Err(_) => Err(Error::retryable(format!("{place} did not answer within {:?}", self.server.timeout))
                .help("look whether the server is overloaded; option `timeout` is the longest time for an answer")),
        }
    }
}

impl Deref for Lent<'_> {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &tokio_postgres::Client {
        // Only `drop` takes it out.
        self.object.as_ref().expect("a connection that is lent is there")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && self.waiting.load(Ordering::Relaxed)
        {
            drop(Object::take(object));
        }
    }
}
