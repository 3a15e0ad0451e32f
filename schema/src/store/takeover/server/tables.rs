//! The tables of this program under other names, so that they can be filled beside those of an older one.
//!
//! The migrations are the only description of the tables. Their statements are carried out with every table, and where
//! names must differ within the database every index and constraint, called by a name that begins with [`STAGED`].

use std::collections::BTreeSet;

use include_dir::{Dir, include_dir};

use crate::store::{migrate::MIGRATIONS, takeover::target::STAGED};

static POSTGRES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../migrations/postgres");
static MYSQL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../migrations/mysql");

/// The tables of this program, as statements that make them under names with [`STAGED`].
pub(in crate::store) struct Tables {
    /// Their own names.
    pub(super) names: BTreeSet<String>,
    /// The statements, a batch for each migration.
    pub(super) statements: Vec<String>,
    /// The migrations that they are, in order.
    pub(super) versions: Vec<String>,
}

impl Tables {
    /// Those of PostgreSQL, where names of indexes belong to the schema.
    pub(super) fn postgres() -> Self {
        Self::of(&POSTGRES, true)
    }

    /// Those of MySQL, where names of indexes belong to their tables.
    pub(super) fn mysql() -> Self {
        Self::of(&MYSQL, false)
    }

    fn of(folder: &Dir<'_>, indexes: bool) -> Self {
        let text = |migration: &Dir<'_>| -> Option<(String, String)> {
            let name = migration.path().file_name()?.to_str()?;
            let sql = migration.get_file(migration.path().join("up.sql"))?.contents_utf8()?;
            // diesel's version: what stands before the first underscore, without the hyphens.
            Some((name.split('_').next()?.replace('-', ""), sql.to_owned()))
        };
        let mut migrations: Vec<(String, String)> = folder.dirs().filter_map(text).collect();
        migrations.sort();
        let mut names: BTreeSet<String> = migrations.iter().flat_map(|(_, sql)| made(sql)).collect();
        let staged = migrations.iter().map(|(_, sql)| staged(sql, &names, indexes));
        let list = format!(
            "CREATE TABLE {STAGED}{MIGRATIONS} (version VARCHAR(50) PRIMARY KEY NOT NULL, \
             run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        );
        let versions: Vec<String> = migrations.iter().map(|(version, _)| version.clone()).collect();
        let rows: Vec<String> = versions.iter().map(|version| format!("('{version}')")).collect();
        let listed = format!("INSERT INTO {STAGED}{MIGRATIONS} (version) VALUES {}", rows.join(","));
        let statements = std::iter::once(list).chain(staged).chain([listed]).collect();
        names.insert(MIGRATIONS.to_owned());
        Self { names, statements, versions }
    }
}

/// A piece of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A keyword, or a name without its quotes.
    Word(&'a str),
    /// A character that separates words and phrases.
    Mark(&'a str),
    /// Anything else: blanks, comments, texts, numbers.
    Other(&'a str),
}

/// Splits `sql`; the pieces together are all of it, but for the quotes of names, which are marks that separate nothing.
fn tokens<'a>(sql: &'a str) -> Vec<Token<'a>> {
    let mut all = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let (end, token): (usize, fn(&'a str) -> Token<'a>) = match first {
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), Token::Other),
            // A doubled quote within the text is read as two texts side by side.
            '\'' => (rest[1..].find('\'').map_or(rest.len(), |end| end + 2), Token::Other),
            _ if is_word(first) => (rest.find(|character| !is_word(character)).unwrap_or(rest.len()), Token::Word),
            '(' | ')' | ',' | ';' | '=' => (1, Token::Mark),
            _ => (first.len_utf8(), Token::Other),
        };
        let (piece, left) = rest.split_at(end);
        all.push(token(piece));
        rest = left;
    }
    all
}

