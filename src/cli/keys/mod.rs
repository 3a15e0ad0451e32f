//! `gpt-load keys`: provider keys of a running node.

mod change;
mod show;
pub(super) mod task;
pub(super) mod validate;
mod work;

use super::{
    args::{KeysCommand, NodeArgs},
    client::NodeClient,
    exit::CliError,
    report::Report,
};

/// The node that a command is about.
pub(super) fn node_of(command: &KeysCommand) -> &NodeArgs {
    let group = match command {
        KeysCommand::Add(args) => &args.group,
        KeysCommand::Import(args) => &args.add.group,
        KeysCommand::Export(args) => &args.group,
        KeysCommand::List(args) => &args.group,
        KeysCommand::Delete(args) => &args.group,
        KeysCommand::Validate(args) => return &args.node,
    };
    &group.node
}

/// Runs one of the `keys` commands.
///
/// # Errors
/// When nothing of it could be done.
pub(super) async fn run(command: &KeysCommand, node: &NodeClient, json: bool, quiet: bool) -> Result<Report, CliError> {
    match command {
        KeysCommand::Add(args) => change::add(node, args, quiet).await,
        KeysCommand::Import(args) => change::import(node, args, quiet).await,
        KeysCommand::Export(args) => show::export(node, args, json).await,
        KeysCommand::List(args) => show::list(node, args).await,
        KeysCommand::Delete(args) => change::delete(node, args, quiet).await,
        KeysCommand::Validate(args) => validate::run(node, args, quiet).await,
    }
}
