//! The command tree.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use gpt_load_schema::{access::Role, channel::Channel, key::KeyState, secret::Secret};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  could not be done
  2  wrong arguments or configuration
  3  the node did not answer
  4  the node refused the management key
  5  done in part; the output says what is missing

The management key is read from --auth-key-file, AUTH_KEY (environment, .env, gpt-load.toml) or, for a node on this machine,
DATA_DIR/auth_key, in this order; never from an argument, where other users of the machine could see it.";

/// A transparent gateway between applications and AI providers.
#[derive(Debug, Parser)]
#[command(name = "gpt-load", version, after_help = EXIT_CODES, max_term_width = 120)]
pub struct Cli {
    /// What to do; without it the node is started
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to say it
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How results are shown.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct OutputArgs {
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// Which node, and the key to it.
#[derive(Args, Clone, Debug, Default)]
pub struct NodeArgs {
    /// Where the node listens, with its base path [default: HOST, PORT and BASE_PATH of the configuration]
    #[arg(long, env = "GPT_LOAD_URL", value_hint = ValueHint::Url)]
    pub url: Option<String>,
    /// File that holds the management key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub auth_key_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the node (the default)
    Serve,
    /// Provider keys of a running node
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Groups of a running node
    #[command(subcommand)]
    Groups(GroupsCommand),
    /// Access tokens of a running node's management API
    #[command(subcommand)]
    Tokens(TokensCommand),
    /// Prove the keys of a file with a real, cheap call each; needs no node
    ValidateKeys(ValidateArgs),
    /// Show the effective configuration with the origin of each value, secrets masked
    Config(ConfigArgs),
    /// Print the OpenAPI document of the management API; needs no node
    Openapi,
    /// Take over the database of an older GPT-Load, which a start of the node does as well; or undo that
    Takeover(TakeoverArgs),
    /// Bring another, older GPT-Load's groups, keys, settings and logs into this installation; the node must not run
    Import(ImportFromArgs),
    /// Encrypt, decrypt, or change the key of, the configured database; the node must not run
    MigrateKeys(MigrateKeysArgs),
    /// Encrypt what the database stores under a fresh data key, by the node that runs or in its absence; ENCRYPTION_KEY stays
    RotateDataKey(NodeArgs),
    /// Ask whether the node is alive; made for container health checks
    Health(HealthArgs),
    /// Show keys and requests of the default group
    Stats(NodeArgs),
    /// Show the keys of the default group that may not serve, and why
    Blacklist(NodeArgs),
    /// Make all disabled and invalid keys of the default group active again
    ResetKeys(NodeArgs),
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Add keys from standard input
    Add(AddArgs),
    /// Add keys from files, by a task of the node; Ctrl-C cancels it
    Import(ImportArgs),
    /// Write the keys of a group, in clear text, one per line
    Export(ExportArgs),
    /// Show the keys of a group, a page at a time
    List(ListArgs),
    /// Delete keys named by id, by standard input, or by state
    Delete(DeleteArgs),
    /// Let the node validate the keys of a group and wait for the end; Ctrl-C cancels it
    Validate(KeysValidateArgs),
}

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub enum GroupsCommand {
    /// Show all groups
    List(NodeArgs),
    /// Show one group in full
    Show(GroupArgs),
}

/// What to do with access tokens.
#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// Show all access tokens; their values are known to nobody any more
    List(NodeArgs),
    /// Make an access token and print its value, this once
    Create(TokenCreateArgs),
    /// Delete an access token; its access ends at once
    Delete(TokenDeleteArgs),
}

/// `tokens create`.
#[derive(Args, Debug)]
pub struct TokenCreateArgs {
    /// Name, unique among the tokens
    pub name: String,
    /// What its holder may do: viewer (read everything except secrets) or admin (everything)
    #[arg(long, default_value = "viewer", value_parser = role)]
    pub role: Role,
    /// Moment from which on it opens nothing, in RFC 3339, such as 2027-01-31T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `tokens delete`.
#[derive(Args, Debug)]
pub struct TokenDeleteArgs {
    /// Name or id of the token
    pub token: String,
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// One group.
#[derive(Args, Clone, Debug)]
pub struct GroupArgs {
    /// Name or id of the group
    pub group: String,
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `keys add`.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// The group
    #[command(flatten)]
    pub group: GroupArgs,
    /// State in which keys begin: pending or active [default: the group's new_key_state]
    #[arg(long, value_parser = first_state)]
    pub state: Option<KeyState>,
}

/// `keys import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The group, and the state in which keys begin
    #[command(flatten)]
    pub add: AddArgs,
    /// Files with keys: one per line, or separated by blanks, commas or semicolons, or a JSON array
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

/// `keys export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The group
    #[command(flatten)]
    pub group: GroupArgs,
    /// Only keys in this state
    #[arg(long)]
    pub status: Option<KeyState>,
    /// File to write, readable by you alone [default: standard output]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// `keys list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// The group
    #[command(flatten)]
    pub group: GroupArgs,
    /// Only keys in this state
    #[arg(long)]
    pub status: Option<KeyState>,
    /// Page, from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub page: u64,
    /// Keys per page
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub page_size: u64,
    /// Show keys in clear text instead of masked
    #[arg(long)]
    pub show_keys: bool,
}

/// `keys delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// The group
    #[command(flatten)]
    pub group: GroupArgs,
    /// Keys with these ids, as `keys list` shows them; without this and the next two, keys are read from standard input
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with_all = ["invalid", "all"])]
    pub id: Vec<i64>,
    /// All invalid keys of the group
    #[arg(long, conflicts_with = "all")]
    pub invalid: bool,
    /// All keys of the group
    #[arg(long)]
    pub all: bool,
    /// Do not ask before deleting all keys, or all invalid ones
    #[arg(long, short)]
    pub yes: bool,
}

