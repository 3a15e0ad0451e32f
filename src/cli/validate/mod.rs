//! `gpt-load validate-keys`: proves the keys of a file, without a node.

mod probe;
mod summary;
mod verdict;

use std::{path::Path, rc::Rc, time::Duration};

use futures_util::{StreamExt, stream};

use self::{probe::Probe, summary::Summary, verdict::Finding};
use super::{
    args::ValidateArgs,
    exit::CliError,
    key_text::{self, SecretFile},
    progress::Progress,
    report::Report,
};
use crate::{
    channel::validation::{self, Call, InvalidEndpoint},
    config::{Config, process_environment},
};

/// Makes one cheap, real call per key and says what it proved.
///
/// # Errors
/// When no call can be made: unreadable file, wrong arguments or configuration.
pub(super) async fn run(args: &ValidateArgs, quiet: bool) -> Result<Report, CliError> {
    let loaded = Config::load(Path::new("."), process_environment()).map_err(|errors| {
        CliError::usage(errors.to_string()).advise("The outbound proxy and TLS settings come from there.")
    })?;
    let model = args.model.as_deref().unwrap_or_else(|| validation::default_model(args.channel));
    let call = Call::new(args.channel, model, args.endpoint.as_deref()).map_err(|error| refused(args, error))?;
    let upstream = args.upstream.as_deref().unwrap_or_else(|| validation::default_upstream(args.channel));
    let probe = Rc::new(Probe::new(upstream, call, Duration::from_secs(args.timeout), &loaded.config)?);
    let keys = key_text::read_file(&args.file)?;

    let mut progress = Progress::start("validating keys", keys.keys.len() as u64, quiet);
    let calls = keys.keys.iter().cloned().enumerate().map(|(at, key)| {
        let probe = Rc::clone(&probe);
        async move {
            let verdict = probe.ask(&key).await;
            (at, Finding { key, verdict })
        }
    });
    let mut calls = stream::iter(calls).buffer_unordered(usize::from(args.concurrency));
    let mut findings = Vec::with_capacity(keys.keys.len());
    while let Some(finding) = calls.next().await {
        findings.push(finding);
        progress.advance(1);
    }
    drop(progress);
    findings.sort_unstable_by_key(|(at, _)| *at);
    let findings: Vec<Finding> = findings.into_iter().map(|(_, finding)| finding).collect();

    if let Some(path) = &args.write_valid {
        let mut file = SecretFile::create(path)?;
        for finding in findings.iter().filter(|finding| finding.verdict.is_valid()) {
            file.write(finding.key.expose().as_bytes())?;
            file.write(b"\n")?;
        }
        file.finish()?;
    }
    Ok(Summary { findings: &findings, repeated: keys.repeated, written: args.write_valid.as_deref() }.report())
}

fn refused(args: &ValidateArgs, error: InvalidEndpoint) -> CliError {
    let endpoint = args.endpoint.as_deref().unwrap_or_default();
    CliError::usage(match error {
        InvalidEndpoint::NoPath => format!("--endpoint {endpoint:?} is no path; it begins with /"),
        InvalidEndpoint::OfModel => {
            format!("the channel {} makes its path of the model; leave --endpoint out", args.channel)
        }
    })
}
