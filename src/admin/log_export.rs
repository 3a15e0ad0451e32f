//! `GET /api/logs/export`: the keys among the log rows that a filter lets through, as CSV, streamed in bounded memory.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION},
    web::{self, Bytes},
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use gpt_load_schema::{
    store::{KeyUse, LogFilter, Store, StoreResult},
    time::Timestamp,
};

use super::{AdminState, error::ApiError, logs::filter, query::Params};

/// Keys read at once.
const BATCH: u32 = 200;
const HEADER: &str = "key_value,group_name,status_code\n";

/// One line per key, that of its newest row, in order of the keys' hashes.
///
/// The first batch is read before the head goes out, so that a database that is away is said so; when it goes away later,
/// the connection breaks and the client sees an incomplete answer.
pub(super) async fn export(state: web::Data<AdminState>, params: Params) -> Result<HttpResponse, ApiError> {
    let filter = filter(&params);
    let first = state.store.keys_used(&filter, "", BATCH).await?;
    let lines = batches(state.store.clone(), filter, first).map_ok(|keys| Bytes::from(lines(&keys)));
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename={}", file_name(Timestamp::now()))))
        .streaming(stream::once(async { Ok(Bytes::from_static(HEADER.as_bytes())) }).chain(lines)))
}

/// `first` and what follows it, batch by batch, until one is not full.
fn batches(store: Store, filter: LogFilter, first: Vec<KeyUse>) -> impl Stream<Item = StoreResult<Vec<KeyUse>>> {
    let next = next_position(&first);
    let rest = stream::try_unfold((store, filter, next), move |(store, filter, after)| async move {
        let Some(after) = after else { return Ok(None) };
        let keys = store.keys_used(&filter, &after, BATCH).await?;
        let next = next_position(&keys);
        Ok((!keys.is_empty()).then_some((keys, (store, filter, next))))
    });
    stream::once(async { Ok(first) }).chain(rest)
}

/// Where the batch after `keys` starts; `None` when there is none.
///
/// Retention may take a row between its key's turn and its own, so that a batch has fewer keys than it was asked for.
fn next_position(keys: &[KeyUse]) -> Option<String> {
    keys.last().map(|key| key.key_hash.clone())
}

fn lines(keys: &[KeyUse]) -> String {
    keys.iter().fold(String::new(), |mut text, key| {
        push_cell(&mut text, key.key_value.expose());
        text.push(',');
        push_cell(&mut text, &key.group_name);
        text.push_str(&format!(",{}\n", key.status_code));
        text
    })
}

/// Appends one cell. Programs for tables take a cell that begins like a formula for one; an apostrophe before it makes it
/// text.
fn push_cell(text: &mut String, cell: &str) {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_quoted = cell.starts_with(' ') || cell.contains(['"', ',', '\n', '\r']);
    if is_quoted {
        text.push('"');
    }
    if is_formula {
        text.push('\'');
    }
    if is_quoted {
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(cell);
    }
}

/// The name of a file made `now`, in UTC.
fn file_name(now: Timestamp) -> String {
    let digits: String = now.to_rfc3339().chars().take(19).filter(char::is_ascii_digit).collect();
    format!("log_keys_export_{digits}.csv")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        let cases = [
            ("sk-plain", "sk-plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            (" a", "\" a\""),
            ("=1+1", "'=1+1"),
            ("-team", "'-team"),
            ("+1", "'+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            ("=\"a\",b", "\"'=\"\"a\"\",b\""),
            ("日本,", "\"日本,\""),
        ];
        for (cell, expected) in cases {
            let mut text = String::new();
            push_cell(&mut text, cell);
            assert_eq!(text, expected, "{cell:?}");
        }
    }

    #[test]
    fn the_file_is_named_by_the_second() {
        assert_eq!(file_name(Timestamp(1_769_862_896_789)), "log_keys_export_20260131123456.csv");
    }
}
