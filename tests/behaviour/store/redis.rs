//! The store on Redis as a backend: a private server for each trial.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use vconductor_core::clock::{Clock, Millis, SystemClock};
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{ProcessId, Store};
use vconductor_tests::servers::redis::RedisServer;

use crate::backend::{Backend, DEAD_LETTER_KEEP, Instance, LEASE};

pub(crate) struct Redis;

#[async_trait]
impl Backend for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn open(&self) -> Box<dyn Instance> {
        Box::new(Server::open(Arc::new(RedisServer::start())).await)
    }
}

/// The same, where documents are RedisJSON values.
pub(crate) struct RedisJson;

#[async_trait]
impl Backend for RedisJson {
    fn name(&self) -> &'static str {
        "redis_json"
    }

    /// RedisJSON writes texts anew.
    fn leaves_out(&self, case: &str) -> bool {
        case == "a_document_is_kept_byte_for_byte"
    }

    async fn open(&self) -> Box<dyn Instance> {
        Box::new(Server::open(Arc::new(RedisServer::with_json())).await)
    }
}

/// An empty store on a server, with a clock that can be moved ahead of the server's.
pub(crate) struct Server {
    server: Arc<RedisServer>,
    settings: Settings,
    store: Option<Arc<RedisStore>>,
}

impl Server {
    pub(crate) async fn open(server: Arc<RedisServer>) -> Self {
        redis::cmd("FLUSHALL").exec(&mut server.connect()).expect("an empty server");
        let settings = Settings {
            lease: LEASE,
            poison_at: 3,
            dead_letter_keep: Some(DEAD_LETTER_KEEP),
            clock_shift: Arc::new(AtomicI64::new(0)),
            ..Settings::default()
        };
        let store = Some(connect(&server, &settings).await);
        Server { server, settings, store }
    }

    fn redis(&self) -> &Arc<RedisStore> {
        self.store.as_ref().expect("the store is open outside of reopen")
    }
}

async fn connect(server: &RedisServer, settings: &Settings) -> Arc<RedisStore> {
    RedisStore::connect(&server.url(), settings.clone()).await.expect("a store")
}

#[async_trait]
impl Instance for Server {
    fn store(&self) -> Arc<dyn Store> {
        Arc::<RedisStore>::clone(self.redis())
    }

    async fn another(&self) -> Arc<dyn Store> {
        connect(&self.server, &self.settings).await
    }

    fn now(&self) -> Millis {
        SystemClock.now() + self.settings.clock_shift.load(Ordering::SeqCst)
    }

    /// Shifts the store's clock and shortens all times to live, as if a conductor had swept all the while.
    async fn advance(&self, by: Duration) {
        self.redis().protect(by + Duration::from_secs(60)).await.expect("a sweep");
        let by = i64::try_from(by.as_millis()).expect("a time");
        self.settings.clock_shift.fetch_add(by, Ordering::SeqCst);
        let mut shorten = redis::cmd("EVAL");
        shorten
            .arg(
                "for _, key in ipairs(redis.call('KEYS', '*')) do
                   local left = redis.call('PTTL', key)
                   if left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[1])) end
                 end",
            )
            .arg(0)
            .arg(by);
        shorten.exec(&mut self.server.connect()).expect("time passes");
    }

    fn turn_back(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).expect("a time");
        self.settings.clock_shift.fetch_sub(by, Ordering::SeqCst);
    }

    async fn reopen(&mut self) {
        self.store = None;
        for process in redis::cmd("ZRANGE")
            .arg("vconductor:processes")
            .arg(0)
            .arg(-1)
            .query::<Vec<String>>(&mut self.server.connect())
            .expect("the processes")
        {
            self.kill(&ProcessId(process)).await;
        }
        self.store = Some(connect(&self.server, &self.settings).await);
    }

    /// What a process that is gone leaves behind once its lease is over.
    async fn kill(&self, process: &ProcessId) {
        redis::cmd("ZADD")
            .arg("vconductor:processes")
            .arg(-1)
            .arg(&process.0)
            .exec(&mut self.server.connect())
            .expect("a lease that is over");
    }
}
