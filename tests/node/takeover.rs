//! The real binary, started on what an older GPT-Load left behind.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use gpt_load_benches::double::{Double, Options};
use gpt_load_schema::{
    crypto::legacy::LegacyKey,
    ids::GroupId,
    store::{
        KeyFilter, Store,
        testing::{Database, Kind},
    },
};

use serde_json::json;

use crate::{
    program::{command, output, spawn, start},
    support::{AUTH_KEY, PATIENCE, Request},
};

const PASSPHRASE: &str = "correct horse battery staple";
const ENV: [(&str, &str); 3] = [("AUTH_KEY", AUTH_KEY), ("ENCRYPTION_KEY", PASSPHRASE), ("LOG_LEVEL", "info")];

/// Makes the database of an older installation at `path`: the group `default` at `url` with `count` encrypted keys.
fn old_installation(path: &Path, url: &str, count: i64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let key = LegacyKey::derive(&PASSPHRASE.into());
    let keys: Vec<String> = (1..=count)
        .map(|number| {
            let value = format!("sk-old-{number}");
            format!("(1,'{}','{}','active')", key.seal(&value), key.hash(&value))
        })
        .collect();
    let sql = format!(
        "CREATE TABLE `system_settings` (`id` integer PRIMARY KEY AUTOINCREMENT,`setting_key` varchar(255) NOT NULL,
           `setting_value` text NOT NULL,`created_at` datetime,`updated_at` datetime);
         CREATE TABLE `groups` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` varchar(255) NOT NULL,`proxy_keys` text,
           `upstreams` JSON NOT NULL,`channel_type` varchar(50) NOT NULL,`test_model` varchar(255) NOT NULL,`config` JSON);
         CREATE TABLE `api_keys` (`id` integer PRIMARY KEY AUTOINCREMENT,`key_value` text NOT NULL,`key_hash` varchar(128),
           `group_id` integer NOT NULL,`status` varchar(50) NOT NULL DEFAULT 'active',`created_at` datetime,
           CONSTRAINT `fk_groups_api_keys` FOREIGN KEY (`group_id`) REFERENCES `groups`(`id`));
         CREATE INDEX `idx_api_keys_key_hash` ON `api_keys`(`key_hash`);
         INSERT INTO system_settings (setting_key,setting_value) VALUES ('proxy_keys','pk-old');
         INSERT INTO groups (name,proxy_keys,upstreams,channel_type,test_model) VALUES
           ('default','','[{{\"url\":\"{url}\",\"weight\":1}}]','openai','m');
         BEGIN; INSERT INTO api_keys (group_id,key_value,key_hash,status) VALUES {}; COMMIT;",
        keys.join(",")
    );
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute(&sql).unwrap();
}

fn database(folder: &Path) -> PathBuf {
    folder.join("data/gpt-load.db")
}

/// What an application asks with this proxy key.
fn chat(proxy_key: &str) -> Request {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    Request::new("POST", "/proxy/default/v1/chat/completions").key(proxy_key).json(&body)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn stored_keys(folder: &Path) -> Vec<String> {
    let store = Store::open(database(folder).to_str().unwrap(), Some(&PASSPHRASE.into())).await.unwrap();
    let group = store.groups().await.unwrap()[0].id;
    let keys = store.keys_after(group, &KeyFilter::default(), None, 1_000_000).await.unwrap();
    keys.into_iter().map(|key| key.value.unwrap().expose().to_owned()).collect()
}

#[actix_web::test]
async fn applications_go_on_with_their_keys_and_the_old_program_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    old_installation(&database(folder.path()), &double.url(), 3);
    for round in 0..2 {
        let mut program = start(folder.path(), &ENV).await;
        let answer = program.send(&chat("pk-old")).await;
        assert_eq!(answer.head.status, 200);
        assert!(double.requests()[round].key.as_deref().unwrap().starts_with("sk-old-"));
        program.signal("TERM");
        assert!(program.ended().await.success());
    }
    let said = output(folder.path());
    assert_eq!(said.matches("was taken over").count(), 1, "{said}");
    assert!(said.contains("3 of 3") && !said.contains("sk-old-"), "{said}");

    let again = command(folder.path(), &["takeover"], &ENV);
    assert!(again.status.success() && text(&again.stdout).contains("was taken over before"), "{}", text(&again.stdout));
    let back = command(folder.path(), &["takeover", "--rollback"], &ENV);
    assert!(back.status.success() && text(&back.stdout).contains("before-rollback"), "{}", text(&back.stderr));
    let mut old = SqliteConnection::establish(database(folder.path()).to_str().unwrap()).unwrap();
    old.batch_execute("INSERT INTO api_keys (group_id,key_value) VALUES (1,'sk-old-4')").unwrap();
    drop(old);
    let forth = command(folder.path(), &["takeover", "--json"], &ENV);
    let report: serde_json::Value = serde_json::from_slice(&forth.stdout).unwrap();
    assert_eq!(report["report"]["keys"]["taken"], 4, "{report}");
    assert_eq!(stored_keys(folder.path()).await, ["sk-old-1", "sk-old-2", "sk-old-3", "sk-old-4"]);
}

#[actix_web::test]
async fn a_wrong_encryption_key_stops_the_start_before_anything_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    old_installation(&database(folder.path()), "http://127.0.0.1:1", 3);
    let before = std::fs::read(database(folder.path())).unwrap();
    for wrong in ["", "wrong"] {
        let mut program = spawn(folder.path(), &[("AUTH_KEY", AUTH_KEY), ("ENCRYPTION_KEY", wrong)]);
        assert!(!program.ended().await.success());
        let said = output(folder.path());
        assert!(said.contains("Nothing was changed") && said.contains("ENCRYPTION_KEY"), "{said}");
        assert_eq!(std::fs::read(database(folder.path())).unwrap(), before);
        std::fs::remove_file(folder.path().join("output")).unwrap();
    }
    start(folder.path(), &ENV).await;
}

#[actix_web::test]
async fn killed_while_it_takes_over_it_goes_on() {
    const KEYS: i64 = 8_000;
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    old_installation(&database(folder.path()), &double.url(), KEYS);
    let copy = folder.path().join("data/gpt-load.db.before-takeover");
    let mut killed = 0;
    for round in 0..4 {
        let mut program = spawn(folder.path(), &ENV);
        let begun = async {
            while !copy.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, begun).await.expect("it begins");
        tokio::time::sleep(Duration::from_millis(100 + 300 * round)).await;
        program.signal("KILL");
        program.ended().await;
        killed += usize::from(!output(folder.path()).contains("was taken over"));
    }
    assert!(killed > 0, "no kill came while it took over");
    let program = start(folder.path(), &ENV).await;
    let answer = program.send(&chat("pk-old")).await;
    assert_eq!(answer.head.status, 200);
    drop(program);
    let expected: Vec<String> = (1..=KEYS).map(|number| format!("sk-old-{number}")).collect();
    assert_eq!(stored_keys(folder.path()).await, expected);
    assert!(!folder.path().join("data/gpt-load.db.before-takeover-2").exists(), "one copy for all starts");
}

#[actix_web::test]
async fn another_installation_is_imported_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let old = folder.path().join("elsewhere/old.db");
    old_installation(&old, &double.url(), 1_500);
    let before = std::fs::read(&old).unwrap();
    let env = [("AUTH_KEY", AUTH_KEY), ("LOG_LEVEL", "warn")];
    let mut program = start(folder.path(), &env).await;
    let running = command(folder.path(), &["import", "--from", "elsewhere/old.db"], &env);
    assert!(
        !running.status.success() && text(&running.stderr).contains("is in use by node"),
        "{}",
        text(&running.stderr)
    );
    program.signal("TERM");
    program.ended().await;

    let without = command(folder.path(), &["import", "--from", "elsewhere/old.db"], &env);
    assert!(text(&without.stderr).contains("there is no encryption key"), "{}", text(&without.stderr));
    std::fs::write(folder.path().join("key"), format!("{PASSPHRASE}\n")).unwrap();
    let arguments = ["import", "--from", "elsewhere/old.db", "--encryption-key-file", "key"];
    let imported = command(folder.path(), &arguments, &env);
    let (said, shown) = (text(&imported.stdout), text(&imported.stderr));
    assert!(imported.status.success() && said.contains("keys             1500 of 1500"), "{said}{shown}");
    assert!(shown.contains("keys: 1000 of 1500"), "progress: {shown}");
    assert!(!format!("{said}{shown}").contains(PASSPHRASE) && !said.contains("sk-old-"), "{said}");
    assert_eq!(std::fs::read(&old).unwrap(), before);
    let with_variable = [env[0], ("IMPORT_ENCRYPTION_KEY", PASSPHRASE), ("IMPORT_FROM", "elsewhere/old.db")];
    let again = command(folder.path(), &["import", "-q"], &with_variable);
    assert!(text(&again.stdout).contains("keys             0 of 1500 (1500 duplicates)"), "{}", text(&again.stdout));

    let program = start(folder.path(), &env).await;
    for key in ["pk-old", AUTH_KEY] {
        assert_eq!(program.send(&chat(key)).await.head.status, 200, "both proxy keys are good");
    }
    let group = GroupId(1);
    let counted = program.send(&Request::new("GET", &format!("/api/keys?group_id={group}")).key(AUTH_KEY)).await;
    assert_eq!(counted.json()["data"]["pagination"]["total_items"], 1_500);
}

#[actix_web::test]
async fn keys_of_an_old_installation_are_migrated_after_it_was_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    old_installation(&database(folder.path()), "http://127.0.0.1:9", 7);
    std::fs::write(folder.path().join("old"), PASSPHRASE).unwrap();
    std::fs::write(folder.path().join("new"), "never-printed-passphrase").unwrap();
    let migrated = command(folder.path(), &["migrate-keys", "--from-file", "old", "--to-file", "new"], &[]);
    let said = text(&migrated.stdout) + &text(&migrated.stderr);
    assert!(migrated.status.success() && said.contains("was taken over first"), "{said}");
    assert!(said.contains("under another key now (7 provider keys checked)"), "{said}");
    let path = database(folder.path());
    let store = Store::open(path.to_str().unwrap(), Some(&"never-printed-passphrase".into())).await.unwrap();
    let group = store.groups().await.unwrap()[0].id;
    let keys = store.keys_after(group, &KeyFilter::default(), None, 100).await.unwrap();
    assert_eq!(keys.iter().filter(|key| key.value.is_some()).count(), 7);
}

/// Makes the database of an older installation on a server: the group `default` at `url` with `count` encrypted keys.
fn old_installation_on(database: &Database, url: &str, count: i64) {
    let (id, json) = match database.kind() {
        Kind::Postgres => ("bigserial PRIMARY KEY", "JSONB"),
        Kind::Mysql | Kind::Sqlite => ("bigint unsigned AUTO_INCREMENT PRIMARY KEY", "JSON"),
    };
    let uint = if database.kind() == Kind::Postgres { "bigint" } else { "bigint unsigned" };
    database.run(&format!(
        "CREATE TABLE system_settings (id {id},setting_key varchar(255) NOT NULL UNIQUE,setting_value text NOT NULL);
         CREATE TABLE groups (id {id},name varchar(255) NOT NULL,proxy_keys text,upstreams {json} NOT NULL,
           channel_type varchar(50) NOT NULL,test_model varchar(255) NOT NULL,config {json});
         CREATE TABLE api_keys (id {id},key_value text NOT NULL,key_hash varchar(128),group_id {uint} NOT NULL,
           status varchar(50) NOT NULL DEFAULT 'active',
           CONSTRAINT fk_groups_api_keys FOREIGN KEY (group_id) REFERENCES groups (id));
         CREATE INDEX idx_api_keys_group_id ON api_keys (group_id);
         INSERT INTO system_settings (setting_key,setting_value) VALUES ('proxy_keys','pk-old');
         INSERT INTO groups (name,proxy_keys,upstreams,channel_type,test_model) VALUES
           ('default','','[{{\"url\":\"{url}\",\"weight\":1}}]','openai','m')"
    ));
    let key = LegacyKey::derive(&PASSPHRASE.into());
    let row = |number: i64| {
        let value = format!("sk-old-{number}");
        format!("(1,'{}','{}')", key.seal(&value), key.hash(&value))
    };
    let rows: Vec<String> = (1..=count).map(row).collect();
    for rows in rows.chunks(1_000) {
        database.run(&format!("INSERT INTO api_keys (group_id,key_value,key_hash) VALUES {}", rows.join(",")));
    }
}

/// What the old tables hold, whatever they are called.
fn old_rows(database: &Database, prefix: &str) -> Vec<String> {
    let all = format!(
        "SELECT CONCAT(id,' ',key_value,' ',key_hash,' ',group_id,' ',status) FROM {prefix}api_keys ORDER BY id"
    );
    database.column(&all)
}

async fn killed_while_it_takes_over_a_server_it_goes_on(kind: Kind) {
    const KEYS: i64 = 8_000;
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let database = Database::new(kind);
    old_installation_on(&database, &double.url(), KEYS);
    let before = old_rows(&database, "");
    let env = [ENV[0], ENV[1], ENV[2], ("DATABASE_DSN", database.dsn())];
    let begun = "SELECT table_name FROM information_schema.tables WHERE table_name = 'new_takeovers' AND table_schema IN \
                 (SELECT table_schema FROM information_schema.tables WHERE table_name IN ('api_keys'))";
    let mut killed = 0;
    for round in 0..4 {
        let mut program = spawn(folder.path(), &env);
        let waiting = async {
            while database.column(begun).is_empty() && !output(folder.path()).contains("was taken over") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it begins");
        tokio::time::sleep(Duration::from_millis(100 + 300 * round)).await;
        program.signal("KILL");
        program.ended().await;
        if !output(folder.path()).contains("was taken over") {
            killed += 1;
            assert_eq!(old_rows(&database, ""), before, "the old tables are not touched");
        }
    }
    assert!(killed > 0, "no kill came while it took over");
    let mut program = start(folder.path(), &env).await;
    let answer = program.send(&chat("pk-old")).await;
    assert_eq!(answer.head.status, 200);
    program.signal("TERM");
    program.ended().await;
    let said = output(folder.path());
    assert!(said.contains(&format!("{KEYS} of {KEYS}")) && !said.contains("sk-old-"), "{said}");
    assert_eq!(old_rows(&database, "legacy_"), before);
    let store = Store::open(database.dsn(), Some(&PASSPHRASE.into())).await.unwrap();
    let keys = store.keys_after(GroupId(1), &KeyFilter::default(), None, 1_000_000).await.unwrap();
    let keys: Vec<String> = keys.into_iter().map(|key| key.value.unwrap().expose().to_owned()).collect();
    let expected: Vec<String> = (1..=KEYS).map(|number| format!("sk-old-{number}")).collect();
    assert_eq!(keys, expected);
    drop(store);

    let asked = command(folder.path(), &["takeover", "--rollback"], &env);
    assert!(!asked.status.success() && text(&asked.stderr).contains("--yes"), "{}", text(&asked.stderr));
    let back = command(folder.path(), &["takeover", "--rollback", "--yes"], &env);
    assert!(back.status.success(), "{}", text(&back.stderr));
    assert_eq!(old_rows(&database, ""), before);
    let forth = command(folder.path(), &["takeover"], &env);
    assert!(
        forth.status.success() && text(&forth.stdout).contains("keys             8000 of 8000"),
        "{}",
        text(&forth.stderr)
    );
    let asked = command(folder.path(), &["takeover", "--drop-legacy"], &env);
    assert!(!asked.status.success() && text(&asked.stderr).contains("--yes"), "{}", text(&asked.stderr));
    let dropped = command(folder.path(), &["takeover", "--drop-legacy", "--yes"], &env);
    assert!(text(&dropped.stdout).contains("legacy_api_keys"), "{}", text(&dropped.stderr));
    let again = command(folder.path(), &["takeover", "--drop-legacy"], &env);
    assert!(again.status.success() && text(&again.stdout).contains("no tables"), "{}", text(&again.stderr));
}

#[actix_web::test]
async fn killed_while_it_takes_over_postgres_it_goes_on() {
    killed_while_it_takes_over_a_server_it_goes_on(Kind::Postgres).await;
}

#[actix_web::test]
async fn killed_while_it_takes_over_mysql_it_goes_on() {
    killed_while_it_takes_over_a_server_it_goes_on(Kind::Mysql).await;
}

#[actix_web::test]
async fn an_installation_on_a_server_is_imported_from_the_command_line() {
    for kind in [Kind::Postgres, Kind::Mysql] {
        let folder = tempfile::tempdir().unwrap();
        let old = Database::new(kind);
        old_installation_on(&old, "http://127.0.0.1:1", 1_200);
        let before = old_rows(&old, "");
        let env = [("AUTH_KEY", AUTH_KEY), ("IMPORT_FROM", old.dsn()), ("IMPORT_ENCRYPTION_KEY", PASSPHRASE)];
        let imported = command(folder.path(), &["import"], &env);
        let (said, shown) = (text(&imported.stdout), text(&imported.stderr));
        assert!(imported.status.success() && said.contains("keys             1200 of 1200"), "{kind:?}: {said}{shown}");
        assert!(!format!("{said}{shown}").contains(PASSPHRASE) && !said.contains("sk-old-"), "{said}{shown}");
        assert_eq!(old_rows(&old, ""), before);
        let absent = format!("{}x", old.dsn());
        let env = [env[0], ("IMPORT_FROM", absent.as_str()), env[2]];
        let refused = command(folder.path(), &["import"], &env);
        let said = text(&refused.stderr);
        assert!(!refused.status.success() && said.contains("unavailable"), "{said}");
        let (credentials, _) = old.dsn().rsplit_once('@').expect("the password is before the host");
        let password = credentials.rsplit(':').next().expect("a password");
        assert!(!said.contains(password), "{said}");
    }
}
