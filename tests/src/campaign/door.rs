//! The HTTP API under what strangers and careless clients do: thousands of idle connections, heads and answers that go a byte
//! at a time, and more large uploads at once than memory may hold. Others are served all the while.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::stage::uuid;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const KEY: &str = "key-of-the-campaign";
/// How long the head of a call may take, by the server's default.
const HEAD: Duration = Duration::from_secs(30);
/// What one answer to others may take while all this goes on.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the server may take of memory, whatever is done to it: bodies, answers, and the documents that are being read.
const MEMORY: u64 = 3 << 30;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Connections on which nothing is ever sent.
    pub idle: usize,
    /// Connections that send a byte of a head each second, and as many that never read their answer.
    pub slow: usize,
    /// Uploads at the same time, and megabytes of each.
    pub uploads: (usize, usize),
}

/// What one part of it came to.
#[derive(Debug)]
pub struct Part {
    /// What was done.
    pub name: &'static str,
    /// The longest that somebody else waited for an answer.
    pub longest: Duration,
    /// How many answers that was measured with.
    pub asked: usize,
    /// The server's memory in bytes: now, and at most so far.
    pub memory: (u64, u64),
    /// What else is to be said.
    pub told: String,
    /// What must not be.
    pub breaches: Vec<String>,
}