/// `keys validate`.
#[derive(Args, Debug)]
pub struct KeysValidateArgs {
    /// Name or id of the group
    #[arg(required_unless_present = "named")]
    pub group: Option<String>,
    /// The same, named
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "group")]
    pub named: Option<String>,
    /// Only keys in this state
    #[arg(long)]
    pub status: Option<KeyState>,
    /// Calls at the same time, at most the group's key_validation_concurrency [default: that]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub concurrency: Option<u16>,
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `validate-keys`.
#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// File with keys; `-` = standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Wire format of the provider: openai, openai-response, gemini or anthropic
    #[arg(long)]
    pub channel: Channel,
    /// Base URL of the provider [default: the channel's own provider]
    #[arg(long, value_hint = ValueHint::Url)]
    pub upstream: Option<String>,
    /// Model to ask [default: a cheap one of the channel's own provider]
    #[arg(long)]
    pub model: Option<String>,
    /// Path of the call [default: the channel's]
    #[arg(long, value_name = "PATH")]
    pub endpoint: Option<String>,
    /// Calls at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub concurrency: u16,
    /// Seconds that one call may take
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// Write the valid keys to this file, readable by you alone
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub write_valid: Option<PathBuf>,
}

/// `config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// Write the documents made from the declarations of settings into the current directory, a checkout of the source
    #[arg(long)]
    pub write_docs: bool,
}

/// `takeover`.
#[derive(Args, Debug)]
pub struct TakeoverArgs {
    /// Give the old tables their names back, for the older program to go on. A SQLite file is copied first; on a server
    /// what was stored since the take-over is lost
    #[arg(long, conflicts_with_all = ["leave_unreadable", "drop_legacy"])]
    pub rollback: bool,
    /// Drop the old tables, which stay as `legacy_*` after a take-over; it cannot be rolled back from then on
    #[arg(long, conflicts_with = "leave_unreadable")]
    pub drop_legacy: bool,
    /// Do not ask before dropping tables
    #[arg(long, short)]
    pub yes: bool,
    /// Leave keys out that ENCRYPTION_KEY does not open, as long as it opens others
    #[arg(long)]
    pub leave_unreadable: bool,
}

/// `import`.
#[derive(Args, Debug)]
pub struct ImportFromArgs {
    /// Database to import from, written like DATABASE_DSN; nothing is written to it
    #[arg(long, value_name = "DSN", env = "IMPORT_FROM", hide_env_values = true, value_parser = secret)]
    pub from: Secret,
    /// File that holds the encryption key of that installation [default: ENCRYPTION_KEY of this one]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub encryption_key_file: Option<PathBuf>,
    /// That key itself; as an argument other users of the machine can see it, so prefer the file or the variable
    #[arg(long, value_name = "KEY", env = "IMPORT_ENCRYPTION_KEY", hide_env_values = true, value_parser = secret)]
    pub encryption_key: Option<Secret>,
    /// Leave keys out that the encryption key does not open, as long as it opens others
    #[arg(long)]
    pub leave_unreadable: bool,
}

