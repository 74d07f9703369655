//! Conductors as processes of their own on one Redis: they share the work, and each of them can be stopped, cut off, told
//! to end or lied to about the time without anything being lost or done twice.

mod away;
mod desk;
mod ends;
mod expiry;
mod lease;
mod night;
mod share;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vconductor_tests::conductors::{Conductor, Launch};
use vconductor_tests::recorder::Recorder;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::vcon;

/// What a test waits for comes within this time, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// A Redis, a folder, and a recorder of calls.
struct Scene {
    server: RedisServer,
    folder: TempDir,
    recorder: Recorder,
}

impl Scene {
    async fn on(server: RedisServer) -> Self {
        let recorder = Recorder::start(Duration::from_millis(15)).await.expect("a recorder");
        Scene { server, folder: tempfile::tempdir().expect("a folder"), recorder }
    }

    async fn new() -> Self {
        Scene::on(RedisServer::start()).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A conductor on this configuration, to be started.
    fn launch(&self, configuration: &str) -> Launch {
        let config = self.path(&format!("{:016x}.yml", fastrand::u64(..)));
        std::fs::write(&config, configuration).expect("a configuration");
        Launch::new(Path::new(env!("CARGO_BIN_EXE_conductor_under_test")), &config, &self.server.url())
    }

    /// Stores documents and pushes their uuids as a producer does that knows nothing but Redis.
    fn push(&self, list: &str, uuids: &[String]) {
        for uuids in uuids.chunks(1000) {
            let mut pipe = redis::pipe();
            for uuid in uuids {
                pipe.cmd("SET").arg(format!("vcon:{uuid}")).arg(vcon(uuid)).ignore();
            }
            pipe.cmd("RPUSH").arg(list).arg(uuids).ignore();
            pipe.exec(&mut self.server.connect()).expect("a push");
        }
    }

    fn length(&self, list: &str) -> usize {
        self.number(&["LLEN", list])
    }

    /// A number that the server answers.
    fn number(&self, words: &[&str]) -> usize {
        let answer = self.server.cli(words);
        answer.parse().unwrap_or_else(|_| panic!("{words:?}: {answer}"))
    }

    fn list(&self, list: &str) -> Vec<String> {
        redis::cmd("LRANGE").arg(list).arg(0).arg(-1).query(&mut self.server.connect()).expect("a list")
    }

    /// How often the recorder answered a path.
    fn answered(&self, path: &str) -> usize {
        self.recorder.calls().iter().filter(|call| call.answered && call.path == path).count()
    }

    /// Waits until so many conductors are registered.
    async fn registered(&self, count: usize) {
        until("they are registered", || self.number(&["ZCARD", "vconductor:processes"]) >= count).await;
    }

    /// How many members every list and set has, for a test that fails.
    fn state(&self) -> String {
        let script = "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do local kind = redis.call('TYPE', key).ok \
            local count = kind == 'list' and redis.call('LLEN', key) or kind == 'zset' and redis.call('ZCARD', key) \
            or kind == 'set' and redis.call('SCARD', key) if count then all[#all + 1] = key .. '=' .. count end end \
            return table.concat(all, ' ')";
        self.server.cli(&["EVAL", script, "0"])
    }

    /// Nothing of a run, claim or process is left behind.
    fn is_clean(&self) {
        for pattern in ["*:wip:*", "*:wips", "*:writer", "*:returned", "*:ledger:*", "*:run:*", "vconductor:commits:*"]
        {
            assert_eq!(self.server.cli(&["KEYS", pattern]), "", "left behind");
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "after {LIMIT:?} still not: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ends a conductor that has nothing to do, which takes no time.
fn end(mut conductor: Conductor) {
    conductor.signal("TERM");
    let status = conductor.wait(LIMIT);
    assert!(status.success(), "{status}: {}", conductor.tail());
}

/// A chain from `in` to `out` whose one link calls the recorder.
fn calling(scene: &Scene, options: &str) -> String {
    format!(
        "links:\n  call: {{module: links.webhook, options: {{webhook-urls: [\"{}\"], headers: {{x-conductor: \"${{env:CONDUCTOR}}\"}}}}}}\n\
         chains:\n  c: {{ingress_lists: [in], egress_lists: [out], links: [call], retry: {{attempts: 20, base: 50ms, cap: 200ms}}{options}}}\n",
        scene.recorder.url("/call")
    )
}