/// A server of its own.
struct Server {
    child: Child,
    address: String,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the last part has noticed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(binary: &Path, folder: &Path) -> Outcome<Self> {
        let store = format!("embedded:{}", folder.join("store").display());
        let mut command = Command::new(binary);
        command.args(["serve", "--http", "127.0.0.1:0", "--store", &store]).current_dir(folder);
        command.env("CONSERVER_API_TOKEN", KEY).env_remove("REDIS_URL").env_remove("CONSERVER_CONFIG_FILE");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no output")?).lines();
        let address = lines.find_map(|line| Some(line.ok()?.split_once("http://")?.1.trim().to_owned()));
        // What it says from now on goes nowhere, but it must be able to say it.
        std::thread::spawn(move || lines.for_each(drop));
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
        Ok(Server { child, address: address.ok_or("it does not say where it listens")?, client })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Bytes of memory, now and at most.
    fn memory(&self) -> Outcome<(u64, u64)> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
            line.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes << 10)
        };
        Ok((of("VmRSS:"), of("VmHWM:")))
    }

    /// Asks as others do until `end`; the longest wait, how many were asked, and what went wrong.
    async fn others(&self, end: impl Future<Output = ()>) -> (Duration, usize, Vec<String>) {
        let (mut longest, mut asked, mut breaches) = (Duration::ZERO, 0, Vec::new());
        let mut end = std::pin::pin!(end);
        loop {
            let started = Instant::now();
            let call = self.client.get(self.url("/vcon?size=1")).header("x-conserver-api-token", KEY).send();
            let answer = tokio::time::timeout(PATIENCE * 5, call).await;
            let took = started.elapsed();
            (longest, asked) = (longest.max(took), asked + 1);
            if !matches!(&answer, Ok(Ok(answer)) if answer.status() == 200) || took > PATIENCE {
                breaches.push(format!("somebody else is answered {answer:?} after {took:?}"));
            }
            tokio::select! {
                () = &mut end => return (longest, asked, breaches),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }

    async fn part(
        &self,
        name: &'static str,
        attack: impl Future<Output = Outcome<(String, Vec<String>)>>,
    ) -> Outcome<Part> {
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        let others = self.others(async { drop(end.await) });
        let attack = async {
            let outcome = attack.await;
            // Nobody listens any more if asking has failed.
            ended.send(()).unwrap_or_default();
            outcome
        };
        let ((longest, asked, mut breaches), outcome) = tokio::join!(others, attack);
        let (told, more) = outcome?;
        breaches.extend(more);
        let memory = self.memory()?;
        if memory.1 > MEMORY {
            breaches.push(format!("it took {} MiB of memory", memory.1 >> 20));
        }
        Ok(Part { name, longest, asked, memory, told, breaches })
    }
}

/// Does all of it to a server of its own, and shows each part when it is done; how many breaches there were.
///
/// # Errors
/// What could not be set up.
pub async fn run(binary: &Path, size: Size, folder: &Path, show: impl Fn(&Part)) -> Outcome<usize> {
    let server = Server::start(binary, folder)?;
    let nothing = async || Ok((String::new(), Vec::new()));
    let mut breaches = 0;
    let mut ended = |part: Part| {
        show(&part);
        breaches += part.breaches.len();
    };
    ended(server.part("at rest", nothing()).await?);
    ended(server.part("idle connections", idle(&server, size.idle)).await?);
    ended(server.part("slow heads", slow_heads(&server, size.slow)).await?);
    ended(server.part("large uploads", uploads(&server, size.uploads)).await?);
    ended(server.part("slow readers", slow_readers(&server, size.slow.min(size.uploads.0 * 4))).await?);
    ended(server.part("afterwards", nothing()).await?);
    Ok(breaches)
}

/// Connections on which nothing comes; the server hangs up.
async fn idle(server: &Server, count: usize) -> Outcome<(String, Vec<String>)> {
    let mut open = Vec::with_capacity(count);
    let started = Instant::now();
    for _ in 0..count {
        open.push(TcpStream::connect(&server.address).await?);
    }
    let connected = started.elapsed();
    let memory = server.memory()?.0;
    let mut ends = JoinSet::new();
    for mut stream in open {
        ends.spawn(async move { tokio::time::timeout(HEAD * 2, stream.read(&mut [0; 64])).await.is_ok() });
    }
    let ended = ends.join_all().await.into_iter().filter(|ended| *ended).count();
    let told = format!("{count} connected in {connected:.1?}, {} MiB with them", memory >> 20);
    let breaches = (ended < count).then(|| format!("{} connections are never closed", count - ended));
    Ok((told, breaches.into_iter().collect()))
}

/// A byte of a head each second; the server hangs up when a head takes too long, however it comes.
async fn slow_heads(server: &Server, count: usize) -> Outcome<(String, Vec<String>)> {
    let mut ends = JoinSet::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(&server.address).await?;
        ends.spawn(async move {
            let started = Instant::now();
            let (mut reader, mut writer) = stream.split();
            let write = async {
                if writer.write_all(b"GET /vcon HTTP/1.1\r\nx-slow: ").await.is_err() {
                    return;
                }
                while started.elapsed() < HEAD * 2 {
                    if writer.write_all(b"a").await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            let mut answer = Vec::new();
            tokio::select! {
                () = write => {}
                _ = reader.read_to_end(&mut answer) => {}
            }
            started.elapsed()
        });
    }
    let times = ends.join_all().await;
    let longest = times.iter().max().copied().unwrap_or_default();
    let breaches = (longest > HEAD + Duration::from_secs(10)).then(|| format!("one is held for {longest:?}"));
    Ok((format!("{count}, the last cut off after {longest:.1?}"), breaches.into_iter().collect()))
}

/// Uploads at once, each given again until it is taken.
async fn uploads(server: &Server, (count, megabytes): (usize, usize)) -> Outcome<(String, Vec<String>)> {
    let filler = bytes::Bytes::from(vec![b'x'; megabytes << 20]);
    let mut posts = JoinSet::new();
    let started = Instant::now();
    for number in 0..count {
        let (client, url, filler) = (server.client.clone(), server.url("/vcon?ingress_lists=calls"), filler.clone());
        posts.spawn(async move {
            let id = uuid(u32::try_from(number)?);
            let head = format!(
                "{{\"vcon\":\"0.4.0\",\"uuid\":\"{id}\",\"created_at\":\"2026-01-02T03:04:05Z\",\"parties\":[],\"subject\":\""
            );
            let mut refused = 0_usize;
            loop {
                let parts = [bytes::Bytes::from(head.clone()), filler.clone(), bytes::Bytes::from_static(b"\"}")];
                let length: usize = parts.iter().map(bytes::Bytes::len).sum();
                let body = reqwest::Body::wrap_stream(futures_util::stream::iter(parts.map(Ok::<_, std::io::Error>)));
                let call = client.post(&url).header("x-conserver-api-token", KEY).header("content-length", length);
                match call.body(body).send().await {
                    Ok(answer) if answer.status() == 201 => return Ok::<_, Box<dyn Error + Send + Sync>>(refused),
                    Ok(answer) if answer.status() == 503 => {
                        let wait = answer.headers().get("retry-after").and_then(|wait| wait.to_str().ok()?.parse().ok());
                        tokio::time::sleep(Duration::from_secs(wait.ok_or("503 without Retry-After")?)).await;
                    }
                    Ok(answer) => return Err(format!("answered {}", answer.status()).into()),
                    // It was refused before all of it was sent.
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
                refused += 1;
            }
        });
    }
    let (mut refused, mut breaches) = (0, Vec::new());
    for post in posts.join_all().await {
        match post {
            Ok(times) => refused += times,
            Err(error) => breaches.push(format!("an upload is {error}")),
        }
    }
    let depth: serde_json::Value = server
        .client
        .get(server.url("/stats/queue?list_name=calls"))
        .header("x-conserver-api-token", KEY)
        .send()
        .await?
        .json()
        .await?;
    if depth["depth"].as_u64() != Some(count as u64) {
        breaches.push(format!("{count} were taken, but {} wait", depth["depth"]));
    }
    let told = format!("{count} of {megabytes} MB in {:.1?}, {refused} times told to come again", started.elapsed());
    Ok((told, breaches))
}

/// Asks for what does not fit into the buffers of a connection, and reads none of it.
async fn slow_readers(server: &Server, count: usize) -> Outcome<(String, Vec<String>)> {
    let mut ends = JoinSet::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(&server.address).await?;
        let path = format!("/vcon/{}", uuid(u32::try_from(number % count.min(4))?));
        let call = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-conserver-api-token: {KEY}\r\n\r\n");
        ends.spawn(async move {
            stream.write_all(call.as_bytes()).await?;
            tokio::time::sleep(HEAD + Duration::from_secs(15)).await;
            // What the buffers hold still comes, and then the end.
            let mut read = 0_usize;
            let mut buffer = vec![0; 1 << 16];
            loop {
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return Ok::<_, std::io::Error>(read),
                    Ok(more) => read += more,
                }
            }
        });
    }
    let (mut whole, mut breaches) = (0, Vec::new());
    for end in ends.join_all().await {
        match end {
            Ok(read) if read > 40 << 20 => whole += 1,
            Ok(_) => {}
            Err(error) => breaches.push(format!("a reader could not even ask: {error}")),
        }
    }
    if whole == count {
        breaches.push("nobody was hung up on".to_owned());
    }
    Ok((format!("{count}; {whole} had to wait for their turn until they read again"), breaches))
}
