//! A page is a session: its files are saved, its commands are run, in the order of the page, by one shell in a folder of
//! its own. Ports that pages name are others here, so that sessions do not meet.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::authority::{Authority, Kind};
use crate::expected::are_like;
use crate::page::{Block, Page, Part};
use crate::servers::redis::{RedisServer, free_port};
use crate::shell::Shell;
use crate::{Findings, root};

/// The port of Redis in pages.
const REDIS: u16 = 6379;
/// Ports of servers that pages start.
const PORTS: [u16; 3] = [8000, 8001, 8080];

/// What goes on while a page is followed.
struct Session {
    folder: TempDir,
    shell: Shell,
    /// A port as the page names it, and as it is here.
    ports: Vec<(u16, u16)>,
    redis: Option<RedisServer>,
}

/// Follows a page; ends with the first thing that is not as it says.
pub(crate) fn run(page: &Page) -> Findings {
    let folder = tempfile::tempdir().expect("a folder");
    let shell = Shell::start(folder.path());
    let ports = PORTS.map(|port| (port, free_port())).to_vec();
    let mut session = Session { folder, shell, ports, redis: None };
    for part in &page.parts {
        let (line, done) = match part {
            Part::Direction { line, text } => (*line, session.direct(text)),
            Part::Block(block) => (block.line, session.block(block)),
        };
        if let Err(what) = done {
            return vec![format!("{}: {what}", page.at(line))];
        }
    }
    Findings::new()
}

impl Session {
    /// What readers have, or do, without a command: `redis`, `tree`, `certificates`, `receiver`, `stop`.
    fn direct(&mut self, text: &str) -> Result<(), String> {
        match text {
            "redis" | "redis with JSON" => {
                let server = if text == "redis" { RedisServer::start() } else { RedisServer::with_json() };
                self.shell.tool("redis-cli", &format!("exec {} -p {} \"$@\"", found("redis-cli")?, server.port()));
                self.ports.push((REDIS, server.port()));
                self.redis = Some(server);
            }
            "tree" => {
                // Copies: programs leave things beside their sources.
                let mut copy = Command::new("cp");
                copy.arg("-r").args(["chains", "examples"].map(|name| root().join(name))).arg(self.folder.path());
                let copied = copy.status().map_err(|error| error.to_string())?;
                if !copied.success() {
                    return Err("`chains` and `examples` cannot be copied".to_owned());
                }
            }
            "certificates" => self.certificates(),
            "receiver" => receive(self.here("127.0.0.1:8080"))?,
            "stop" => self.shell.stop()?,
            _ => return Err(format!("no direction is called `{text}`")),
        }
        Ok(())
    }

    /// An authority, somebody whom it certified, and somebody whom another one did.
    fn certificates(&self) {
        let write =
            |name: String, content: &str| std::fs::write(self.folder.path().join(name), content).expect("written");
        let authority = Authority::new();
        write("root.pem".to_owned(), &authority.root);
        for (name, authority) in [("signer", &authority), ("partner", &Authority::new())] {
            let signer = authority.signer(Kind::Rsa, &format!("{name}.example.com"));
            write(format!("{name}.key"), &signer.key);
            write(format!("{name}.crt"), &signer.chain);
        }
    }

    fn block(&mut self, block: &Block) -> Result<(), String> {
        if let Some(name) = &block.file {
            let path = self.folder.path().join(name);
            let folder = path.parent().unwrap_or_else(|| Path::new("."));
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            std::fs::write(&path, self.here(&block.text)).map_err(|error| error.to_string())?;
        }
        if !block.runs() {
            return Ok(());
        }
        if block.language == "sh" {
            return self.shell.script(&self.here(&block.text));
        }
        let examples = examples(&block.text)?;
        for example in &examples {
            let command = self.here(&example.command);
            let ports = self.ports.clone();
            let done = if block.is("background") {
                self.shell.begin(&command, &example.says, |said| back(&ports, said))
            } else {
                self.example(example, &command)
            };
            done.map_err(|what| format!("$ {}\n{what}", example.command))?;
        }
        Ok(())
    }

    fn example(&mut self, example: &Example<'_>, command: &str) -> Result<(), String> {
        let (code, said) = self.shell.run(command)?;
        let said = back(&self.ports, &said.join("\n"));
        if code != example.exit {
            return Err(format!("ends with {code}:\n{said}"));
        }
        let lines: Vec<&str> = said.lines().collect();
        if !example.says.is_empty() && !are_like(&lines, &example.says) {
            return Err(format!("says\n{said}\nand not\n{}", example.says.join("\n")));
        }
        Ok(())
    }

    /// A text of the page with the ports of this session.
    fn here(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (page, here)| exchanged(&text, *page, *here))
    }
}

/// A text of this session with the ports of the page.
fn back(ports: &[(u16, u16)], text: &str) -> String {
    ports.iter().fold(text.to_owned(), |text, (page, here)| exchanged(&text, *here, *page))
}

fn exchanged(text: &str, port: u16, other: u16) -> String {
    text.replace(&format!(":{port}"), &format!(":{other}"))
}

/// Somebody who takes every post, until the test ends.
fn receive(address: String) -> Result<(), String> {
    let listener = TcpListener::bind(address).map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || taken(stream));
        }
    });
    Ok(())
}

/// Answers 204 to every post of a connection, until it ends.
fn taken(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        reader.read_exact(&mut vec![0; length])?;
        reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}

/// Where a program of the machine is.
fn found(program: &str) -> Result<String, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places = path.split(':').map(|folder| format!("{folder}/{program}"));
    places.find(|place| Path::new(place).exists()).ok_or_else(|| format!("`{program}` is not installed"))
}

/// A command, how it ends, and what it says; where a page shows nothing, that is not looked at.
struct Example<'a> {
    command: String,
    exit: i32,
    says: Vec<&'a str>,
}

/// The commands of a block: `$ ` begins one, `\` at its end goes on in the next line, and `# exit N` behind it says how it
/// ends (0 without).
fn examples(text: &str) -> Result<Vec<Example<'_>>, String> {
    let mut examples: Vec<Example<'_>> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else {
            examples.last_mut().ok_or("a block begins with `$ ` and a command")?.says.push(line);
            continue;
        };
        let mut command = command.to_owned();
        while command.ends_with('\\') {
            command.push('\n');
            command.push_str(lines.next().unwrap_or_default());
        }
        let (command, exit) = match command.rsplit_once("# exit ") {
            Some((command, exit)) => (command.trim().to_owned(), exit.trim().parse().map_err(|_| "no exit code")?),
            None => (command, 0),
        };
        examples.push(Example { command, exit, says: Vec::new() });
    }
    Ok(examples)
}