/// The tables that `sql` makes.
fn made(sql: &str) -> Vec<String> {
    let words: Vec<&str> = tokens(sql)
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) if !["IF", "NOT", "EXISTS"].contains(&word) => Some(word),
            Token::Mark(mark) => Some(mark),
            _ => None,
        })
        .collect();
    let names = words.windows(3).filter(|words| words[0] == "CREATE" && words[1] == "TABLE");
    names.map(|words| words[2].to_owned()).collect()
}

/// `sql` with another name for each of `tables` and, if `indexes`, for each index and named constraint.
fn staged(sql: &str, tables: &BTreeSet<String>, indexes: bool) -> String {
    const BEFORE_TABLES: [&str; 8] = ["TABLE", "EXISTS", "REFERENCES", "INTO", "ON", "UPDATE", "FROM", "JOIN"];
    let mut changed = String::with_capacity(sql.len() + 1_024);
    // The word before, and the kind of thing that was spoken of last.
    let (mut before, mut kind) = ("", "");
    for token in tokens(sql) {
        match token {
            Token::Word(word) => {
                let table = tables.contains(word) && BEFORE_TABLES.contains(&before);
                let named = before == kind || before == "EXISTS";
                let index =
                    indexes && ["INDEX", "CONSTRAINT"].contains(&kind) && named && !["IF", "NOT"].contains(&word);
                if table || index {
                    changed.push_str(STAGED);
                }
                changed.push_str(word);
                if ["TABLE", "INDEX", "CONSTRAINT"].contains(&word) {
                    kind = word;
                }
                before = word;
            }
            Token::Mark(mark) => {
                changed.push_str(mark);
                (before, kind) = ("", "");
            }
            Token::Other(other) => changed.push_str(other),
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_changed_and_nothing_else() {
        let sql = "-- TABLE groups is a comment\n\
             CREATE TABLE IF NOT EXISTS `groups` (id BIGINT, groups TEXT, INDEX idx_a (id));\n\
             CREATE TABLE keys (group_id BIGINT REFERENCES groups (id), \
             CONSTRAINT fk_a FOREIGN KEY (group_id) REFERENCES \"groups\" (id) ON DELETE CASCADE);\n\
             INSERT INTO ids (name, n) VALUES ('INTO groups', 0), ('it''s INTO groups', 1);\n\
             CREATE UNIQUE INDEX uni_a ON groups (keys); DROP INDEX IF EXISTS idx_b;\n\
             ALTER TABLE keys ADD COLUMN groups BIGINT;";
        assert_eq!(made(sql), ["groups", "keys"]);
        let tables = BTreeSet::from(["groups", "keys"].map(str::to_owned));
        let expected = "-- TABLE groups is a comment\n\
             CREATE TABLE IF NOT EXISTS `new_groups` (id BIGINT, groups TEXT, INDEX new_idx_a (id));\n\
             CREATE TABLE new_keys (group_id BIGINT REFERENCES new_groups (id), \
             CONSTRAINT new_fk_a FOREIGN KEY (group_id) REFERENCES \"new_groups\" (id) ON DELETE CASCADE);\n\
             INSERT INTO ids (name, n) VALUES ('INTO groups', 0), ('it''s INTO groups', 1);\n\
             CREATE UNIQUE INDEX new_uni_a ON new_groups (keys); DROP INDEX IF EXISTS new_idx_b;\n\
             ALTER TABLE new_keys ADD COLUMN groups BIGINT;";
        assert_eq!(staged(sql, &tables, true), expected);
        let without = expected.replace("new_idx", "idx").replace("new_fk", "fk").replace("new_uni", "uni");
        assert_eq!(staged(sql, &tables, false), without);
    }

    #[test]
    fn the_migrations_are_found_in_order() {
        for tables in [Tables::postgres(), Tables::mysql()] {
            assert_eq!(tables.versions[0], "20260101000000");
            assert!(tables.versions.is_sorted() && tables.versions.len() > 5);
            for name in ["groups", "api_keys", "takeovers", "policies", MIGRATIONS] {
                assert!(tables.names.contains(name), "{name}");
            }
        }
    }
}
