//! A private PostgreSQL server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::certificates::Certificates;
use super::redis::free_port;

/// The superuser of the servers, and its password.
pub const USER: &str = "vcons";
const PASSWORD: &str = "of-the-tests";

/// A running `postgres`.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl PostgresServer {
    /// Starts a server that survives its own death, not that of the machine.
    pub fn start() -> Self {
        Self::with(&["fsync=off"])
    }

    /// Starts a server that has every commit on disk before it answers.
    pub fn durable() -> Self {
        Self::with(&["fsync=on"])
    }

    /// Starts a server that speaks TLS with these certificates.
    pub fn with_tls(certificates: &Certificates) -> Self {
        let mut server = Self::stopped(&["fsync=off", "ssl=on", "ssl_cert_file=server.pem", "ssl_key_file=server.key"]);
        for name in ["server.pem", "server.key"] {
            let copy = server.data().join(name);
            fs::copy(certificates.path(name), &copy).expect("a file");
            run(Command::new("chmod").arg("600").arg(&copy));
            give_away(&copy);
        }
        server.up();
        server
    }

    /// Starts a server with these settings (`name=value`).
    pub fn with(settings: &[&str]) -> Self {
        let mut server = Self::stopped(settings);
        server.up();
        server
    }

    fn stopped(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        run(Command::new("cp").arg("-a").arg(template()).arg(folder.path().join("data")));
        // Owned by us and entered by the server's user.
        run(Command::new("chmod").arg("711").arg(folder.path()));
        let options = settings.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]).collect();
        PostgresServer { folder, port: free_port(), options, child: None }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it again on the same data and port.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let started = Instant::now();
        loop {
            let child = self.child.get_or_insert_with(|| {
                let mut command = as_server_user(&programs().join("postgres"));
                command.arg("-D").arg(self.folder.path().join("data")).args(["-p", &self.port.to_string()]);
                command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
                command.args(["-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal"]).args(&self.options);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                command.spawn().expect("`postgres` is installed (scripts/servers)")
            });
            // Right after a kill the processes of the last one may still hold its memory.
            if child.try_wait().expect("a process").is_some() {
                self.child = None;
            }
            let mut ready = Command::new(programs().join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if self.child.is_some() && ready.status().expect("`pg_isready` is installed").success() {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "postgres does not come up");
            sleep(Duration::from_millis(20));
        }
    }

    /// Kills it as `kill -9` does, with the processes that work for it: they would finish what they are at.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let workers = Command::new("pgrep").args(["-P", &child.id().to_string()]).output().expect("`pgrep` runs");
            // It may have ended by itself; then there is nothing to kill.
            child.kill().unwrap_or_default();
            let workers = String::from_utf8_lossy(&workers.stdout).into_owned();
            Command::new("kill").arg("-9").args(workers.split_whitespace()).output().expect("`kill` runs");
            child.wait().expect("it ends");
        }
    }

    /// Stops it as an operator in a hurry does: transactions are broken off.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            run(Command::new("kill").args(["-INT", &child.id().to_string()]));
            child.wait().expect("it ends");
        }
    }

    /// The URL of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs statements as the superuser; what they answer, a line for a row, fields separated by `|`.
    pub fn psql(&self, statements: &str) -> String {
        let output = Command::new(programs().join("psql"))
            .args([&self.url(), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements])
            .output()
            .expect("`psql` is installed");
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
        // Its other processes end by themselves, a moment later, and still write to the folder.
        let started = Instant::now();
        while fs::remove_dir_all(self.data()).is_err() && started.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(20));
        }
    }
}

/// Where the server's programs are: `VCONDUCTOR_POSTGRES`, or where Debian has the newest version.
fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("VCONDUCTOR_POSTGRES") {
        return PathBuf::from(folder);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((number, entry.path().join("bin")))
    });
    let newest = numbered.filter(|(_, programs)| programs.join("postgres").exists()).max();
    newest.expect("PostgreSQL is installed (scripts/servers)").1
}

/// A new cluster costs seconds: it is made once on this machine, and copied.
fn template() -> PathBuf {
    let place = std::env::temp_dir().join(format!("vconductor-{}", cluster_name()));
    if place.exists() {
        return place;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (data, password) = (folder.path().join("data"), folder.path().join("password"));
    fs::write(&password, PASSWORD).expect("a file");
    fs::create_dir(&data).expect("a folder");
    run(Command::new("chmod").arg("755").arg(folder.path()));
    run(Command::new("chmod").arg("700").arg(&data));
    give_away(&data);
    let mut initdb = as_server_user(&programs().join("initdb"));
    initdb.arg("-D").arg(&data).arg("-U").arg(USER).arg(format!("--pwfile={}", password.display()));
    initdb.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"]);
    run(initdb.stdout(Stdio::null()));
    // Another process may have been faster; its cluster is as good.
    if fs::rename(&data, &place).is_err() {
        assert!(place.exists(), "{} cannot be made", place.display());
    }
    place
}

/// Named by what it is made with, so that another version or another user makes one of its own.
fn cluster_name() -> String {
    let version = Command::new(programs().join("postgres")).arg("--version").output().expect("`postgres` runs");
    let version = String::from_utf8_lossy(&version.stdout).split_whitespace().nth(2).unwrap_or("0").to_owned();
    let user = Command::new("id").arg("-u").output().expect("`id` runs");
    format!("postgres-{version}-{}", String::from_utf8_lossy(&user.stdout).trim())
}

/// The server refuses to run as root; then it runs as the user that its package makes.
fn as_server_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn give_away(path: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(path));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
