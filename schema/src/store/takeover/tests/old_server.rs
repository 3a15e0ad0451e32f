//! Databases on servers, as older programs left them, of several generations.

use jiff::SignedDuration;

use super::old::Generation;
use crate::{
    crypto::legacy::{LegacyKey, plain_hash},
    store::testing::{Database, Kind},
};

/// 2025-12-01T00:00:00.500Z, when everything was made.
pub(super) const MADE: i64 = 1_764_547_200_500;
/// The zone of times on MySQL, as its DSN says it, and the hours that it is ahead of UTC.
const LOC: &str = "parseTime=True&charset=utf8mb4&loc=Asia%2FShanghai";
const AHEAD: i64 = 8;

/// A database of an older program; dropped with this.
pub(super) struct OldServer {
    pub(super) kind: Kind,
    pub(super) database: Database,
}

impl OldServer {
    /// An empty installation: settings, the groups `openai` (1) and `claude` (2), statistics; no keys and no log rows.
    pub(super) fn new(kind: Kind, generation: Generation) -> Self {
        let old = Self { kind, database: Database::new(kind) };
        old.run(&old.words(TABLES));
        old.run(&old.words(&groups(generation)));
        old.run(&old.words(&keys(generation)));
        old.run(&old.words(&logs(generation)));
        let hour = |at: i64| old.time(at);
        old.run(&format!(
            "INSERT INTO group_hourly_stats (time, group_id, success_count, failure_count) VALUES ({0},1,10,1), ({0},2,5,2), \
             ({1},1,1,0), ({0},77,3,0)",
            hour(1_767_225_600_000),
            hour(1_767_229_200_000),
        ));
        old
    }

    /// What `DATABASE_DSN` was for the older program.
    pub(super) fn dsn(&self) -> String {
        match self.kind {
            Kind::Mysql => format!("{}?{LOC}", self.database.dsn()),
            Kind::Postgres | Kind::Sqlite => self.database.dsn().to_owned(),
        }
    }

