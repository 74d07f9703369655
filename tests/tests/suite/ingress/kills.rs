//! A conductor that is killed between any two steps. The sender repeats only what was not answered 2xx.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vconductor_tests::stage::{Stage, uuid, vcon};
use vconductor_tests::vendors::Vendor;
use vconductor_tests::vendors::media_host::MediaHost;

use super::door::recording;

/// Recordings that are told of.
const RECORDINGS: usize = 12;

/// A conductor with its ingress, in a process of its own.
struct Conductor {
    child: Child,
    url: String,
}

impl Conductor {
    fn start(stage: &Stage, kill_at: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
        command.arg("run").arg(stage.folder().join("chain.yml"));
        command.args(["--http", "127.0.0.1:0", "--store", &store(stage)]);
        command.env("CONSERVER_API_TOKEN", "key").current_dir(stage.folder());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(point) = kill_at {
            command.env("VCONDUCTOR_KILL_AT", point);
        }
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let url = lines.find_map(|line| Some(line.ok()?.split_once("http://")?.1.trim().to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        Conductor { child, url: format!("http://{}/ingress/main", url.expect("the start line says where")) }
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        // It may have been killed already.
        self.child.kill().unwrap_or_default();
        self.child.wait().expect("it ends");
    }
}

fn store(stage: &Stage) -> String {
    format!("embedded:{}", stage.folder().join("store").display())
}

fn configuration(stage: &Stage, module: &str, options: &Value) {
    let text = format!(
        "http: {{allow: [127.0.0.1], allow_http: true}}\ningress:\n  main: {{module: {module}, list: calls, options: \
         {options}}}\nlinks: {{}}\nchains:\n  c: {{ingress_lists: [calls], egress_lists: [out], links: []}}\n"
    );
    std::fs::write(stage.folder().join("chain.yml"), text).expect("a configuration");
}

/// Whether it was answered 2xx.
async fn post(client: &reqwest::Client, url: &str, body: &str) -> bool {
    let request = client.post(url).bearer_auth("t").header("content-type", "application/json").body(body.to_owned());
    request.send().await.is_ok_and(|answer| answer.status().is_success())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_recording_is_there_once_wherever_the_kill_falls() {
    let points = [
        "ingress_stored:1",
        "ingress_stored:5",
        "ingress_fetched:3",
        "ingress_noted:1",
        "ingress_noted:4",
        "ingress_made:2",
    ];
    for point in points {
        let stage = Stage::new();
        let options = json!({"map": ".body", "token": "t", "media_hosts": ["127.0.0.1"]});
        configuration(&stage, "ingress.generic", &options);
        let host = MediaHost::default();
        (0..RECORDINGS).for_each(|number| host.files().put(&format!("/{number}.wav"), recording(1)));
        let host = Vendor::start(host).await;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().expect("a client");
        let mut conductor = Conductor::start(&stage, Some(point));
        let started = Instant::now();
        for number in 0..RECORDINGS {
            let url = format!("{}/{number}.wav", host.url);
            let body = json!({"id": number, "from": "+15550100", "to": "+15550101", "start": 1_784_019_600 + number, "recording": url});
            while !post(&client, &conductor.url, &body.to_string()).await {
                assert!(started.elapsed() < Duration::from_secs(60), "{point}: not taken");
                if conductor.child.try_wait().expect("a state").is_some() {
                    conductor = Conductor::start(&stage, None);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        // Killed in the background: somebody must come and go on.
        while !stage.pending("ingress:main").await.is_idle() || !stage.pending("calls").await.is_idle() {
            assert!(started.elapsed() < Duration::from_secs(60), "{point}: still at work");
            if conductor.child.try_wait().expect("a state").is_some() {
                conductor = Conductor::start(&stage, None);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(conductor);
        let out = stage.take("out").await;
        assert!(out.values().all(|times| *times == 1), "{point}: {out:?}");
        let mut starts = BTreeSet::new();
        for uuid in out.keys() {
            starts.insert(stage.document(uuid).await["dialog"][0]["start"].to_string());
        }
        assert_eq!((out.len(), starts.len()), (RECORDINGS, RECORDINGS), "{point}");
        assert!(stage.dead("DLQ:ingress:main").await.is_empty(), "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_taken_once_wherever_the_kill_falls() {
    for point in ["ingress_spooled:1", "ingress_spooled:5", "ingress_fetched:2", "ingress_noted:3", "ingress_made:1"] {
        let stage = Stage::new();
        let folder = stage.folder().join("spool");
        std::fs::create_dir(&folder).expect("a folder");
        let options = json!({"folder": folder, "afterwards": "delete", "settled_after": 0});
        configuration(&stage, "ingress.spool", &options);
        for number in 0..RECORDINGS {
            std::fs::write(folder.join(format!("{number}.vcon")), vcon(&uuid(number as u32))).expect("a file");
        }
        let mut conductor = Conductor::start(&stage, Some(point));
        let started = Instant::now();
        let is_empty = || std::fs::read_dir(&folder).expect("a folder").next().is_none();
        while !is_empty() || !stage.pending("calls").await.is_idle() {
            assert!(started.elapsed() < Duration::from_secs(60), "{point}: still at work");
            if conductor.child.try_wait().expect("a state").is_some() {
                conductor = Conductor::start(&stage, None);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(conductor);
        let out = stage.take("out").await;
        let expected = (0..RECORDINGS).map(|number| (uuid(number as u32), 1)).collect();
        assert_eq!(out, expected, "{point}");
    }
}
