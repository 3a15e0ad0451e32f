//! Who is measured: the provider double by itself, nginx before it, the node before it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::process::{Process, free_addr};

/// Key of the node's clients; nginx and the double take any.
pub(crate) const PROXY_KEY: &str = "sk-bench-proxy-key-0123456789";
/// Name of nginx among the contestants.
pub(crate) const NGINX: &str = "nginx";
/// Content words that make an answer of about 1 KB.
const WORDS: usize = 100;
/// Content events that, with the opening and closing ones, make a stream of 50.
const EVENTS: usize = 47;
/// Keys of the node.
pub(crate) const KEYS: usize = 100;

/// A running program and where it takes requests.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) process: Process,
    /// For plain requests.
    pub(crate) plain: SocketAddr,
    /// For streams.
    pub(crate) stream: SocketAddr,
}

/// The provider double, in a process of its own, with streams that come at once.
pub(crate) fn provider(program: &Path, dir: &Path) -> anyhow::Result<Contestant> {
    double("provider", program, dir, &format!("words={WORDS};events={EVENTS}"))
}

/// The provider double with streams that open and then say nothing for ten minutes.
pub(crate) fn slow_provider(program: &Path, dir: &Path) -> anyhow::Result<Contestant> {
    double("slow-provider", program, dir, "events=1;delay-event-ms=600000")
}

/// The provider double with answers that take their time.
pub(crate) fn delayed_provider(program: &Path, dir: &Path, millis: u64) -> anyhow::Result<Contestant> {
    double("delayed-provider", program, dir, &format!("words=5;delay-head-ms={millis}"))
}

fn double(name: &'static str, program: &Path, dir: &Path, base: &str) -> anyhow::Result<Contestant> {
    let addr = free_addr()?;
    let mut command = Command::new(program);
    command.args(["--addr", &addr.to_string(), "--record", "0", "--base", base]);
    Ok(Contestant { name, process: Process::start(name, &mut command, dir, addr)?, plain: addr, stream: addr })
}

/// nginx as a plain reverse proxy: connections to the provider kept alive, buffering off for streams, an access log (the
/// node logs every request too), as many workers as the node has.
pub(crate) fn nginx(program: &Path, dir: &Path, upstream: SocketAddr, workers: usize) -> anyhow::Result<Contestant> {
    let (plain, stream) = (free_addr()?, free_addr()?);
    let home = dir.join("nginx");
    fs::create_dir_all(&home)?;
    let config = home.join("nginx.conf");
    fs::write(&config, nginx_config(&home, upstream, plain, stream, workers))?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&home).arg("-c").arg(&config);
    let process = Process::start(NGINX, &mut command, dir, stream)?;
    Ok(Contestant { name: NGINX, process, plain, stream })
}

fn nginx_config(home: &Path, upstream: SocketAddr, plain: SocketAddr, stream: SocketAddr, workers: usize) -> String {
    let home = home.display();
    let server = |addr: SocketAddr, buffering: &str| {
        format!(
            "server {{
    listen {addr} backlog=16384;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering {buffering};
      proxy_read_timeout 1h;
    }}
  }}"
        )
    };
    let (plain, stream) = (server(plain, "on"), server(stream, "off"));
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {home}/{kind};\n"))
        .concat();
    format!(
        "daemon off;
worker_processes {workers};
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 19000; }}
http {{
{temporary}  access_log {home}/access.log combined buffer=64k flush=1s;
  keepalive_requests 100000000;
  upstream provider {{ server {upstream}; keepalive 512; keepalive_requests 100000000; }}
  {plain}
  {stream}
}}
"
    )
}

/// One of the node's keys.
pub(crate) fn key(number: usize) -> String {
    format!("sk-bench-provider-key-{number:04}")
}

/// The node with everything on, in the one-file set-up with 100 keys.
pub(crate) fn gateway(program: &Path, dir: &Path, upstream: SocketAddr, workers: usize) -> anyhow::Result<Contestant> {
    gateway_in(program, &new_home(dir)?, upstream, workers, &[])
}

/// A folder for a node of its own.
pub(crate) fn new_home(dir: &Path) -> anyhow::Result<PathBuf> {
    Ok(dir.join(format!("gateway-{}", free_addr()?.port())))
}

/// The same with its data in `home`, which may be that of a node that has ended, and with more environment.
pub(crate) fn gateway_in(
    program: &Path,
    home: &Path,
    upstream: SocketAddr,
    workers: usize,
    env: &[(&str, &str)],
) -> anyhow::Result<Contestant> {
    let addr = free_addr()?;
    fs::create_dir_all(home)?;
    let keys: String = (0..KEYS).map(|number| key(number) + "\n").collect();
    fs::write(home.join("keys.txt"), keys)?;
    let mut command = Command::new(program.canonicalize().context("the gateway's program is missing")?);
    command
        .current_dir(home)
        .env("HOST", addr.ip().to_string())
        .env("PORT", addr.port().to_string())
        .env("DATA_DIR", home.join("data"))
        .env("AUTH_KEY", PROXY_KEY)
        .env("KEYS_FILE", home.join("keys.txt"))
        .env("OPENAI_BASE_URL", format!("http://{upstream}"))
        .env("WORKERS", workers.to_string())
        .env("MAX_CONCURRENT_REQUESTS", "20000")
        .envs(env.iter().copied());
    let process = Process::start("gateway", &mut command, home, addr)?;
    Ok(Contestant { name: "gateway", process, plain: addr, stream: addr })
}
