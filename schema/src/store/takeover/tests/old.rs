//! Databases as older programs left them, of several generations.

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
    sql_types::Text,
};
use tempfile::TempDir;

use crate::crypto::legacy::{LegacyKey, plain_hash};

/// What the old program had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// Before key hashes: old indexes, `retries` in the log.
    First,
    /// Two key states, aggregate groups, redirects, notes.
    Two,
    /// Five key states.
    Five,
    /// One program after the other.
    Both,
}

/// A file of an older program.
pub(super) struct Old {
    pub(super) path: String,
    _dir: TempDir,
}

const SETTINGS: &str = "
CREATE TABLE `system_settings` (`id` integer PRIMARY KEY AUTOINCREMENT,`setting_key` varchar(255) NOT NULL,
  `setting_value` text NOT NULL,`description` varchar(512),`created_at` datetime,`updated_at` datetime,
  CONSTRAINT `uni_system_settings_setting_key` UNIQUE (`setting_key`));
INSERT INTO system_settings (setting_key, setting_value, created_at) VALUES
  ('app_url','http://old.example:3001','2025-01-01 08:00:00+08:00'), ('proxy_keys','pk-old-1,pk-old-2',NULL),
  ('request_timeout','1e+06',NULL), ('failover_status_codes','400-403,405-999',NULL), ('theme','dark',NULL),
  ('request_log_retention_days','7',NULL), ('blacklist_threshold','5',NULL);
";

const HOURS: &str = "
CREATE TABLE `group_hourly_stats` (`id` integer PRIMARY KEY AUTOINCREMENT,`time` datetime NOT NULL,
  `group_id` integer NOT NULL,`success_count` integer NOT NULL DEFAULT 0,`failure_count` integer NOT NULL DEFAULT 0,
  `created_at` datetime,`updated_at` datetime);
CREATE UNIQUE INDEX `idx_group_time` ON `group_hourly_stats`(`time`,`group_id`);
INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count) VALUES
  ('2026-01-01 08:00:00+08:00',1,10,1), ('2026-01-01 00:00:00+00:00',1,5,2), ('2026-01-01T01:00:00Z',1,1,0),
  ('2026-01-01 00:00:00+00:00',77,3,0), ('broken',1,100,100);
";

impl Old {
    /// An empty installation: settings, the groups `openai` (1) and `claude` (2), statistics; no keys and no log rows.
    pub(super) fn new(generation: Generation) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("gpt-load.db").to_str().expect("UTF-8").to_owned();
        let old = Self { path, _dir: dir };
        old.run(SETTINGS);
        old.run(&groups(generation));
        old.run(&keys(generation));
        old.run(&logs(generation));
        old.run(HOURS);
        old
    }

    pub(super) fn run(&self, sql: &str) {
        self.connection().batch_execute(sql).expect(sql);
    }

    pub(super) fn connection(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(&self.path).expect("the file");
        connection.batch_execute("PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = 5000").expect("a setting");
        connection
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("readable")
    }

    /// Files beside the database whose names hold `word`.
    pub(super) fn beside(&self, word: &str) -> Vec<String> {
        let dir = std::path::Path::new(&self.path).parent().expect("a folder");
        let entries = std::fs::read_dir(dir).expect("readable");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        names.filter(|name| name.contains(word)).collect()
    }

    /// Adds keys `sk-<number>` in clear text to a group.
    pub(super) fn plain_keys(&self, group: i64, numbers: std::ops::Range<i64>) {
        let row = |number: i64| {
            let value = format!("sk-{number}");
            format!("({group},'{value}','{}','active')", plain_hash(&value))
        };
        let rows: Vec<String> = numbers.map(row).collect();
        self.run(&format!("INSERT INTO api_keys (group_id,key_value,key_hash,status) VALUES {}", rows.join(",")));
    }
}

