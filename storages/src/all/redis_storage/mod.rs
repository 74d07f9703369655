//! `storage.redis_storage`: one string key per vCon on a Redis or Valkey server.
#![cfg(feature = "redis_storage")]

mod fault;
mod keys;
mod options;
mod scripts;
mod server;
#[cfg(test)]
mod tests;
mod write;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, Pipeline, Value, cmd, from_redis_value};
use vconductor_core::config::Finding;
use vconductor_core::plugin::{Capabilities, ListPage, ListQuery, SaveItem, Storage, StoragePlugin};
use vconductor_core::{Result, config, register_storage};

use fault::odd;
use keys::Keys;
use options::Options;
use server::{Server, refused};

/// Keys that a listing looks at in one flight.
const PAGE: usize = 1000;

struct RedisStorage {
    server: Server,
    keys: Keys,
    /// How long a vCon is kept, in milliseconds; 0 is for ever.
    expires: u64,
}

register_storage!(RedisStorage);

impl StoragePlugin for RedisStorage {
    const MODULE: &'static str = "storage.redis_storage";
    const EXAMPLE: &'static str = "archive:\n  module: storage.redis_storage\n  options:\n    \
                                   redis_url: redis://archive.example.com:6379/0\n    prefix: vcon_storage\n    expires: 30d\n";
    type Options = Options;

    fn compatible(options: config::Options, findings: &mut Vec<Finding>) -> config::Options {
        options::as_vcon_server(options, findings)
    }

    fn new(_: &str, options: Options) -> Result<Self> {
        options.check()?;
        let server = Server::new(options.url()?.expose(), options.timeout.0)?;
        let expires = u64::try_from(options.expires.0.as_millis()).unwrap_or(u64::MAX);
        Ok(RedisStorage { server, keys: Keys::new(&options.prefix), expires })
    }
}

impl RedisStorage {
    /// Takes index entries out whose vCon is gone.
    async fn forget(&self, members: &[&String]) -> Result<()> {
        let mut pipe = Pipeline::new();
        for member in members {
            pipe.add_command(scripts::FORGET.call(&self.keys.of(keys::uuid_of(member)), &[member.as_bytes()]));
        }
        let answers = self.server.ask(&pipe).await?;
        if answers.iter().any(server::is_noscript) {
            let mut pipe = Pipeline::new();
            for member in members {
                pipe.add_command(scripts::FORGET.whole(&self.keys.of(keys::uuid_of(member)), &[member.as_bytes()]));
            }
            self.server.ask(&pipe).await?;
        }
        Ok(())
    }

    /// Sends one command.
    async fn one(&self, command: Cmd) -> Result<Value> {
        let mut pipe = Pipeline::new();
        pipe.add_command(command);
        let value = self.server.ask(&pipe).await?.pop().unwrap_or(Value::Nil);
        refused(&value).map_or(Ok(value), |error| Err(self.server.explain(error)))
    }
}

#[async_trait]
impl Storage for RedisStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities { lossless: true, read: true, delete: true, list: true, revisions: true }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        self.save_many(std::slice::from_ref(item)).await.pop().unwrap_or(Ok(()))
    }

    async fn save_many(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        write::save(&self.server, &self.keys, self.expires, items).await
    }

    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        let mut get = cmd("GET");
        get.arg(self.keys.document(uuid));
        let value = self.one(get).await?;
        from_redis_value::<Option<Vec<u8>>>(value).map(|found| found.map(Bytes::from)).map_err(|_| odd("GET"))
    }

    async fn delete(&self, uuid: &str) -> Result<bool> {
        let keys = self.keys.of(uuid);
        let deleted = self.server.run(&scripts::DELETE, &keys, &[]).await?;
        from_redis_value(deleted).map_err(|_| odd("a script"))
    }

    /// A vCon that has expired meanwhile is passed over, and its entry taken out.
    async fn list(&self, query: &ListQuery) -> Result<ListPage> {
        let limit = query.limit.max(1);
        let (mut from, to) = keys::range(query)?;
        let mut found: Vec<String> = Vec::new();
        // One more than asked for tells whether there is another page.
        while found.len() <= limit {
            let count = (limit + 1 - found.len()).clamp(16, PAGE);
            let mut range = cmd("ZRANGEBYLEX");
            range.arg(&self.keys.created).arg(&from).arg(&to).arg("LIMIT").arg(0).arg(count);
            let members: Vec<String> = from_redis_value(self.one(range).await?).map_err(|_| odd("ZRANGEBYLEX"))?;
            let Some(last) = members.last() else { break };
            from = [b"(", last.as_bytes()].concat();
            let mut pipe = Pipeline::new();
            for member in &members {
                pipe.cmd("EXISTS").arg(self.keys.document(keys::uuid_of(member)));
            }
            let mut gone = Vec::new();
            for (member, answer) in members.iter().zip(self.server.ask(&pipe).await?) {
                match refused(&answer) {
                    Some(error) => return Err(self.server.explain(error)),
                    None if answer == Value::Int(0) => gone.push(member),
                    None => found.push(member.clone()),
                }
            }
            if !gone.is_empty() {
                self.forget(&gone).await?;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| more).cloned();
        Ok(ListPage { uuids: found.iter().map(|member| keys::uuid_of(member).to_owned()).collect(), cursor })
    }

    /// Writes a vCon that nothing else looks at, and takes it out again.
    async fn health(&self) -> Result<()> {
        let (uuid, keys) = self.keys.probe();
        write::probe(&self.server, &keys, &uuid).await?;
        self.server.run(&scripts::DELETE, &keys.of(&uuid), &[]).await.map(drop)
    }
}
