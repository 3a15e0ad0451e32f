//! Text from outside, made to fit its column.

/// `text` without NUL characters (PostgreSQL refuses them), cut to `max` bytes at a character boundary.
///
/// For columns of free text, and for those of `max` characters that hold what programs wrote: they fit either way.
pub(super) fn fit(text: String, max: usize) -> String {
    let mut text = without_nul(text);
    text.truncate(text.floor_char_boundary(max));
    text
}

/// `text` without NUL characters, cut to `max` characters: for what people wrote, in any script.
pub(super) fn fit_chars(text: String, max: usize) -> String {
    let mut text = without_nul(text);
    if let Some((end, _)) = text.char_indices().nth(max) {
        text.truncate(end);
    }
    text
}

fn without_nul(mut text: String) -> String {
    if text.contains('\0') {
        text.retain(|character| character != '\0');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{fit, fit_chars};

    #[test]
    fn a_text_is_cut_at_a_character_and_loses_nul() {
        assert_eq!(fit("abc".to_owned(), 3), "abc");
        assert_eq!(fit("a\0b\0c".to_owned(), 2), "ab");
        assert_eq!(fit("aé".to_owned(), 2), "a");
        assert_eq!(fit("日本".to_owned(), 5), "日");
        assert_eq!(fit("日本".to_owned(), 0), "");
    }

    #[test]
    fn characters_count_in_any_script() {
        assert_eq!(fit_chars("日\0本語".to_owned(), 2), "日本");
        assert_eq!(fit_chars("日本".to_owned(), 2), "日本");
        assert_eq!(fit_chars("日本".to_owned(), 0), "");
    }
}
