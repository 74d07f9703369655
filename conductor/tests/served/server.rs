//! The shipped binary as a server, and somebody who calls it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::Place;

pub(crate) const KEY: &str = "key-of-the-operator";

/// A server; killed when it is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Served {
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        Served::begin(place, &[&["serve", "--http", "127.0.0.1:0", "--drain", "0"], arguments].concat())
    }

    pub(crate) fn begin(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(arguments);
        command.env("CONSERVER_API_TOKEN", KEY).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| Some(line.unwrap().split_once("http://")?.1.trim().to_owned()));
        // Nobody reads the log from here on, and it goes on all the same.
        Served { address: address.expect("the start line says where"), child }
    }

    /// Status and body, with the operator's key.
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.call_with(&[("x-conserver-api-token", KEY)], method, path, body)
    }

    /// Status and body.
    pub(crate) fn call_with(&self, headers: &[(&str, &str)], method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The JSON of an answer with status 200.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, text) = self.call("GET", path, "");
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}
