//! The one-file set-up: `KEYS_FILE` and `OPENAI_BASE_URL` make the default group, and the file stays in charge of its keys.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use gpt_load_actors::{
    commands::{Command, CommandError, Reply},
    runtime::Runtime,
};
use gpt_load_schema::{
    channel::Channel,
    group::{GroupDefinition, GroupType, Upstream},
    ids::GroupId,
    key::{KeyRecord, KeySource, KeyState},
    store::{KeyFilter, KeySelector, Store, StoreError},
};
use tokio::time::{MissedTickBehavior, interval};

use super::keys_file::{changes, parse};

/// Keys file when `OPENAI_BASE_URL` alone is configured.
const DEFAULT_KEYS_FILE: &str = "keys.txt";
/// Upstream when `KEYS_FILE` alone is configured.
const DEFAULT_UPSTREAM: &str = "https://api.openai.com";
/// Model of validation calls to OpenAI; the cheapest.
const TEST_MODEL: &str = "gpt-4.1-nano";
/// How often the file is looked at. Looking works where change notifications do not: on network file systems and for
/// files that Kubernetes swaps by symbolic link.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Stored keys read at once.
const KEYS_A_READ: u32 = 10_000;

/// The configuration of the one-file set-up.
#[derive(Clone, Debug)]
pub struct OneFile {
    keys_file: PathBuf,
    upstreams: Vec<Upstream>,
    rules_upstreams: bool,
    group: String,
}

/// Time and size of a file, `None` when there is none: differs when the content was written anew.
type Stamp = Option<(SystemTime, u64)>;

/// The keys file as it was read.
pub struct Reading {
    text: String,
    stamp: Stamp,
}

/// The set-up could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum OneFileError {
    /// The file cannot be read.
    #[error("KEYS_FILE {}: {reason}; name a text file with one key a line", path.display())]
    Unreadable {
        /// File.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The default group exists and is of a kind that owns no keys.
    #[error("the default group `{0}` is an aggregate group, which owns no keys; set DEFAULT_GROUP to another name")]
    Aggregate(String),
    /// The database refused.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StoreError> for OneFileError {
    fn from(error: StoreError) -> Self {
        Self::Command(error.into())
    }
}

impl OneFile {
    /// The set-up that the configuration asks for, if it does.
    pub fn configured(keys_file: Option<&Path>, base_urls: &[String], group: &str) -> Option<Self> {
        if keys_file.is_none() && base_urls.is_empty() {
            return None;
        }
        let urls = if base_urls.is_empty() { vec![DEFAULT_UPSTREAM.to_owned()] } else { base_urls.to_vec() };
        Some(Self {
            keys_file: keys_file.map_or_else(|| DEFAULT_KEYS_FILE.into(), Path::to_path_buf),
            upstreams: urls.into_iter().map(|url| Upstream { url, weight: 1 }).collect(),
            rules_upstreams: !base_urls.is_empty(),
            group: group.to_owned(),
        })
    }

    /// Reads the file, so that a file that cannot be used stops the start before anything is changed.
    ///
    /// # Errors
    ///
    /// [`OneFileError::Unreadable`].
    pub fn read(&self) -> Result<Reading, OneFileError> {
        // Taken first: a change while the file is read is then seen as one at the next look.
        let stamp = self.stamp();
        let text = std::fs::read_to_string(&self.keys_file)
            .map_err(|reason| OneFileError::Unreadable { path: self.keys_file.clone(), reason })?;
        Ok(Reading { text, stamp })
    }

