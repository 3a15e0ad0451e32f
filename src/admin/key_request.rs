//! Requests about any number of keys: JSON, or a form with a file, read so that memory grows with the keys alone.

use std::{cell::Cell, collections::HashMap, rc::Rc};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::header::{CONTENT_LENGTH, CONTENT_TYPE},
    web::{self, Bytes},
};
use futures_util::{Stream, StreamExt, TryStreamExt};
use gpt_load_schema::{
    ids::GroupId,
    key_text::{KeyArray, KeyList, KeyText, KeyTextError, KeyTextReader},
};
use serde_json::{Map, value::RawValue};

use super::{
    body::{self, Fields},
    error::{ApiError, ErrorCode},
    key_input::{self, FORMS},
    locale::Text,
    messages,
};

/// The parts of a form.
const GROUP: &str = "group_id";
const FILE: &str = "file";
const FIRST_STATE: &str = "new_key_state";
/// Bytes of a part that is no file.
const SMALL_PART: usize = 256;

/// A request that names keys. Whether they can be used is told last, by [`KeyRequest::keys`]: an unknown group comes first.
#[derive(Debug)]
pub(super) struct KeyRequest {
    /// The group.
    pub(super) group: GroupId,
    /// The word of `new_key_state`, unchecked.
    pub(super) first_state: Option<String>,
    keys: Result<KeyList, ApiError>,
}

impl KeyRequest {
    /// Reads a body of at most `limit` bytes.
    ///
    /// # Errors
    /// What does not decode, with the field at fault.
    pub(super) async fn read(request: &HttpRequest, payload: web::Payload, limit: usize) -> Result<Self, ApiError> {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let announced = text(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        if text(CONTENT_TYPE).is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/")) {
            if announced.is_some_and(|length: usize| length > limit) {
                return Err(body::too_large(limit));
            }
            return Form::read(request, payload, limit).await;
        }
        let body = body::read(payload.into_inner(), announced, limit).await?;
        // A body of many megabytes takes its time, in which this thread has requests to serve.
        web::block(move || from_json(&body)).await.map_err(|_| ApiError::new(ErrorCode::InternalServerError))?
    }

    /// The keys, at least one.
    pub(super) fn keys(self) -> Result<KeyList, ApiError> {
        self.keys
    }
}

fn from_json(body: &[u8]) -> Result<KeyRequest, ApiError> {
    let members = match serde_json::Deserializer::from_slice(body).into_iter::<HashMap<String, &RawValue>>().next() {
        None => return Err(body::malformed("the body is empty")),
        Some(Ok(members)) => members,
        Some(Err(error)) if error.is_data() => return Err(body::malformed("the body must be a JSON object")),
        Some(Err(error)) => return Err(body::malformed(&body::decoder_message(&error))),
    };
    let mut small = Map::new();
    for (name, raw) in members.iter().filter(|(name, _)| !FORMS.contains(&name.as_str())) {
        let value = serde_json::from_str(raw.get()).map_err(|error| body::malformed(&body::decoder_message(&error)))?;
        small.insert(name.clone(), value);
    }
    let mut fields = Fields::new(small);
    let group = key_input::group_id(&mut fields)?;
    let used: Vec<_> = FORMS
        .into_iter()
        .filter_map(|form| Some((form, members.get(form)?.get())))
        .filter(|(_, raw)| *raw != "null")
        .collect();
    let keys = match used[..] {
        [] | [("keys_text", "\"\"")] => return Err(fields.missing("keys_text")),
        [("keys_text", raw)] => match serde_json::from_str::<KeyText>(raw) {
            Ok(text) => text.0.map_err(|error| unusable("keys_text", &error)),
            Err(_) => return Err(ApiError::undecodable("keys_text", "must be a string")),
        },
        [(form, raw)] => match serde_json::from_str::<KeyArray>(raw) {
            Ok(KeyArray(Err(KeyTextError::NotAString { position, .. }))) => {
                return Err(ApiError::undecodable(format!("{form}[{}]", position - 1), "must be a string"));
            }
            Ok(array) => array.0.map_err(|error| unusable(form, &error)),
            Err(_) => return Err(ApiError::undecodable(form, "must be an array")),
        },
        [_, (second, _), ..] => return Err(ApiError::invalid(second, messages::KEYS_TWO_FORMS)),
    };
    Ok(KeyRequest { group, first_state: fields.string(FIRST_STATE)?, keys })
}

