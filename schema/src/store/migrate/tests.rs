//! The databases must not drift apart.

use std::{collections::BTreeSet, fs, path::Path};

fn folders(database: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(database);
    let entries = fs::read_dir(&path).expect("the folder of migrations");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn every_migration_is_there_for_every_database() {
    let sqlite = folders("sqlite");
    for database in ["postgres", "mysql"] {
        let missing: Vec<_> = sqlite.symmetric_difference(&folders(database)).cloned().collect();
        assert_eq!(missing, Vec::<String>::new(), "in sqlite or {database} alone; see docs/MIGRATIONS.md");
    }
}
