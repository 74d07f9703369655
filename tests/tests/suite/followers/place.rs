//! A conductor of its own, in a process of its own, that follows another server.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use vconductor_core::store::Store;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::Stage;

/// A place for a follower.
pub(crate) struct Place {
    pub(crate) stage: Stage,
    url: String,
    _server: Option<RedisServer>,
}

impl Place {
    /// On an embedded store.
    pub(crate) fn embedded() -> Self {
        let stage = Stage::new();
        let url = format!("embedded:{}", stage.folder().join("store").display());
        Place { stage, url, _server: None }
    }

    /// On a Redis of its own.
    pub(crate) async fn redis() -> Self {
        let server = RedisServer::durable();
        let settings = Settings::default();
        let store = RedisStore::connect(&server.url(), settings).await.expect("a store");
        Place { stage: Stage::on(store as Arc<dyn Store>), url: server.url(), _server: Some(server) }
    }

    /// The command of a conductor that follows `url`.
    pub(crate) fn conductor(&self, url: &str, token: &str, kill_at: Option<&str>) -> Command {
        let text = format!(
            "links: {{}}\nchains:\n  c: {{ingress_lists: [in], egress_lists: [out], links: []}}\nfollowers:\n  north:\n    \
             url: {url}\n    egress_list: done\n    follower_ingress_list: in\n    auth_token: {token}\n    \
             pulling_interval: 0.05\n    fetch_vcon_limit: 7\n"
        );
        let config = self.stage.folder().join("chain.yml");
        std::fs::write(&config, text).expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
        command.arg("run").arg(config).args(["--store", &self.url, "--until-idle"]);
        command.current_dir(self.stage.folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(point) = kill_at {
            command.env("VCONDUCTOR_KILL_AT", point);
        }
        command
    }

    /// Starts it; ended when dropped.
    pub(crate) fn start(&self, url: &str, token: &str) -> Running {
        let mut command = self.conductor(url, token, None);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().expect("it starts"))
    }

    /// Runs it until nothing is left to do, or until it is killed.
    pub(crate) async fn run(&self, url: &str, token: &str, kill_at: Option<&str>) -> Output {
        let mut command = self.conductor(url, token, kill_at);
        tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends")
    }

    /// How often each vCon came out of the chain.
    pub(crate) async fn out(&self) -> BTreeMap<String, usize> {
        self.stage.take("out").await
    }
}

/// A conductor that runs
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().unwrap_or_default();
        self.0.wait().expect("it ends");
    }
}

/// Whether it was killed.
pub(crate) fn was_killed(output: &Output) -> bool {
    output.status.code().is_none()
}
