//! The load generator as a program.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use gpt_load_benches::load::{Target, closed, hold, open};

/// Sends chat completions and measures the answers: closed loop, open loop (`--rate`), or many open streams (`--hold`).
#[derive(Debug, Parser)]
struct Arguments {
    /// Address to send to.
    #[arg(long, default_value = "127.0.0.1:3001")]
    addr: SocketAddr,
    /// Key sent as a bearer token.
    #[arg(long, default_value = "sk-load")]
    key: String,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Threads of a closed loop.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Length of the run.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Bytes of the request's body.
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Ask for a stream.
    #[arg(long)]
    stream: bool,
    /// Requests a second of an open loop.
    #[arg(long)]
    rate: Option<f64>,
    /// Open this many streams and hold them.
    #[arg(long)]
    hold: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    gpt_load_benches::raise_open_files();
    let time = Duration::try_from_secs_f64(arguments.seconds)?;
    let stream = arguments.stream || arguments.hold.is_some();
    let target = Target::chat(arguments.addr, &arguments.key, stream, arguments.bytes);
    let report = match (arguments.hold, arguments.rate) {
        (Some(count), _) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let held = hold(&target, count, Duration::from_secs(60)).await;
                let opened = held.live();
                tokio::time::sleep(time).await;
                serde_json::json!({"opened": opened, "failed": held.failed(), "live-at-the-end": held.live()})
            })
        }
        (None, Some(rate)) => open(&target, rate, arguments.connections, time)?.to_json(),
        (None, None) => closed(&target, arguments.connections, arguments.threads, time)?.to_json(),
    };
    writeln!(std::io::stdout(), "{report:#}")?;
    Ok(())
}