    /// Runs statements without regard to foreign keys.
    pub(super) fn run(&self, sql: &str) {
        let lenient = match self.kind {
            Kind::Postgres => "SET session_replication_role = replica",
            Kind::Mysql | Kind::Sqlite => "SET SESSION foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        };
        self.database.run(&format!("{lenient}; {sql}"));
    }

    /// `at`, milliseconds since 1970, as the older program stored it.
    pub(super) fn time(&self, at: i64) -> String {
        let at = jiff::Timestamp::from_millisecond(at).expect("a time");
        match self.kind {
            // Whatever the zone of the session, a stored time is the same.
            Kind::Postgres => {
                (at - SignedDuration::from_hours(5)).strftime("'%Y-%m-%d %H:%M:%S%.3f-05:00'").to_string()
            }
            Kind::Mysql | Kind::Sqlite => {
                (at + SignedDuration::from_hours(AHEAD)).strftime("'%Y-%m-%d %H:%M:%S%.3f'").to_string()
            }
        }
    }

    /// Statements in the words of this server.
    fn words(&self, sql: &str) -> String {
        let words = match self.kind {
            Kind::Postgres => [
                ("{id}", "bigserial"),
                ("{uint}", "bigint"),
                ("{time}", "timestamptz"),
                ("{json}", "JSONB"),
                ("{text}", "text"),
                ("{end}", ""),
            ],
            Kind::Mysql | Kind::Sqlite => [
                ("{id}", "bigint unsigned AUTO_INCREMENT"),
                ("{uint}", "bigint unsigned"),
                ("{time}", "datetime(3) NULL"),
                ("{json}", "JSON"),
                ("{text}", "longtext"),
                ("{end}", " DEFAULT CHARSET = utf8mb4"),
            ],
        };
        let sql = words.iter().fold(sql.to_owned(), |sql, (word, means)| sql.replace(word, means));
        if self.kind == Kind::Postgres { sql.replace('`', "\"") } else { sql }
    }

    /// Adds keys `sk-<number>` in clear text to a group.
    pub(super) fn plain_keys(&self, group: i64, numbers: std::ops::Range<i64>) {
        let row = |number: i64| {
            let value = format!("sk-{number}");
            format!("({group},'{value}','{}','active')", plain_hash(&value))
        };
        let rows: Vec<String> = numbers.map(row).collect();
        for rows in rows.chunks(1_000) {
            self.run(&format!("INSERT INTO api_keys (group_id,key_value,key_hash,status) VALUES {}", rows.join(",")));
        }
    }

    /// Every row of every table whose name `named` answers another name for, and what is known of these tables.
    pub(super) fn dump(&self, named: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut all = Vec::new();
        for table in self.tables() {
            let Some(shown) = named(&table) else { continue };
            all.extend(self.rows(&table).into_iter().map(|row| format!("{shown}: {row}")));
            all.extend(self.database.column(&self.about(&table)).into_iter().map(|line| format!("{shown} {line}")));
        }
        all
    }

    /// The rows of [`OldServer::dump`].
    pub(super) fn rows_of(&self, named: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut all = Vec::new();
        for table in self.tables() {
            let Some(shown) = named(&table) else { continue };
            all.extend(self.rows(&table).into_iter().map(|row| format!("{shown}: {row}")));
        }
        all.sort();
        all
    }

    /// Names of all tables.
    pub(super) fn tables(&self) -> Vec<String> {
        let schema = if self.kind == Kind::Postgres { "current_schema()" } else { "DATABASE()" };
        let sql = format!("SELECT table_name FROM information_schema.tables WHERE table_schema = {schema} ORDER BY 1");
        self.database.column(&sql)
    }

    fn rows(&self, table: &str) -> Vec<String> {
        match self.kind {
            Kind::Postgres => self
                .database
                .column(&format!("SET TimeZone = 'UTC'; SELECT CAST(t AS TEXT) FROM \"{table}\" t ORDER BY 1")),
            Kind::Mysql | Kind::Sqlite => {
                let columns = self.database.column(&format!(
                    "SELECT CONCAT('IFNULL(HEX(`', column_name, '`),\"NULL\")') FROM information_schema.columns \
                     WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"
                ));
                self.database.column(&format!("SELECT CONCAT_WS('|',{}) FROM `{table}` ORDER BY 1", columns.join(",")))
            }
        }
    }

    /// The query for columns, indexes, constraints and sequences.
    fn about(&self, table: &str) -> String {
        match self.kind {
            Kind::Postgres => format!(
                "SELECT 'column ' || concat_ws(' ', ordinal_position, column_name, data_type, character_maximum_length, \
                 column_default, is_nullable) FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = '{table}' \
                 UNION ALL SELECT 'index ' || indexdef FROM pg_indexes \
                 WHERE schemaname = current_schema() AND tablename = '{table}' \
                 UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
                 WHERE conrelid = '\"{table}\"'::regclass \
                 UNION ALL SELECT 'sequence ' || sequencename || ' ' || COALESCE(last_value, 0) FROM pg_sequences \
                 WHERE schemaname = current_schema() AND sequencename = '{table}_id_seq' ORDER BY 1"
            ),
            Kind::Mysql | Kind::Sqlite => format!(
                "SELECT CONCAT_WS(' ', 'column', ordinal_position, column_name, column_type, column_default, is_nullable, \
                 collation_name, extra) FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = '{table}' \
                 UNION ALL SELECT CONCAT_WS(' ', 'index', index_name, seq_in_index, column_name, non_unique) \
                 FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = '{table}' \
                 UNION ALL SELECT CONCAT_WS(' ', 'reference', constraint_name, column_name, referenced_table_name, \
                 referenced_column_name) FROM information_schema.key_column_usage \
                 WHERE table_schema = DATABASE() AND table_name = '{table}' \
                 UNION ALL SELECT CONCAT_WS(' ', 'table', engine, table_collation, auto_increment) \
                 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY 1"
            ),
        }
    }
}

const TABLES: &str = "
CREATE TABLE `system_settings` (`id` {id},`setting_key` varchar(255) NOT NULL,`setting_value` {text} NOT NULL,
  `description` varchar(512),`created_at` {time},`updated_at` {time},PRIMARY KEY (`id`),
  CONSTRAINT `uni_system_settings_setting_key` UNIQUE (`setting_key`)){end};
INSERT INTO system_settings (setting_key, setting_value) VALUES
  ('app_url','http://old.example:3001'), ('proxy_keys','pk-old-1,pk-old-2'), ('request_timeout','1e+06'),
  ('failover_status_codes','400-403,405-999'), ('theme','dark'), ('request_log_retention_days','7'),
  ('blacklist_threshold','5');
CREATE TABLE `group_hourly_stats` (`id` {id},`time` {time},`group_id` {uint} NOT NULL,
  `success_count` bigint NOT NULL DEFAULT 0,`failure_count` bigint NOT NULL DEFAULT 0,`created_at` {time},
  `updated_at` {time},PRIMARY KEY (`id`)){end};
CREATE UNIQUE INDEX `idx_group_time` ON `group_hourly_stats` (`time`,`group_id`);
";

fn groups(generation: Generation) -> String {
    let aggregates = matches!(generation, Generation::Two | Generation::Both);
    let more = if aggregates {
        ",`group_type` varchar(50) DEFAULT 'standard',`header_rules` {json},`model_redirect_rules` {json},\
         `model_redirect_strict` boolean DEFAULT false"
    } else {
        ""
    };
    let mut sql = format!(
        "CREATE TABLE `groups` (`id` {{id}},`name` varchar(255) NOT NULL,`display_name` varchar(255),`proxy_keys` {{text}},
           `description` varchar(512),`upstreams` {{json}} NOT NULL,`validation_endpoint` varchar(255),
           `channel_type` varchar(50) NOT NULL,`sort` bigint DEFAULT 0,`test_model` varchar(255) NOT NULL,
           `param_overrides` {{json}},`config` {{json}},`last_validated_at` {{time}},`created_at` {{time}},
           `updated_at` {{time}}{more},PRIMARY KEY (`id`),CONSTRAINT `uni_groups_name` UNIQUE (`name`)){{end}};
         INSERT INTO `groups` (id,name,display_name,proxy_keys,upstreams,channel_type,sort,test_model,config,description) VALUES
           (1,'openai','Open','pk-1','[{{\"url\":\"https://api.openai.com\",\"weight\":1}}]','openai',3,'gpt-4.1-nano',
            '{{\"max_retries\":7,\"theme\":1}}','模型 🚀 é'),
           (2,'claude','','','[{{\"url\":\"https://api.anthropic.com\",\"weight\":2}}]','anthropic',0,'claude-x','null',NULL);"
    );
    if aggregates {
        sql.push_str(
            "INSERT INTO `groups` (id,name,upstreams,channel_type,test_model,group_type,model_redirect_rules) VALUES
               (3,'all','[]','openai','-','aggregate','{}');
             UPDATE `groups` SET group_type = NULL WHERE id = 2;
             UPDATE `groups` SET header_rules = '[{\"key\":\"x-team\",\"value\":\"a\",\"action\":\"set\"}]',
               model_redirect_rules = '{\"a\":\"b\"}', model_redirect_strict = true WHERE id = 1;
             CREATE TABLE `group_sub_groups` (`id` {id},`group_id` {uint} NOT NULL,`sub_group_id` {uint} NOT NULL,
               `weight` bigint DEFAULT 0,`created_at` {time},`updated_at` {time},PRIMARY KEY (`id`)){end};
             CREATE UNIQUE INDEX `idx_group_sub` ON `group_sub_groups` (`group_id`,`sub_group_id`);
             INSERT INTO group_sub_groups (group_id,sub_group_id,weight) VALUES (3,1,70),(3,99,5),(9,1,5);",
        );
    }
    sql
}

