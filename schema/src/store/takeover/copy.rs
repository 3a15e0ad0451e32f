//! The copy itself, batch by batch. Each batch is one transaction that also stores how far the copy is, so that a copy
//! that was killed goes on where it was, and no row counts twice.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Moment, Options, Watch,
    progress::{BEFORE_ALL, Progress, Stage},
    target::Target,
};
use crate::{
    group::{Group, GroupType},
    ids::{GroupId, KeyId},
    settings::Settings,
    store::{
        StoreError, StoreResult,
        dialect::{Cell, Clash, Rows},
        group_rows, key_rows,
        logs::{LOG_COLUMNS, LogRow},
        pool::blocking,
        settings as setting_rows,
    },
    takeover::{
        cipher::LegacyCipher,
        groups::group,
        keys::{KeyRules, TakenGroup},
        logs::{Hour, LogRules, hour},
        settings::settings,
        source::{Logs, Source},
    },
    time::Timestamp,
};

const KEY_BATCH: usize = key_rows::KEY_BATCH;
const HOUR_BATCH: usize = 1_000;
/// Rows of the log may be large: this many are some megabytes.
const LOG_BATCH: usize = 250;
/// The newest log rows that are copied at most.
const MAX_LOGS: i64 = 1_000_000;
const MAX_WEIGHT: i64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);

const SETTING_COLUMNS: &[&str] = &["setting_key", "setting_value", "created_at", "updated_at"];
const MEMBER_COLUMNS: &[&str] = &["group_id", "sub_group_id", "weight", "created_at", "updated_at"];
const HOUR_COLUMNS: &[&str] =
    &["group_id", "time", "is_aggregate", "success_count", "failure_count", "created_at", "updated_at"];

/// A copy under way.
pub(super) struct Copying<'a> {
    pub(super) source: &'a mut dyn Source,
    pub(super) target: &'a mut Target,
    /// Where the rows come from, as the stored progress names it.
    pub(super) name: &'a str,
    pub(super) cipher: Arc<LegacyCipher>,
    pub(super) options: Options,
    pub(super) progress: Progress,
    pub(super) watch: &'a mut Watch,
}