    /// Makes or updates the default group and its keys; answers the group.
    ///
    /// # Errors
    ///
    /// As the variants of [`OneFileError`] say.
    pub async fn apply(&self, store: &Store, runtime: &Runtime, reading: &Reading) -> Result<GroupId, OneFileError> {
        let existing = store.groups().await?.into_iter().find(|group| group.definition.name == self.group);
        let id = match existing {
            Some(group) if group.definition.group_type == GroupType::Aggregate => {
                return Err(OneFileError::Aggregate(self.group.clone()));
            }
            Some(group) => {
                if self.rules_upstreams && group.definition.upstreams != self.upstreams {
                    let definition = GroupDefinition { upstreams: self.upstreams.clone(), ..group.definition };
                    runtime.execute(Command::UpdateGroup(group.id, Box::new(definition))).await?;
                }
                group.id
            }
            None => match runtime.execute(Command::CreateGroup(Box::new(self.definition()))).await? {
                Reply::Group(group) => group.id,
                _ => return Err(CommandError::NoLeader.into()),
            },
        };
        self.sync_keys(id, store, runtime, &reading.text).await?;
        Ok(id)
    }

    fn definition(&self) -> GroupDefinition {
        GroupDefinition {
            name: self.group.clone(),
            display_name: String::new(),
            description: format!("Keys of {}", self.keys_file.display()),
            group_type: GroupType::Standard,
            upstreams: self.upstreams.clone(),
            channel: Channel::OpenAi,
            sort: 1,
            test_model: TEST_MODEL.to_owned(),
            validation_endpoint: String::new(),
            param_overrides: None,
            model_redirect_rules: serde_json::Map::new(),
            model_redirect_strict: false,
            config: None,
            header_rules: None,
            proxy_keys: String::new(),
        }
    }

    async fn sync_keys(
        &self,
        group: GroupId,
        store: &Store,
        runtime: &Runtime,
        text: &str,
    ) -> Result<(), OneFileError> {
        let keys = parse(text);
        if keys.is_empty() {
            tracing::warn!(file = %self.keys_file.display(), "the keys file holds no key and is ignored");
            return Ok(());
        }
        let changes = changes(keys, &stored_keys(store, group).await?);
        let (add, remove) = (changes.add.len(), changes.remove.len());
        if add > 0 {
            // Who keeps a keys file trusts its keys: they rotate from the first request on.
            let (values, state) = (changes.add, Some(KeyState::Active));
            runtime.execute(Command::AddKeys { group, values, state, source: KeySource::File }).await?;
        }
        if remove > 0 {
            runtime.execute(Command::DeleteKeys(group, KeySelector::Ids(changes.remove))).await?;
        }
        if add + remove > 0 {
            tracing::info!(file = %self.keys_file.display(), add, remove, "the group follows the keys file");
        }
        Ok(())
    }

    /// Follows the file until the node stops; `applied` is what the group follows already.
    pub async fn watch(self, group: GroupId, applied: Reading, store: Store, runtime: Runtime) {
        let mut seen = applied.stamp;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let stamp = self.stamp();
            if stamp == seen {
                continue;
            }
            let followed = match self.read() {
                Ok(reading) => self.sync_keys(group, &store, &runtime, &reading.text).await,
                Err(error) => Err(error),
            };
            match followed {
                Ok(()) => seen = stamp,
                Err(error @ OneFileError::Unreadable { .. }) => {
                    seen = stamp;
                    tracing::warn!(%error, "the keys file cannot be read; the group keeps its keys");
                }
                Err(error) => tracing::warn!(%error, "the group could not follow the keys file yet; trying again"),
            }
        }
    }

    fn stamp(&self) -> Stamp {
        let file = std::fs::metadata(&self.keys_file).ok()?;
        Some((file.modified().ok()?, file.len()))
    }
}

async fn stored_keys(store: &Store, group: GroupId) -> Result<Vec<KeyRecord>, StoreError> {
    let filter = KeyFilter { source: Some(KeySource::File), ..KeyFilter::default() };
    let mut keys: Vec<KeyRecord> = Vec::new();
    loop {
        let batch = store.keys_after(group, &filter, keys.last().map(|key| key.id), KEYS_A_READ).await?;
        let is_last = batch.len() < KEYS_A_READ as usize;
        keys.extend(batch);
        if is_last {
            return Ok(keys);
        }
    }
}
