//! Results of commands: text for people, JSON for programs.

use std::fmt::Write;

use serde_json::Value;

use super::exit::Exit;

/// What a command found out or did.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// For people; without a final line break. Empty = nothing to print.
    pub text: String,
    /// The same for programs.
    pub json: Value,
    /// How the command ended.
    pub exit: Exit,
}

impl Report {
    /// A command that did all it was asked for.
    pub fn success(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, exit: Exit::Success }
    }

    /// The same result with another ending.
    pub fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// Columns side by side, each as wide as its widest cell, two blanks apart; no trailing blanks or line break.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(head.iter().copied(), &widths);
    for row in rows {
        text.push('\n');
        text.push_str(&line(row.iter().map(String::as_str), &widths));
    }
    text
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, &width) in cells.zip(widths) {
        let _ = write!(text, "{cell:width$}  ");
    }
    text.truncate(text.trim_end().len());
    text
}

/// `text` on one line, without control characters, at most `width` characters.
pub fn one_line(text: &str, width: usize) -> String {
    let plain = || text.chars().map(|c| if c.is_control() { ' ' } else { c });
    if text.chars().count() <= width { plain().collect() } else { plain().take(width - 1).chain(['…']).collect() }
}

/// A member of a JSON object as a person reads it: texts without quotes, absent and null as `-`.
pub fn cell(object: &Value, member: &str) -> String {
    match &object[member] {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => one_line(text, 80),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows =
            [["1".to_owned(), "für".to_owned(), String::new()], ["200".to_owned(), "b".to_owned(), "x".to_owned()]];
        assert_eq!(table(["ID", "NAME", "X"], &rows), "ID   NAME  X\n1    für\n200  b     x");
        assert_eq!(table(["ID"], &[]), "ID");
    }

    #[test]
    fn provider_texts_cannot_draw_on_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31m\nb", 20), "a [31m b");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(one_line("abcd", 4), "abcd");
    }

    #[test]
    fn cells_read_like_text() {
        let object = json!({"text": "a", "empty": "", "null": null, "number": 7, "list": [1]});
        let cells = ["text", "empty", "null", "absent", "number", "list"].map(|member| cell(&object, member));
        assert_eq!(cells, ["a", "-", "-", "-", "7", "[1]"]);
    }
}
