//! An HTTPS server for the files of a folder: what vCons refer to lies behind https only.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::certificates::Certificates;

/// Serves a folder; `/endless` there sends a byte now and then, and never ends.
const SERVER: &str = "
import http.server, ssl, sys, time
class Files(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path != '/endless':
            return super().do_GET()
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b'x')
            self.wfile.flush()
            time.sleep(0.05)
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), lambda *a: Files(*a, directory=sys.argv[1]))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";

/// The server; it ends when this is dropped.
#[derive(Debug)]
pub struct HttpsServer {
    process: Child,
    port: u16,
    certificates: Certificates,
}

impl HttpsServer {
    /// Starts it on a free port.
    pub fn start(folder: &Path) -> HttpsServer {
        let certificates = Certificates::new();
        let mut command = Command::new("python3");
        command.args(["-c", SERVER]).arg(folder);
        command.args([certificates.path("server.pem"), certificates.path("server.key")]);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("python3 starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        HttpsServer { process, port, certificates }
    }

    /// The URL of a file in the folder.
    pub fn url(&self, file: &str) -> String {
        format!("https://127.0.0.1:{}/{file}", self.port)
    }

    /// The file with the authority that clients must trust: the value of `SSL_CERT_FILE`.
    pub fn authority(&self) -> String {
        self.certificates.path("ca.pem")
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
