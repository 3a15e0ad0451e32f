//! `GET /api/keys/export`: a group's keys as text or JSON, streamed in bounded memory.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION},
    web::{self, Bytes},
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use gpt_load_schema::{
    group::Group,
    ids::{GroupId, KeyId},
    key::KeyRecord,
    settings::Language,
    store::{KeyFilter, Store, StoreResult},
};
use serde_json::json;

use super::{AdminState, envelope::JSON, error::ApiError, locale::language_of, messages, query::Params};

/// Keys read at once.
const BATCH: u32 = 500;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// Streams the keys of a group in id order; those that do not decrypt are left out.
///
/// The first batch is read before the head goes out, so that a database that is away is said so; when it goes away later,
/// the connection breaks and the client sees an incomplete answer.
pub(super) async fn export(
    state: web::Data<AdminState>,
    params: Params,
    request: actix_web::HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let group_id = params.group_id()?;
    let filter = KeyFilter { state: params.status(true)?, ..KeyFilter::default() };
    let format = match params.get("format") {
        None | Some("txt") => Format::Text,
        Some("json") => Format::Json,
        Some(_) => return Err(ApiError::invalid("format", messages::FORMAT_UNKNOWN)),
    };
    let group = state.group(group_id).await?;
    let status = filter.state.map_or("all", |state| state.as_str());
    let first = state.store.keys_after(group_id, &filter, None, BATCH).await?;
    let batches = batches(state.store.clone(), group_id, filter, first);
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    Ok(match format {
        Format::Text => response
            .content_type("text/plain; charset=utf-8")
            .insert_header((CONTENT_DISPOSITION, format!("attachment; filename={}", file_name(&group, status))))
            .streaming(batches.map_ok(|keys| lines(&keys))),
        Format::Json => {
            let language = language_of(request.headers());
            response.content_type(JSON).streaming(json_document(&group, status, language, batches))
        }
    })
}

/// `first` and what follows it, batch by batch, until one is not full.
fn batches(
    store: Store,
    group: GroupId,
    filter: KeyFilter,
    first: Vec<KeyRecord>,
) -> impl Stream<Item = StoreResult<Vec<KeyRecord>>> {
    let next = next_position(&first);
    let rest = stream::try_unfold((store, filter, next), move |(store, filter, after)| async move {
        let Some(after) = after else { return Ok(None) };
        let keys = store.keys_after(group, &filter, Some(after), BATCH).await?;
        let next = next_position(&keys);
        Ok((!keys.is_empty()).then_some((keys, (store, filter, next))))
    });
    stream::once(async { Ok(first) }).chain(rest)
}

/// Where the batch after `keys` starts; `None` when there is none.
fn next_position(keys: &[KeyRecord]) -> Option<KeyId> {
    if keys.len() < BATCH as usize { None } else { keys.last().map(|key| key.id) }
}

fn lines(keys: &[KeyRecord]) -> Bytes {
    let values = keys.iter().filter_map(|key| key.value.as_ref());
    values.fold(String::new(), |text, value| text + value.expose() + "\n").into()
}

/// The success envelope around the keys; `total` comes last because it is known last.
fn json_document<S>(
    group: &Group,
    status: &str,
    language: Language,
    batches: S,
) -> impl Stream<Item = StoreResult<Bytes>> + use<S>
where
    S: Stream<Item = StoreResult<Vec<KeyRecord>>>,
{
    let head = format!(
        r#"{{"code":0,"message":{},"data":{{"group_id":{},"group_name":{},"status":{},"keys":["#,
        json!(messages::SUCCESS.get(language)),
        group.id,
        json!(group.definition.name),
        json!(status),
    );
    let keys = stream::try_unfold((Box::pin(batches), 0_u64, false), |(mut batches, mut total, ended)| async move {
        if ended {
            return Ok(None);
        }
        let Some(keys) = batches.try_next().await? else {
            return Ok(Some((Bytes::from(format!(r#"],"total":{total}}}}}"#)), (batches, total, true))));
        };
        let mut text = String::new();
        for value in keys.iter().filter_map(|key| key.value.as_ref()) {
            if total > 0 {
                text.push(',');
            }
            text.push_str(&json!(value.expose()).to_string());
            total += 1;
        }
        Ok(Some((Bytes::from(text), (batches, total, false))))
    });
    stream::once(async { Ok(Bytes::from(head)) }).chain(keys)
}

/// A name that needs no quoting in a header, whatever a taken-over database calls the group.
fn file_name(group: &Group, status: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let plain = |character| if is_plain(character) { character } else { '_' };
    let name: String = group.definition.name.chars().map(plain).take(200).collect();
    format!("keys-{name}-{status}.txt")
}
