//! The HTTP server that webhooks go to: nginx where it is installed, else one of our own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::load::Outcome;

pub(crate) struct Receiver {
    port: u16,
    nginx: Option<(Child, TempDir)>,
}

impl Receiver {
    pub(crate) fn start() -> Outcome<Receiver> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let place = folder.path().display();
        let configuration = format!(
            "worker_processes 1; daemon off; pid {place}/pid; error_log /dev/null;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 10000000; client_body_temp_path {place}/body; proxy_temp_path {place}/p;\n\
             fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s; client_body_buffer_size 64k;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ return 200; }} }} }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => Ok(Receiver { port, nginx: Some((child, folder)) }),
            Err(_) => {
                own(port)?;
                Ok(Receiver { port, nginx: None })
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(crate) fn name(&self) -> &'static str {
        if self.nginx.is_some() { "nginx, one worker" } else { "a small axum server (nginx is not installed)" }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.nginx {
            // Its own master ends the worker.
            let pid = child.id().to_string();
            Command::new("kill").args(["-TERM", &pid]).status().map(drop).unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// Takes every body and answers 200, on a thread of its own until the program ends.
fn own(port: u16) -> Outcome {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, axum::Router::new().fallback(async |_: bytes::Bytes| "")).await
        })
    });
    Ok(())
}