fn unusable(field: &str, error: &KeyTextError) -> ApiError {
    ApiError::invalid(field, Text::english(error.to_string()))
}

/// The parts of a form as far as they were read.
#[derive(Default)]
struct Form {
    group: Option<String>,
    first_state: Option<String>,
    keys: Option<Result<KeyList, ApiError>>,
}

impl Form {
    async fn read(request: &HttpRequest, payload: web::Payload, limit: usize) -> Result<KeyRequest, ApiError> {
        let is_too_large = Rc::<Cell<bool>>::default();
        let parts = Multipart::new(request.headers(), limited(payload, limit, is_too_large.clone()));
        let form = Self::default().read_parts(parts).await.map_err(|trouble| match trouble {
            // The reader sees no more than that its input ended.
            _ if is_too_large.get() => body::too_large(limit),
            Trouble::Form(error) => {
                ApiError::saying(ErrorCode::BadRequest, messages::UPLOAD_MALFORMED.with(english(&error)))
            }
            Trouble::Answer(error) => error,
        })?;
        form.check()
    }

    async fn read_parts(mut self, mut parts: Multipart) -> Result<Self, Trouble> {
        while let Some(mut part) = parts.try_next().await? {
            match part.name().unwrap_or_default() {
                GROUP => self.group = Some(small_text(GROUP, &mut part).await?),
                FIRST_STATE => self.first_state = Some(small_text(FIRST_STATE, &mut part).await?),
                FILE if self.keys.is_some() => {
                    return Err(bad_part(FILE, messages::UPLOAD_ONE_FILE).into());
                }
                FILE => self.keys = Some(file(&mut part).await?),
                _ => while part.try_next().await?.is_some() {},
            }
        }
        Ok(self)
    }

    fn check(self) -> Result<KeyRequest, ApiError> {
        let id = self.group.and_then(|text| text.trim().parse::<i64>().ok()).filter(|id| *id > 0);
        let group = GroupId(id.ok_or_else(|| bad_part(GROUP, messages::UPLOAD_GROUP))?);
        let keys = self.keys.ok_or_else(|| bad_part(FILE, messages::UPLOAD_FILE_MISSING))?;
        Ok(KeyRequest { group, first_state: self.first_state, keys })
    }
}

/// Why a form could not be read.
enum Trouble {
    Form(MultipartError),
    Answer(ApiError),
}

impl From<MultipartError> for Trouble {
    fn from(error: MultipartError) -> Self {
        Self::Form(error)
    }
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Answer(error)
    }
}

/// The keys of the file, or why they cannot be used; another error when there is no usable file at all.
async fn file(part: &mut Field) -> Result<Result<KeyList, ApiError>, Trouble> {
    let name = part.content_disposition().and_then(|place| place.get_filename()).unwrap_or_default();
    if name.is_empty() {
        return Err(bad_part(FILE, messages::UPLOAD_FILE_MISSING).into());
    }
    if !name.to_ascii_lowercase().ends_with(".txt") {
        return Err(ApiError::invalid(FILE, messages::UPLOAD_NOT_TXT).into());
    }
    let mut reader = KeyTextReader::default();
    while let Some(chunk) = part.try_next().await? {
        reader.push(&chunk).map_err(|error| of_file(&error))?;
    }
    match reader.finish() {
        Err(error @ KeyTextError::NotText { .. }) => Err(of_file(&error).into()),
        keys => Ok(keys.map_err(|error| of_file(&error))),
    }
}

/// What is no text cannot be read; what is one may hold no usable keys.
fn of_file(error: &KeyTextError) -> ApiError {
    match error {
        KeyTextError::NotText { .. } => bad_part(FILE, Text::english(error.to_string())),
        _ => unusable(FILE, error),
    }
}