fn groups(generation: Generation) -> String {
    let more = match generation {
        Generation::First | Generation::Five => "",
        Generation::Two | Generation::Both => {
            ",`group_type` varchar(50) DEFAULT 'standard',`header_rules` json,`model_redirect_rules` json,\
             `model_redirect_strict` numeric DEFAULT false"
        }
    };
    let mut sql = format!(
        "CREATE TABLE `groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` varchar(255) NOT NULL,`display_name` varchar(255),
           `proxy_keys` text,`description` varchar(512),`upstreams` JSON NOT NULL,`validation_endpoint` varchar(255),
           `channel_type` varchar(50) NOT NULL,`sort` integer DEFAULT 0,`test_model` varchar(255) NOT NULL,
           `param_overrides` JSON,`config` JSON,`last_validated_at` datetime,`created_at` datetime,`updated_at` datetime{more},
           CONSTRAINT `uni_groups_name` UNIQUE (`name`));
         INSERT INTO groups (id,name,display_name,proxy_keys,upstreams,channel_type,sort,test_model,config,created_at) VALUES
           (1,'openai','Open','pk-1',CAST('[{{\"url\":\"https://api.openai.com\",\"weight\":1}}]' AS BLOB),'openai',3,'gpt-4.1-nano',
            '{{\"max_retries\":7,\"theme\":1}}','2025-06-01 08:00:00.123456789+08:00'),
           (2,'claude','','','[{{\"url\":\"https://api.anthropic.com\",\"weight\":2}}]','anthropic',0,'claude-x','null',NULL);"
    );
    if !more.is_empty() {
        sql.push_str(
            "INSERT INTO groups (id,name,upstreams,channel_type,test_model,group_type,model_redirect_rules) VALUES
               (3,'all','[]','openai','-','aggregate','{}');
             UPDATE groups SET group_type = NULL WHERE id = 2;
             UPDATE groups SET header_rules = '[{\"key\":\"x-team\",\"value\":\"a\",\"action\":\"set\"}]',
               model_redirect_rules = '{\"a\":\"b\"}', model_redirect_strict = 1 WHERE id = 1;
             CREATE TABLE `group_sub_groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`group_id` integer NOT NULL,
               `sub_group_id` integer NOT NULL,`weight` integer DEFAULT 0,`created_at` datetime,`updated_at` datetime);
             CREATE UNIQUE INDEX `idx_group_sub` ON `group_sub_groups`(`group_id`,`sub_group_id`);
             INSERT INTO group_sub_groups (group_id,sub_group_id,weight) VALUES (3,1,70),(3,99,5),(9,1,5);",
        );
    }
    sql
}

fn keys(generation: Generation) -> String {
    let hash = if generation == Generation::First { "" } else { ",`key_hash` varchar(128)" };
    let two = match generation {
        Generation::Two | Generation::Both => ",`notes` varchar(255) DEFAULT ''",
        Generation::First | Generation::Five => "",
    };
    let five = match generation {
        Generation::Five | Generation::Both => {
            ",`last_failure_at` datetime,`last_success_at` datetime,`last_validated_at` datetime,`disabled_until` datetime,\
             `consecutive_failures` integer NOT NULL DEFAULT 0,`backoff_level` integer NOT NULL DEFAULT 0,`last_error_message` text"
        }
        Generation::First | Generation::Two => "",
    };
    let indexes = match generation {
        Generation::First => {
            "CREATE UNIQUE INDEX `idx_group_key` ON `api_keys`(`group_id`,`key_value`);
             CREATE INDEX `idx_api_keys_group_id_key_value` ON `api_keys`(`group_id`,`key_value`);"
        }
        Generation::Two | Generation::Five | Generation::Both => {
            "CREATE INDEX `idx_api_keys_key_hash` ON `api_keys`(`key_hash`);
             CREATE INDEX `idx_api_keys_group_last_used_id` ON `api_keys`(`group_id`,`last_used_at`,`id`);"
        }
    };
    format!(
        "CREATE TABLE `api_keys` (`id` integer PRIMARY KEY AUTOINCREMENT,`key_value` text NOT NULL,`group_id` integer NOT NULL,
           `status` varchar(50) NOT NULL DEFAULT 'active',`request_count` integer NOT NULL DEFAULT 0,
           `failure_count` integer NOT NULL DEFAULT 0,`last_used_at` datetime,`created_at` datetime,
           `updated_at` datetime{hash}{two}{five},CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups`(`id`));
         CREATE INDEX `idx_api_keys_group_id` ON `api_keys`(`group_id`); {indexes}"
    )
}

fn logs(generation: Generation) -> String {
    let more = match generation {
        Generation::First => ",`retries` integer",
        Generation::Five => "",
        Generation::Two | Generation::Both => ",`parent_group_id` integer,`parent_group_name` varchar(255)",
    };
    format!(
        "CREATE TABLE `request_logs` (`id` varchar(36),`timestamp` datetime NOT NULL,`group_id` integer NOT NULL,
           `group_name` varchar(255),`key_value` text,`key_hash` varchar(128),`model` varchar(255),`is_success` numeric NOT NULL,
           `source_ip` varchar(64),`status_code` integer NOT NULL,`request_path` varchar(500),`duration` integer NOT NULL,
           `error_message` text,`user_agent` varchar(512),`request_type` varchar(20) NOT NULL DEFAULT 'final',
           `upstream_addr` varchar(500),`is_stream` numeric NOT NULL,`request_body` text{more},PRIMARY KEY (`id`));
         CREATE INDEX `idx_request_logs_timestamp` ON `request_logs`(`timestamp`);"
    )
}