impl Copying<'_> {
    /// Copies everything up to, and without, the check.
    pub(super) async fn run(&mut self) -> StoreResult<()> {
        loop {
            match self.progress.stage {
                Stage::Settings => self.settings().await?,
                Stage::Groups => self.groups().await?,
                Stage::Keys => self.keys().await?,
                Stage::Hours => self.hours().await?,
                Stage::Logs => self.logs().await?,
                Stage::Check | Stage::Done => return Ok(()),
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.progress.started_at
    }

    async fn commit(&mut self, rows: Vec<Rows>, progress: Progress) -> StoreResult<()> {
        self.target.commit(self.name, rows, &progress).await?;
        self.progress = progress;
        Ok(())
    }

    fn tell(&mut self, done: i64, total: i64) {
        (self.watch)(Moment { stage: self.progress.stage.as_str(), done, total: total.max(done) });
    }

    async fn settings(&mut self) -> StoreResult<()> {
        let rows = self.source.settings().await?;
        let mut progress = self.progress.clone();
        let mut taken: BTreeMap<&str, String> = settings(rows, &mut progress.report).into_iter().collect();
        let mut in_force = BTreeMap::new();
        if let Some(store) = self.target.live() {
            in_force = store.settings().await?;
            keep_what_is_set(&in_force, &mut taken);
        }
        in_force.extend(taken.iter().map(|(key, text)| ((*key).to_owned(), text.clone())));
        let (in_force, _) = Settings::from_rows(&in_force);
        progress.retention_days = in_force.request_log_retention_days;
        progress.backoff_seconds = in_force.backoff_initial_seconds;
        progress.longest_backoff_seconds = in_force.backoff_max_seconds;
        progress.stage = Stage::Groups;
        let (vault, now) = (self.target.vault(), self.now());
        let cells = |(key, text): (&&str, &String)| {
            let row = setting_rows::row(&vault, key, text, now);
            vec![row.setting_key.into(), row.setting_value.into(), row.created_at.into(), row.updated_at.into()]
        };
        let cells = taken.iter().map(cells).collect();
        progress.report.settings_taken += number(taken.len());
        self.commit(vec![rows_of("system_settings", SETTING_COLUMNS, cells, Clash::Replace)], progress).await
    }

    async fn groups(&mut self) -> StoreResult<()> {
        let (rows, members) = (self.source.groups().await?, self.source.members().await?);
        let mut last = rows.iter().filter_map(|row| row.id).max().unwrap_or(0).max(0);
        let now = self.now();
        let mut progress = self.progress.clone();
        let report = &mut progress.report;
        report.groups_read += number(rows.len());
        let mut groups: Vec<Group> = rows.into_iter().map(|row| group(row, now, report)).collect();
        let present = match self.target.live() {
            Some(store) => store.groups().await?,
            None => Vec::new(),
        };
        let first = self.target.reserve("groups", groups.len()).await?;
        let mut names: HashSet<String> = present.iter().map(|group| group.definition.name.clone()).collect();
        for (position, group) in groups.iter_mut().enumerate() {
            let old = group.id.0;
            let aggregate = group.definition.group_type == GroupType::Aggregate;
            // A copy that is made once more finds its groups again, whatever they are called by now.
            let known = progress.groups.get(&old).and_then(|taken| present.iter().find(|group| group.id == taken.id));
            let same = known.or_else(|| present.iter().find(|present| is_same(present, group)));
            let merged = same.is_some();
            group.id = match (same, first) {
                (Some(same), _) => same.id,
                (None, Some(first)) => GroupId(first + number(position)),
                (None, None) if old > 0 => group.id,
                // Ids here are above 0.
                (None, None) => {
                    last += 1;
                    GroupId(last)
                }
            };
            if !merged {
                name_apart(&mut names, group, &mut progress.report);
            }
            progress.groups.insert(old, TakenGroup { id: group.id, aggregate, merged });
        }
        progress.report.groups_merged = number(progress.groups.values().filter(|group| group.merged).count());
        let fresh: HashSet<i64> =
            progress.groups.values().filter(|group| !group.merged).map(|group| group.id.0).collect();
        let vault = self.target.vault();
        let cells =
            groups.iter().filter(|group| fresh.contains(&group.id.0)).map(|group| group_rows::cells(&vault, group));
        let cells: Vec<Vec<Cell>> = cells.collect::<StoreResult<_>>()?;
        progress.report.groups_taken += number(cells.len());
        progress.report.members_read += number(members.len());
        let mut member_cells: Vec<Vec<Cell>> = Vec::new();
        let mut pairs = HashSet::new();
        for member in members {
            let find = |id: Option<i64>| progress.groups.get(&id.unwrap_or(0));
            let (Some(parent), Some(child)) = (find(member.group_id), find(member.sub_group_id)) else { continue };
            if parent.aggregate && !parent.merged && !child.aggregate && pairs.insert((parent.id, child.id)) {
                let weight = member.weight.unwrap_or(0).clamp(0, MAX_WEIGHT);
                let cells: [Cell; 5] =
                    [parent.id.0.into(), child.id.0.into(), weight.into(), now.0.into(), now.0.into()];
                member_cells.push(cells.into());
            }
        }
        progress.report.members_taken += number(member_cells.len());
        progress.stage = Stage::Keys;
        let rows = vec![
            rows_of("groups", group_rows::GROUP_COLUMNS, cells, Clash::Fail),
            rows_of("group_sub_groups", MEMBER_COLUMNS, member_cells, Clash::Fail),
        ];
        self.commit(rows, progress).await
    }

    async fn keys(&mut self) -> StoreResult<()> {
        let total = self.source.count("api_keys").await?;
        let rules = Arc::new(KeyRules {
            cipher: Arc::clone(&self.cipher),
            groups: self.progress.groups.clone(),
            now: self.now(),
            backoff: Duration::from_secs(self.progress.backoff_seconds),
            longest_backoff: Duration::from_secs(self.progress.longest_backoff_seconds),
            leave_unreadable: self.options.leave_unreadable,
        });
        // Below it are the ids that the old program gave, so that those of keys that need another are above.
        let highest = self.source.highest("api_keys").await?;
        loop {
            let batch = self.source.keys(self.progress.key.unwrap_or(BEFORE_ALL), KEY_BATCH).await?;
            let mut progress = self.progress.clone();
            progress.last_key = progress.last_key.max(highest);
            let Some(last) = batch.last() else {
                progress.stage = Stage::Hours;
                return self.commit(Vec::new(), progress).await;
            };
            progress.key = last.id;
            let first = self.target.reserve("api_keys", batch.len()).await?;
            let (vault, rules) = (self.target.vault(), Arc::clone(&rules));
            let (keys, mut progress) = blocking(move || {
                let mut keys = Vec::with_capacity(batch.len());
                for row in batch {
                    let record = rules.record(row, &mut progress.report).map_err(|id| {
                        StoreError::Encryption(format!("the key {id} does not open with the passphrase any more"))
                    })?;
                    if let Some((mut record, value)) = record.and_then(|record| Some((record.clone(), record.value?))) {
                        record.id = match first {
                            Some(first) => KeyId(first + number(keys.len())),
                            None if record.id.0 > 0 => record.id,
                            None => {
                                progress.last_key += 1;
                                KeyId(progress.last_key)
                            }
                        };
                        let of = (record.group_id.0, vault.hash(value.expose()));
                        keys.push((of, key_rows::cells(&vault, &record, &value)));
                    }
                }
                Ok((keys, progress))
            })
            .await?;
            // The lowest id comes first, and of keys that are the same the first one stays.
            let present = self.target.key_ids(keys.iter().map(|(of, _)| of.clone()).collect()).await?;
            let mut known: HashSet<(i64, String)> = present.into_iter().map(|(group, hash, _)| (group, hash)).collect();
            let read = keys.len();
            let cells: Vec<_> = keys.into_iter().filter_map(|(of, cells)| known.insert(of).then_some(cells)).collect();
            progress.report.keys.taken += number(cells.len());
            progress.report.keys.duplicates += number(read - cells.len());
            self.commit(vec![rows_of("api_keys", key_rows::KEY_COLUMNS, cells, Clash::Fail)], progress).await?;
            self.tell(self.progress.report.keys.read, total);
        }
    }

    async fn hours(&mut self) -> StoreResult<()> {
        let total = self.source.count("group_hourly_stats").await?;
        let keep_unknown = self.target.live().is_none();
        loop {
            let batch = self.source.hours(self.progress.hour.unwrap_or(BEFORE_ALL), HOUR_BATCH).await?;
            let mut progress = self.progress.clone();
            let Some(last) = batch.last() else {
                progress.stage = Stage::Logs;
                return self.commit(Vec::new(), progress).await;
            };
            progress.hour = last.position;
            let now = self.now().0;
            // One statement must not name an hour twice.
            let mut hours: BTreeMap<_, Hour> = BTreeMap::new();
            for row in &batch {
                if let Some(hour) = hour(row, &progress.groups, keep_unknown, &mut progress.report) {
                    hours.entry((hour.group_id, hour.time)).and_modify(|same| same.add(&hour)).or_insert(hour);
                }
            }
            let cells = hours
                .values()
                .map(|hour| {
                    vec![
                        hour.group_id.0.into(),
                        hour.time.0.into(),
                        hour.is_aggregate.into(),
                        hour.successes.into(),
                        hour.failures.into(),
                        now.into(),
                        now.into(),
                    ]
                })
                .collect();
            let rows = rows_of("group_hourly_stats", HOUR_COLUMNS, cells, Clash::AddHour);
            self.commit(vec![rows], progress).await?;
            self.tell(self.progress.report.hours.read, total);
        }
    }

    async fn logs(&mut self) -> StoreResult<()> {
        let total = self.source.count("request_logs").await?;
        let days = u32::try_from(self.progress.retention_days).unwrap_or(u32::MAX);
        let since = if days == 0 { Timestamp::default() } else { self.now() - DAY.saturating_mul(days) };
        let rules =
            Arc::new(LogRules { cipher: Arc::clone(&self.cipher), groups: self.progress.groups.clone(), since });
        loop {
            let read = self.progress.report.logs.read;
            let limit = usize::try_from(MAX_LOGS - read).unwrap_or(0).min(LOG_BATCH);
            let batch = match limit {
                0 => Logs { rows: Vec::new(), next: None },
                limit => self.source.logs(self.progress.log_from.clone(), limit).await?,
            };
            let mut progress = self.progress.clone();
            progress.log_from = batch.next;
            let batch = batch.rows;
            if progress.log_from.is_none() {
                progress.stage = Stage::Check;
                progress.report.logs.beyond = (total - read - number(batch.len())).max(0);
            }
            let (vault, hashing) = (self.target.vault(), Arc::clone(&rules));
            let (mut logs, mut progress) = blocking(move || {
                let logs: Vec<_> = batch
                    .into_iter()
                    .filter_map(|row| hashing.log(row, &mut progress.report))
                    .map(|(log, key)| (log, key.map(|key| (vault.hash(key.expose()), key))))
                    .collect();
                Ok((logs, progress))
            })
            .await?;
            let mut known = self.target.log_ids(logs.iter().map(|(log, _)| log.id).collect()).await?;
            let given = logs.len();
            logs.retain(|(log, _)| known.insert(log.id.to_string()));
            progress.report.logs.taken += number(logs.len());
            progress.report.logs.left += number(given - logs.len());
            let named: HashSet<(i64, String)> =
                logs.iter().filter_map(|(log, key)| Some((log.group_id.0, key.as_ref()?.0.clone()))).collect();
            let ids = self.target.key_ids(named.into_iter().collect()).await?;
            let vault = self.target.vault();
            let cells = blocking(move || {
                let ids: HashMap<_, _> = ids.into_iter().map(|(group, hash, id)| ((group, hash), id)).collect();
                let cells = logs.into_iter().map(|(mut log, key)| {
                    let group = log.group_id.0;
                    // No key has the id 0: the row names a key that is gone.
                    log.key = key.map(|(hash, key)| (KeyId(ids.get(&(group, hash)).copied().unwrap_or(0)), key));
                    LogRow::new(&vault, log).cells()
                });
                Ok(cells.collect())
            })
            .await?;
            self.commit(vec![rows_of("request_logs", LOG_COLUMNS, cells, Clash::Fail)], progress).await?;
            self.tell(self.progress.report.logs.read, total.min(MAX_LOGS));
            if self.progress.stage == Stage::Check {
                return Ok(());
            }
        }
    }
}

/// Of settings that are set here already only the proxy keys are changed: those of the old installation go on working.
fn keep_what_is_set(set: &BTreeMap<String, String>, taken: &mut BTreeMap<&str, String>) {
    const PROXY_KEYS: &str = "proxy_keys";
    let keys = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect()
    };
    let proxy_keys = taken.get(PROXY_KEYS).zip(set.get(PROXY_KEYS)).map(|(old, set)| {
        let mut all = keys(set);
        let more: Vec<String> = keys(old).into_iter().filter(|key| !all.contains(key)).collect();
        all.extend(more);
        all.join(",")
    });
    taken.retain(|key, _| !set.contains_key(*key));
    if let Some(proxy_keys) = proxy_keys.filter(|all| set.get(PROXY_KEYS) != Some(all)) {
        taken.insert(PROXY_KEYS, proxy_keys);
    }
}

/// Whether keys of `group` belong into `present`.
fn is_same(present: &Group, group: &Group) -> bool {
    let (here, there) = (&present.definition, &group.definition);
    here.name == there.name && here.channel == there.channel && here.group_type == there.group_type
}

/// Gives a group another name when its own is taken.
fn name_apart(names: &mut HashSet<String>, group: &mut Group, report: &mut crate::takeover::Report) {
    let name = group.definition.name.clone();
    let mut free = name.clone();
    let mut number = 1;
    while !names.insert(free.clone()) {
        number += 1;
        free = format!("{}-{number}", name.chars().take(90).collect::<String>());
    }
    if free != name {
        report.find(format!("the group `{name}` is called `{free}` here: another group has its name"));
        group.definition.name = free;
    }
}

fn rows_of(table: &str, columns: &'static [&'static str], rows: Vec<Vec<Cell>>, clash: Clash) -> Rows {
    Rows { table: table.to_owned(), columns, rows, clash }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
