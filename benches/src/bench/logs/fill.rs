//! Writes the log by the way that requests take: the queue of the actors, their commits, the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use gpt_load_actors::commands::{Command, Reply};
use gpt_load_actors::routing::{RoutingSink, RoutingTable, SettingsSource};
use gpt_load_actors::runtime::Runtime;
use gpt_load_schema::channel::Channel;
use gpt_load_schema::group::{Group, GroupDefinition, GroupType, Upstream};
use gpt_load_schema::ids::{GroupId, KeyId};
use gpt_load_schema::key::{KeySource, KeyState};
use gpt_load_schema::log::{OutcomeClass, RequestLog, RequestType, TokenUsage};
use gpt_load_schema::secret::Secret;
use gpt_load_schema::settings::Settings;
use gpt_load_schema::store::Store;
use gpt_load_schema::time::Timestamp;
use uuid::Uuid;

use super::{DAYS, Options, PASSPHRASE};

const GROUPS: usize = 20;
const MODELS: [&str; 6] =
    ["gpt-4.1", "gpt-4.1-mini", "o4-mini", "claude-sonnet-4-5", "gemini-2.5-pro", "text-embedding-3-small"];
/// One row in so many asks for this model.
pub(super) const RARE_MODEL: &str = "rarely-asked-for";
const RARE: u64 = 1_000_000;
/// Rows that may wait for a commit: so many that the writer never idles, so few that none is dropped.
const WAITING: u64 = 30_000;
const KEYS_PER_COMMAND: usize = 5_000;
const MILLION: u64 = 1_000_000;
/// Rows of one second: the log is that of a node under full load, in seconds that are spread over the days.
const BUSY: u64 = 20_000;

/// What was written, and how fast.
pub(super) struct Filled {
    /// Rows a second over all.
    pub(super) rate: f64,
    /// Rows a second of the slowest million.
    pub(super) slowest: f64,
    /// Rows a second of each million.
    pub(super) curve: Vec<f64>,
    /// CPU time for one row, in microseconds, making the row included.
    pub(super) cpu_us: f64,
    /// How many rows.
    pub(super) rows: u64,
    /// Time of the first row.
    pub(super) from: Timestamp,
    /// Time of the last row.
    pub(super) until: Timestamp,
    /// A key that many rows have.
    pub(super) key: String,
    /// A row near the end of the log, and its request.
    pub(super) late: (Uuid, Uuid),
}

impl Filled {
    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "rows_per_second": self.rate,
            "slowest_million": self.slowest,
            "per_million": self.curve,
            "cpu_us_per_row": self.cpu_us,
        })
    }
}

/// Settings as they are stored; nobody is served.
struct Alone;

impl SettingsSource for Alone {
    fn system(&self, rows: &BTreeMap<String, String>) -> Settings {
        Settings::from_rows(rows).0
    }

    fn effective(&self, system: &Settings, _: &Group) -> Settings {
        system.clone()
    }
}

impl RoutingSink for Alone {
    fn publish(&self, _: Arc<RoutingTable>) {}
}

/// A group and its keys.
struct Team {
    id: GroupId,
    name: String,
    keys: Vec<(KeyId, Secret)>,
}