/// `migrate-keys`: the new key alone enables encryption, the one in force alone disables it, both change the key.
#[derive(Args, Debug, Default)]
pub struct MigrateKeysArgs {
    /// File that holds the key in force; `-` = a line of standard input [default: MIGRATE_KEYS_FROM of the environment]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "from")]
    pub from_file: Option<PathBuf>,
    /// File that holds the new key; `-` = a line, or the next one, of standard input [default: MIGRATE_KEYS_TO]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "to")]
    pub to_file: Option<PathBuf>,
    /// The key in force itself; as an argument other users of the machine can see it, so prefer a file or the variable
    #[arg(long, value_name = "KEY", value_parser = secret)]
    pub from: Option<Secret>,
    /// The new key itself; the same holds for it
    #[arg(long, value_name = "KEY", value_parser = secret)]
    pub to: Option<Secret>,
}

/// `health`.
#[derive(Args, Debug)]
pub struct HealthArgs {
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
    /// Ask whether it can serve (database, routing), not only whether it lives
    #[arg(long)]
    pub ready: bool,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::from(text))
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_word(text).ok_or_else(|| "roles are viewer and admin".to_owned())
}

fn first_state(text: &str) -> Result<KeyState, String> {
    match text.parse() {
        Ok(state @ (KeyState::Pending | KeyState::Active)) => Ok(state),
        _ => Err("keys begin as pending or active".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_means_serve() {
        assert!(Cli::try_parse_from(["gpt-load"]).unwrap().command.is_none());
        assert!(matches!(Cli::try_parse_from(["gpt-load", "serve"]).unwrap().command, Some(Command::Serve)));
    }

    #[test]
    fn good_lines_parse() {
        for line in [
            "keys add default --state pending --url http://127.0.0.1:3001",
            "keys import 7 a.txt b.txt --json",
            "--json keys export default --status invalid -o out.txt --auth-key-file key",
            "keys list default --page 2 --page-size 1000 --status degraded --show-keys",
            "keys delete default --id 1 2 3",
            "keys delete default --all --yes",
            "keys validate default",
            "keys validate --group default --status invalid --concurrency 50 --url http://127.0.0.1:3001",
            "groups list -q",
            "groups show default",
            "tokens list",
            "tokens create ci --role admin --expires-at 2027-01-31T00:00:00Z --json",
            "tokens delete ci",
            "validate-keys - --channel openai",
            "validate-keys keys.txt --channel gemini --upstream http://127.0.0.1:1 --model m --concurrency 50 --timeout 5",
            "config --write-docs",
            "takeover --leave-unreadable",
            "takeover --rollback --json",
            "takeover --rollback --yes",
            "takeover --drop-legacy -y",
            "import --from ./old.db",
            "import --from ./old.db --encryption-key-file key --leave-unreadable -q",
            "import --from ./old.db --encryption-key secret",
            "migrate-keys --from old --to new",
            "migrate-keys --from-file - --to-file - -q",
            "rotate-data-key",
            "rotate-data-key --url http://127.0.0.1:3001 --json",
            "health --ready",
            "stats",
            "blacklist",
            "reset-keys",
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("gpt-load").chain(line.split(' ')));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn bad_lines_are_refused() {
        for (line, kind) in [
            ("keys add", ErrorKind::MissingRequiredArgument),
            ("keys add default sk-secret", ErrorKind::UnknownArgument),
            ("keys add default --state invalid", ErrorKind::ValueValidation),
            ("keys import default", ErrorKind::MissingRequiredArgument),
            ("keys list default --page 0", ErrorKind::ValueValidation),
            ("keys list default --page-size 1001", ErrorKind::ValueValidation),
            ("keys validate", ErrorKind::MissingRequiredArgument),
            ("keys validate default --group default", ErrorKind::ArgumentConflict),
            ("keys validate default --status good", ErrorKind::ValueValidation),
            ("keys delete default --all --invalid", ErrorKind::ArgumentConflict),
            ("keys delete default --all --id 1", ErrorKind::ArgumentConflict),
            ("validate-keys keys.txt", ErrorKind::MissingRequiredArgument),
            ("validate-keys keys.txt --channel cohere", ErrorKind::ValueValidation),
            ("tokens create ci --role root", ErrorKind::ValueValidation),
            ("stats --auth-key secret", ErrorKind::UnknownArgument),
            ("takeover --rollback --leave-unreadable", ErrorKind::ArgumentConflict),
            ("takeover --rollback --drop-legacy", ErrorKind::ArgumentConflict),
            ("import", ErrorKind::MissingRequiredArgument),
            ("migrate-keys --to a --to-file b", ErrorKind::ArgumentConflict),
            ("fly", ErrorKind::InvalidSubcommand),
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("gpt-load").chain(line.split(' ')));
            assert_eq!(parsed.unwrap_err().kind(), kind, "{line}");
        }
    }
}