fn keys(generation: Generation) -> String {
    let (value, hash) = match generation {
        Generation::First => ("varchar(700)", ""),
        Generation::Two | Generation::Five | Generation::Both => ("{text}", ",`key_hash` varchar(128)"),
    };
    let two = match generation {
        Generation::Two | Generation::Both => ",`notes` varchar(255) DEFAULT ''",
        Generation::First | Generation::Five => "",
    };
    let five = match generation {
        Generation::Five | Generation::Both => {
            ",`last_failure_at` {time},`last_success_at` {time},`last_validated_at` {time},`disabled_until` {time},\
             `consecutive_failures` bigint NOT NULL DEFAULT 0,`backoff_level` bigint NOT NULL DEFAULT 0,\
             `last_error_message` {text}"
        }
        Generation::First | Generation::Two => "",
    };
    let indexes = match generation {
        Generation::First => {
            "CREATE UNIQUE INDEX `idx_group_key` ON `api_keys` (`group_id`,`key_value`);
             CREATE INDEX `idx_api_keys_group_id_key_value` ON `api_keys` (`group_id`,`key_value`);"
        }
        // The names of the last two are those of indexes of this program.
        Generation::Two | Generation::Five | Generation::Both => {
            "CREATE INDEX `idx_api_keys_key_hash` ON `api_keys` (`key_hash`);
             CREATE INDEX `idx_api_keys_group_id` ON `api_keys` (`group_id`);
             CREATE INDEX `idx_api_keys_group_last_used_id` ON `api_keys` (`group_id`,`last_used_at`,`id`);"
        }
    };
    format!(
        "CREATE TABLE `api_keys` (`id` {{id}},`key_value` {value} NOT NULL,`group_id` {{uint}} NOT NULL,
           `status` varchar(50) NOT NULL DEFAULT 'active',`request_count` bigint NOT NULL DEFAULT 0,
           `failure_count` bigint NOT NULL DEFAULT 0,`last_used_at` {{time}},`created_at` {{time}},
           `updated_at` {{time}}{hash}{two}{five},PRIMARY KEY (`id`),
           CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups` (`id`)){{end}};
         {indexes}"
    )
}

fn logs(generation: Generation) -> String {
    let more = match generation {
        Generation::First => ",`retries` bigint",
        Generation::Five => "",
        Generation::Two | Generation::Both => ",`parent_group_id` {uint},`parent_group_name` varchar(255)",
    };
    format!(
        "CREATE TABLE `request_logs` (`id` varchar(36),`timestamp` {{time}},`group_id` {{uint}} NOT NULL,
           `group_name` varchar(255),`key_value` {{text}},`key_hash` varchar(128),`model` varchar(255),
           `is_success` boolean NOT NULL,`source_ip` varchar(64),`status_code` bigint NOT NULL,`request_path` varchar(500),
           `duration` bigint NOT NULL,`error_message` {{text}},`user_agent` varchar(512),
           `request_type` varchar(20) NOT NULL DEFAULT 'final',`upstream_addr` varchar(500),`is_stream` boolean NOT NULL,
           `request_body` {{text}}{more},PRIMARY KEY (`id`)){{end}};
         CREATE INDEX `idx_request_logs_timestamp` ON `request_logs` (`timestamp`);"
    )
}

/// An encrypted installation with `count` rows of keys and everything that ever went wrong in one.
///
/// Of every hundred keys: 1 repeats the one before, 1 is of a group that is gone, 1 has no hash, 1 is in clear text,
/// 10 are invalid. A key migration was broken off.
pub(super) fn troubled(kind: Kind, passphrase: &str, count: i64) -> OldServer {
    let old = OldServer::new(kind, Generation::Both);
    let key = LegacyKey::derive(&passphrase.into());
    let made = old.time(MADE);
    let row = |id: i64| {
        let number = if id % 100 == 50 { id - 1 } else { id };
        let value = format!("sk-{number}");
        let group = if id % 100 == 51 { 42 } else { 1 + number % 2 };
        let (stored, hash) = match id % 100 {
            52 => (key.seal(&value), "NULL".to_owned()),
            53 => (value.clone(), format!("'{}'", plain_hash(&value))),
            _ => (key.seal(&value), format!("'{}'", key.hash(&value))),
        };
        let status = if id % 10 == 7 { "invalid" } else { "active" };
        format!("({id},'{stored}',{hash},{group},'{status}','note {id}',{id},{},{made},{made})", id % 10)
    };
    let rows: Vec<String> = (1..=count).map(row).collect();
    for rows in rows.chunks(1_000) {
        old.run(&format!(
            "INSERT INTO api_keys (id,key_value,key_hash,group_id,status,notes,request_count,failure_count,created_at,\
             last_used_at) VALUES {}",
            rows.join(",")
        ));
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let row = |number: i64| {
        let value = format!("sk-{}", number + 1);
        let (stored, error) = match number {
            0 => ("failed-to-encryption".to_owned(), "\u{fffd}a"),
            _ => (key.seal(&value), ""),
        };
        // Several rows have the same time, also where batches meet.
        format!(
            "('{}',{},{},'openai','{stored}','{}','m',true,200,'/v1/chat/completions',12,false,3,'all','{error}')",
            uuid::Uuid::new_v4(),
            old.time(now - number / 4 * 2 * 3_600_000),
            1 + (number + 1) % 2,
            key.hash(&value),
        )
    };
    let rows: Vec<String> = (0..600).map(row).collect();
    old.run(&format!(
        "INSERT INTO request_logs (id,timestamp,group_id,group_name,key_value,key_hash,model,is_success,status_code,
           request_path,duration,is_stream,parent_group_id,parent_group_name,error_message) VALUES {};
         CREATE TABLE temp_migration (id bigint PRIMARY KEY,key_value_new text,key_hash_new varchar(255));
         INSERT INTO temp_migration VALUES (1,'half','done');
         CREATE TABLE policies (id bigint PRIMARY KEY,name varchar(255));
         INSERT INTO policies (id,name) VALUES (1,'one')",
        rows.join(",")
    ));
    old
}