/// An encrypted installation with `count` rows of keys and everything that ever went wrong in one.
///
/// Of every hundred keys: 1 repeats the one before, 1 is of a group that is gone, 1 has no hash, 1 is in clear text,
/// 10 are invalid. Times are under three offsets and in four forms. A key migration was broken off.
pub(super) fn troubled(passphrase: &str, count: i64) -> Old {
    let old = Old::new(Generation::Both);
    let key = LegacyKey::derive(&passphrase.into());
    let mut connection = old.connection();
    connection.batch_execute("BEGIN").expect("begins");
    for id in 1..=count {
        let number = if id % 100 == 50 { id - 1 } else { id };
        let value = format!("sk-{number}");
        let group = if id % 100 == 51 { 42 } else { 1 + number % 2 };
        let group = if id % 100 == 50 { 1 + (id - 1) % 2 } else { group };
        let (stored, hash) = match id % 100 {
            52 => (key.seal(&value), "NULL".to_owned()),
            53 => (value.clone(), format!("'{}'", plain_hash(&value))),
            _ => (key.seal(&value), format!("'{}'", key.hash(&value))),
        };
        let status = if id % 10 == 7 { "invalid" } else { "active" };
        let created = match id % 4 {
            0 => "2025-12-01 08:00:00.5+08:00",
            1 => "2025-12-01T00:00:00Z",
            2 => "2025-12-01 00:00:00 +0000 UTC m=+0.1",
            _ => "2025-11-30 19:00-05:00",
        };
        let sql = format!(
            "INSERT INTO api_keys (id,key_value,key_hash,group_id,status,notes,request_count,failure_count,created_at) VALUES \
             ({id},'{stored}',{hash},{group},'{status}','note {id}',{id},{},'{created}')",
            id % 10
        );
        connection.batch_execute(&sql).expect("a key");
    }
    for number in 0..600 {
        let value = format!("sk-{}", number + 1);
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(number / 2);
        let shown = at + jiff::SignedDuration::from_hours(8);
        let sql = format!(
            "INSERT INTO request_logs (id,timestamp,group_id,group_name,key_value,key_hash,model,is_success,status_code,
               request_path,duration,is_stream,parent_group_id,parent_group_name) VALUES
             ('{}','{}+08:00',{},'openai','{}','{}','m',1,200,'/v1/chat/completions',12,0,3,'all')",
            uuid::Uuid::new_v4(),
            shown.strftime("%Y-%m-%d %H:%M:%S%.f"),
            1 + (number + 1) % 2,
            key.seal(&value),
            key.hash(&value),
        );
        connection.batch_execute(&sql).expect("a log row");
    }
    connection
        .batch_execute(
            "UPDATE request_logs SET key_value = 'failed-to-encryption', error_message = CAST(x'ff61' AS TEXT) \
             WHERE rowid = 1; COMMIT; \
             CREATE TABLE `temp_migration` (`id` integer PRIMARY KEY,`key_value_new` text,`key_hash_new` varchar(255)); \
             INSERT INTO temp_migration VALUES (1,'half','done'); \
             CREATE TABLE `policies` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` varchar(255)); \
             INSERT INTO policies (name) VALUES ('one')",
        )
        .expect("the rest");
    old
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

fn lines(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let lines: Vec<Line> = sql_query(sql).load(connection).expect(sql);
    lines.into_iter().map(|line| line.text).collect()
}

/// Every row of every table whose name `named` answers another name for, and the statements that made them, quotes aside.
pub(super) fn dump(path: &str, named: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut connection = SqliteConnection::establish(path).expect("the file");
    let mut all = Vec::new();
    for table in lines(&mut connection, "SELECT name AS text FROM sqlite_master WHERE type = 'table' ORDER BY name") {
        let Some(shown) = named(&table) else { continue };
        let columns = lines(&mut connection, &format!("SELECT name AS text FROM pragma_table_info('{table}')"));
        let row: Vec<String> =
            columns.iter().map(|column| format!("typeof(\"{column}\")||quote(CAST(\"{column}\" AS BLOB))")).collect();
        let sql = format!("SELECT {} AS text FROM \"{table}\" ORDER BY 1", row.join("||'|'||"));
        all.extend(lines(&mut connection, &sql).into_iter().map(|row| format!("{shown}: {row}")));
        let sql = format!(
            "SELECT sql AS text FROM sqlite_master WHERE tbl_name = '{table}' AND sql IS NOT NULL ORDER BY name"
        );
        let plain = |sql: String| sql.replace(['`', '"', '\n', ' '], "").replace(&table, &shown);
        all.extend(lines(&mut connection, &sql).into_iter().map(plain));
    }
    all
}
