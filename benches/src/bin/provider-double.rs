//! The provider double as a program, to try things out by hand and for benches.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use gpt_load_benches::double::{Behaviour, Double, Options};

/// A double of OpenAI, Anthropic and Gemini that fails on request.
///
/// Faults: by header (`x-double: status=429;retry-after=20`), by model (`double;status=500`), by key (`--on-key`), or
/// through the control routes (`PUT /__double/keys/{key}`; `…/every` for blocks and outages, `…/budget` for limits).
#[derive(Debug, Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:4010")]
    addr: SocketAddr,
    /// Threads that serve connections.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Serve TLS and write the certificate of the authority here.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Requests kept for `GET /__double/requests`; 0 switches recording off.
    #[arg(long, default_value_t = 1000)]
    record: usize,
    /// Behaviour of all requests, such as `events=50;delay-event-ms=20`.
    #[arg(long, default_value = "", value_parser = Behaviour::parse)]
    base: Behaviour,
    /// Behaviour of a key, such as `sk-bad:status=401`; may be repeated.
    #[arg(long, value_name = "KEY:BEHAVIOUR", value_parser = parse_on_key)]
    on_key: Vec<(String, Behaviour)>,
}

fn parse_on_key(text: &str) -> Result<(String, Behaviour), String> {
    let (key, behaviour) = text.split_once(':').ok_or("a key, a colon and a behaviour are wanted")?;
    Ok((key.to_owned(), Behaviour::parse(behaviour)?))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    gpt_load_benches::raise_open_files();
    let options = Options {
        addr: arguments.addr,
        threads: arguments.threads,
        tls: arguments.tls_ca.is_some(),
        record: arguments.record,
        base: arguments.base,
        ..Options::default()
    };
    let double = Double::start(options).with_context(|| format!("cannot listen on {}", arguments.addr))?;
    for (key, behaviour) in arguments.on_key {
        double.on_key(&key, behaviour);
    }
    if let (Some(path), Some(pem)) = (&arguments.tls_ca, double.ca_pem()) {
        std::fs::write(path, pem).with_context(|| format!("cannot write {}", path.display()))?;
    }
    writeln!(std::io::stdout(), "provider double at {}", double.url())?;
    loop {
        std::thread::park();
    }
}