pub(super) fn fill(dsn: &str, options: &Options, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Filled> {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    threads.block_on(async {
        let store = Store::open(dsn, Some(&Secret::from(PASSPHRASE))).await?;
        let runtime = Runtime::start(store.clone(), Arc::new(Alone), Arc::new(Alone)).await?;
        tell(&format!("adding {} keys in {GROUPS} groups", options.keys));
        let teams = teams(&store, &runtime, options.keys).await?;
        let filled = write(&runtime, &teams, options.rows, tell).await;
        runtime.stop().await;
        filled
    })
}

async fn teams(store: &Store, runtime: &Runtime, keys: usize) -> anyhow::Result<Vec<Team>> {
    let mut teams = Vec::new();
    for number in 0..GROUPS {
        let name = name(number);
        let Reply::Group(group) = runtime.execute(Command::CreateGroup(Box::new(definition(&name)))).await? else {
            bail!("no group was made");
        };
        let values: Vec<Secret> =
            (0..keys.div_ceil(GROUPS)).map(|key| Secret::from(format!("sk-logged-{number:02}-{key:06}"))).collect();
        for values in values.chunks(KEYS_PER_COMMAND) {
            let (group, values) = (group.id, values.to_vec());
            let state = Some(KeyState::Active);
            runtime.execute(Command::AddKeys { group, values, state, source: KeySource::Manual }).await?;
        }
        let mut keys = Vec::new();
        while let batch =
            store.keys_after(group.id, &Default::default(), keys.last().map(|(id, _)| *id), 10_000).await?
            && !batch.is_empty()
        {
            keys.extend(batch.into_iter().filter_map(|key| Some((key.id, key.value?))));
        }
        teams.push(Team { id: group.id, name, keys });
    }
    Ok(teams)
}

/// Name of a group; most rows are of the first.
pub(super) fn name(number: usize) -> String {
    format!("bench-team-{number:02}")
}

async fn write(runtime: &Runtime, teams: &[Team], rows: u64, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Filled> {
    let until = Timestamp::now();
    let from = until - Duration::from_secs(DAYS * 24 * 3600);
    let step = u64::try_from(until.0 - from.0)? / rows.div_ceil(BUSY);
    let mut chance = Chance(1);
    let (mut curve, mut late) = (Vec::new(), (Uuid::nil(), Uuid::nil()));
    let (begun, cpu) = (Instant::now(), cpu_time()?);
    let mut million_begun = begun;
    for number in 0..rows {
        let at = Timestamp(from.0 + i64::try_from(number / BUSY * step + number % BUSY * 1_000 / BUSY)?);
        let row = row(teams, at, number, &mut chance);
        if number + 100 == rows {
            late = (row.id, row.request_id);
        }
        runtime.record(row);
        if number % 512 == 0 {
            while runtime.stats().logs_waiting > WAITING {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        if (number + 1) % MILLION == 0 {
            let rate = MILLION as f64 / million_begun.elapsed().as_secs_f64();
            tell(&format!("{} million rows, the last one at {rate:.0} rows a second", (number + 1) / MILLION));
            curve.push(rate);
            million_begun = Instant::now();
        }
    }
    runtime.flush().await?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_time()? - cpu);
    let stats = runtime.stats();
    ensure!(stats.logs_dropped == 0 && stats.logs_written == rows, "not every row was written: {stats:?}");
    let rate = rows as f64 / seconds;
    Ok(Filled {
        rate,
        slowest: curve.iter().copied().fold(rate, f64::min),
        curve,
        cpu_us: cpu.as_secs_f64() * 1e6 / rows as f64,
        rows,
        from,
        until,
        key: teams.first().and_then(|team| team.keys.first()).context("no key")?.1.expose().to_owned(),
        late,
    })
}

/// CPU time of this process.
fn cpu_time() -> anyhow::Result<Duration> {
    let usage = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = usage.rsplit_once(')').context("/proc/self/stat is malformed")?;
    let ticks = fields.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Ok(Duration::from_secs_f64(ticks.sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Numbers that look random and are the same in each run (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap_or(0)
    }
}

/// A row as requests leave it: half of them in the first group, one in ten failed, one in twenty followed by another attempt.
fn row(teams: &[Team], timestamp: Timestamp, number: u64, chance: &mut Chance) -> RequestLog {
    let team = &teams[if chance.below(2) == 0 { 0 } else { chance.below(teams.len()) }];
    let key = team.keys[chance.below(team.keys.len())].clone();
    let dice = chance.below(100);
    let (class, status_code, is_success) = match dice {
        0..5 => (OutcomeClass::RateLimited, 429, false),
        5..8 => (OutcomeClass::UpstreamFault, 503, false),
        8..10 => (OutcomeClass::ClientError, 400, false),
        _ => (OutcomeClass::Success, 200, true),
    };
    let model = if number % RARE == RARE / 2 { RARE_MODEL } else { MODELS[chance.below(MODELS.len())] };
    RequestLog {
        id: Uuid::now_v7(),
        request_id: Uuid::now_v7(),
        attempt: 1,
        timestamp,
        group_id: team.id,
        group_name: team.name.clone(),
        parent: (dice % 10 == 9).then(|| (GroupId(1_000), "bench-aggregate".to_owned())),
        key: Some(key),
        model: model.to_owned(),
        upstream_model: None,
        class: Some(class),
        evidence: (!is_success).then(|| format!("status-{status_code}")),
        is_success,
        source_ip: format!("10.0.{}.{}", chance.below(4), chance.below(250)),
        status_code,
        request_path: "/v1/chat/completions".to_owned(),
        duration_ms: 400 + i64::try_from(chance.below(4_000)).unwrap_or(0),
        first_byte_ms: Some(200),
        error_message: if is_success { String::new() } else { "The provider could not serve the request".to_owned() },
        user_agent: String::new(),
        request_type: if dice < 5 { RequestType::Retry } else { RequestType::Final },
        upstream_addr: "https://api.openai.com/v1/chat/completions".to_owned(),
        is_stream: dice % 2 == 0,
        request_body: String::new(),
        usage: TokenUsage { input: Some(900), output: Some(250), cached: Some(300), reasoning: None },
        finish_reason: Some("stop".to_owned()),
    }
}

fn definition(name: &str) -> GroupDefinition {
    GroupDefinition {
        name: name.to_owned(),
        display_name: String::new(),
        description: String::new(),
        group_type: GroupType::Standard,
        upstreams: vec![Upstream { url: "https://api.openai.com".to_owned(), weight: 1 }],
        channel: Channel::OpenAi,
        sort: 0,
        test_model: "bench".to_owned(),
        validation_endpoint: String::new(),
        param_overrides: None,
        model_redirect_rules: serde_json::Map::new(),
        model_redirect_strict: false,
        config: None,
        header_rules: None,
        proxy_keys: String::new(),
    }
}
