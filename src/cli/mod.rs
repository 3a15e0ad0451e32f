//! The command line.
//!
//! [`args`] is the command tree. `serve` hands over to the node; `takeover`, `import` and `migrate-keys` work on the node's database while
//! it does not run, `rotate-data-key` whether it runs or not; the other commands are clients: of a running node (`access` finds it, `client` talks to it) or, for
//! `validate-keys`, of a provider. Each command makes a
//! [`report::Report`] or fails with an [`exit::CliError`]; this file prints either and ends the process accordingly.

mod access;
pub mod args;
mod client;
mod config;
mod encryption;
pub mod exit;
mod groups;
mod import;
mod key_text;
mod keys;
mod node_commands;
mod outbound;
pub mod panic_hook;
mod progress;
pub mod report;
mod takeover;
mod tokens;
mod validate;

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    path::Path,
};

use clap::Parser;

use self::{
    access::Access,
    args::{Cli, Command, GroupsCommand, NodeArgs, OutputArgs},
    client::NodeClient,
    exit::{CliError, Exit},
    report::Report,
};
use crate::config::{Config, process_environment};

/// Runs the command line of this process. Wrong arguments end the process here, with exit code 2.
pub fn main() -> Exit {
    let Cli { command, output } = Cli::parse();
    match run(command.unwrap_or(Command::Serve), output) {
        Ok(report) => {
            print(&report, output.json);
            report.exit
        }
        Err(error) => {
            let text = if output.json { error.to_json().to_string() } else { error.to_string() };
            let _ = writeln!(io::stderr(), "{text}");
            error.exit
        }
    }
}

/// Runs one command; what it has to say is in the report.
///
/// # Errors
/// When nothing of it could be done.
pub fn run(command: Command, output: OutputArgs) -> Result<Report, CliError> {
    match command {
        Command::Serve => serve(),
        Command::Config(args) => config::run(&args),
        Command::Openapi => {
            Ok(Report::success(crate::admin::openapi::text().trim_end(), crate::admin::openapi::document()))
        }
        Command::Takeover(args) => actix_rt::System::new().block_on(takeover::run(&args, output.quiet)),
        Command::Import(args) => actix_rt::System::new().block_on(import::run(&args, output.quiet)),
        Command::MigrateKeys(args) => actix_rt::System::new().block_on(encryption::migrate(&args, output.quiet)),
        Command::RotateDataKey(args) => actix_rt::System::new().block_on(encryption::rotate(&args, output.quiet)),
        client => actix_rt::System::new().block_on(run_client(client, output)),
    }
}

fn serve() -> Result<Report, CliError> {
    let loaded = Config::load(Path::new("."), process_environment())
        .map_err(|errors| CliError::usage(errors.to_string()).advise("The node was not started."))?;
    crate::node::run(loaded).map_err(|error| CliError::failure(format!("{error:#}")))?;
    Ok(Report::success("", serde_json::Value::Null))
}

async fn run_client(command: Command, OutputArgs { json, quiet }: OutputArgs) -> Result<Report, CliError> {
    match command {
        Command::ValidateKeys(args) => validate::run(&args, quiet).await,
        Command::Keys(command) => keys::run(&command, &node(keys::node_of(&command))?, json, quiet).await,
        Command::Groups(command) => {
            let (GroupsCommand::List(args) | GroupsCommand::Show(args::GroupArgs { node: args, .. })) = &command;
            groups::run(&command, &node(args)?).await
        }
        Command::Tokens(command) => tokens::run(&command, &node(tokens::node_of(&command))?).await,
        Command::Health(args) => node_commands::health(node(&args.node)?, args.ready).await,
        Command::Stats(args) => node_commands::stats(&node(&args)?).await,
        Command::Blacklist(args) => node_commands::blacklist(&node(&args)?).await,
        Command::ResetKeys(args) => node_commands::reset_keys(&node(&args)?).await,
        Command::Serve
        | Command::Config(_)
        | Command::Openapi
        | Command::Takeover(_)
        | Command::Import(_)
        | Command::MigrateKeys(_)
        | Command::RotateDataKey(_) => Err(CliError::usage("this command is no client")),
    }
}

fn node(args: &NodeArgs) -> Result<NodeClient, CliError> {
    NodeClient::new(&Access::find(args)?)
}

/// A reader that closed the pipe has seen enough; that is no failure of the command.
fn print(report: &Report, json: bool) {
    let mut output = io::stdout().lock();
    let _ = if json && !report.json.is_null() {
        writeln!(output, "{}", report.json)
    } else if report.text.is_empty() {
        Ok(())
    } else {
        writeln!(output, "{}", report.text)
    };
}