async fn small_text(name: &str, part: &mut Field) -> Result<String, Trouble> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.try_next().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > SMALL_PART {
            return Err(bad_part(name, messages::UPLOAD_PART_TOO_LONG.with(SMALL_PART)).into());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn bad_part(name: &str, text: Text) -> ApiError {
    ApiError::field(ErrorCode::BadRequest, name, text)
}

/// The reader's words, without what a client put into them.
fn english(error: &MultipartError) -> &'static str {
    match error {
        MultipartError::ContentTypeParse | MultipartError::ContentTypeIncompatible => "not multipart/form-data",
        MultipartError::BoundaryMissing => "the boundary is missing",
        MultipartError::ContentDispositionMissing | MultipartError::ContentDispositionNameMissing => {
            "a part has no name"
        }
        MultipartError::Incomplete => "the form is cut off",
        _ => "the parts cannot be told apart",
    }
}

/// The payload as far as `limit` bytes; then an error, and `exceeded`.
fn limited(
    payload: web::Payload,
    limit: usize,
    exceeded: Rc<Cell<bool>>,
) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    let mut read = 0_usize;
    payload.map(move |chunk| {
        let chunk = chunk?;
        read = read.saturating_add(chunk.len());
        if read > limit {
            exceeded.set(true);
            return Err(PayloadError::Overflow);
        }
        Ok(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(body: &str) -> (ErrorCode, String) {
        let error = match from_json(body.as_bytes()) {
            Ok(request) => request.keys().unwrap_err(),
            Err(error) => error,
        };
        assert!(!error.to_string().contains("sk-"), "{error}");
        (error.code(), error.details().first().map_or_else(String::new, |at| at.field.clone()))
    }

    #[test]
    fn every_form_of_json_gives_the_same_keys() {
        for form in [
            r#""keys_text":"sk-1 sk-2\nsk-2""#,
            r#""keys_text":"[\"sk-1\",\"sk-2\",\"sk-2\"]""#,
            r#""keys":["sk-1"," sk-2","","sk-2"],"keys_text":null"#,
            r#""key_values":["sk-1","sk-2","sk-2"]"#,
        ] {
            let body = format!(r#" {{"group_id":7,{form},"new_key_state":"active","other":[1]}} trailing"#);
            let request = from_json(body.as_bytes()).unwrap();
            assert_eq!((request.group, request.first_state.as_deref()), (GroupId(7), Some("active")));
            let keys = request.keys().unwrap().take(9);
            assert_eq!(keys.iter().map(|key| key.expose()).collect::<Vec<_>>(), ["sk-1", "sk-2", "sk-2"], "{form}");
        }
    }

    #[test]
    fn what_is_wrong_with_json_is_named() {
        use ErrorCode::{InvalidJson, ValidationFailed};
        for (body, code, field) in [
            ("", InvalidJson, ""),
            ("[]", InvalidJson, ""),
            (r#"{"group_id":1,"keys_text":"sk-1"#, InvalidJson, ""),
            (r#"{"keys_text":"sk-1"}"#, InvalidJson, "group_id"),
            (r#"{"group_id":-1,"keys_text":"sk-1"}"#, InvalidJson, "group_id"),
            (r#"{"group_id":"1","keys_text":"sk-1"}"#, InvalidJson, "group_id"),
            (r#"{"group_id":1}"#, InvalidJson, "keys_text"),
            (r#"{"group_id":1,"keys_text":""}"#, InvalidJson, "keys_text"),
            (r#"{"group_id":1,"keys_text":["sk-1"]}"#, InvalidJson, "keys_text"),
            (r#"{"group_id":1,"keys":"sk-1"}"#, InvalidJson, "keys"),
            (r#"{"group_id":1,"keys":["sk-1",2]}"#, InvalidJson, "keys[1]"),
            (r#"{"group_id":1,"keys_text":"sk-1","new_key_state":1}"#, InvalidJson, "new_key_state"),
            (r#"{"group_id":1,"keys_text":" \n"}"#, ValidationFailed, "keys_text"),
            (r#"{"group_id":1,"keys_text":"[\"sk-1\",2]"}"#, ValidationFailed, "keys_text"),
            (r#"{"group_id":1,"keys":[]}"#, ValidationFailed, "keys"),
            (r#"{"group_id":1,"keys":["sk-1"],"key_values":["sk-2"]}"#, ValidationFailed, "key_values"),
            (r#"{"group_id":1,"keys_text":"sk-\u0007"}"#, ValidationFailed, "keys_text"),
        ] {
            assert_eq!(error_of(body), (code, field.to_owned()), "{body}");
        }
    }
}
