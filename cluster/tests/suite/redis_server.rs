//! A Redis of a test's own, which can be stopped and started, and a way to it that can be cut.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, UnixStream},
    sync::watch,
    task::AbortHandle,
    time::{interval, timeout},
};

use crate::place::LONG;

/// A `redis-server` that only a socket in a folder leads to; it remembers nothing when it is stopped.
pub(crate) struct RedisServer {
    folder: TempDir,
    password: String,
    process: Option<Child>,
}

/// A server process with a port, and a folder for its files.
pub(crate) struct Process {
    pub(crate) port: u16,
    _folder: TempDir,
    process: Child,
}

impl Process {
    /// Runs `redis-server` with what `arguments` makes of its port and folder, and waits until the port is open.
    pub(crate) async fn start(arguments: impl FnOnce(u16, &std::path::Path) -> Vec<String>) -> Self {
        let folder = TempDir::new().unwrap();
        // Redis cannot be given a socket that listens already.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(arguments(port, folder.path())).stdout(Stdio::null());
        let process = command.spawn().expect("redis-server is missing");
        let started = Self { port, _folder: folder, process };
        let mut ticks = interval(Duration::from_millis(10));
        let ready = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                ticks.tick().await;
            }
        };
        timeout(LONG, ready).await.expect("redis-server does not start");
        started
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

impl RedisServer {
    pub(crate) async fn start(password: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut server = Self { folder, password: password.to_owned(), process: None };
        server.begin().await;
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) async fn begin(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--requirepass", &self.password, "--dir"]);
        command.arg(self.folder.path()).arg("--unixsocket").arg(self.socket()).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server is missing"));
        let mut ticks = interval(Duration::from_millis(10));
        let ready = async {
            loop {
                ticks.tick().await;
                let Ok(mut connection) = UnixStream::connect(self.socket()).await else { continue };
                let mut first = [0];
                if connection.write_all(b"PING\r\n").await.is_ok() && connection.read_exact(&mut first).await.is_ok() {
                    return;
                }
            }
        };
        timeout(LONG, ready).await.expect("redis-server does not start");
    }

    /// Kills it, with everything it knows.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// A way to it.
    pub(crate) async fn way(&self) -> Way {
        Way::to(self.socket(), &self.password).await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that leads to a server as long as it is open; when it is cut, what is said is neither refused nor answered.
pub(crate) struct Way {
    pub(crate) dsn: String,
    is_open: watch::Sender<bool>,
    task: AbortHandle,
}

impl Way {
    async fn to(socket: PathBuf, password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dsn = format!("redis://:{password}@{}", listener.local_addr().unwrap());
        let is_open = watch::Sender::new(true);
        let state = is_open.subscribe();
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut near, _)) = listener.accept().await else { return };
                let (socket, mut state) = (socket.clone(), state.clone());
                tokio::spawn(async move {
                    let mut opened = state.clone();
                    if opened.wait_for(|is_open| *is_open).await.is_err() {
                        return;
                    }
                    let Ok(mut far) = UnixStream::connect(socket).await else { return };
                    let is_cut = async { state.wait_for(|is_open| !*is_open).await.map(drop) };
                    let was_cut = tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => false,
                        _ = is_cut => true,
                    };
                    if was_cut {
                        // Held open, and silent, until it is mended; then it is gone.
                        _ = state.wait_for(|is_open| *is_open).await.map(drop);
                    }
                });
            }
        });
        Self { dsn, is_open, task: task.abort_handle() }
    }

    pub(crate) fn cut(&self) {
        self.is_open.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.is_open.send_replace(true);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}
