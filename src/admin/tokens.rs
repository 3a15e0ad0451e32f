//! Access tokens: list, create, change, delete. Admins only.

use actix_web::web;
use gpt_load_actors::commands::{Command, CommandError, Reply};
use gpt_load_schema::{
    access::{AccessToken, MAX_NAME_CHARS, Role, TokenDefinition, fresh_value, prefix_of},
    ids::TokenId,
    secret::Secret,
    store::StoreError,
    time::Timestamp,
};
use serde::Serialize;

use super::{
    AdminState,
    body::{Fields, JsonBody},
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    groups::PathId,
    key_object::time,
    locale::Text,
    logs::moment,
    messages,
};

/// A token as the API shows it; `token`, its value, only in the answer to its creation.
#[derive(Serialize)]
struct TokenBody<'a> {
    id: TokenId,
    name: &'a str,
    role: Role,
    prefix: &'a str,
    #[serde(serialize_with = "time")]
    expires_at: Option<Timestamp>,
    is_expired: bool,
    #[serde(serialize_with = "time")]
    last_used_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    created_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    updated_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> TokenBody<'a> {
    fn new(state: &AdminState, token: &'a AccessToken, value: Option<&'a Secret>) -> Self {
        let here = state.runtime.tokens().get(token.id).and_then(|known| known.last_used_at());
        let TokenDefinition { name, role, expires_at } = &token.definition;
        Self {
            id: token.id,
            name,
            role: *role,
            prefix: &token.prefix,
            expires_at: *expires_at,
            is_expired: !token.is_valid(Timestamp::now()),
            last_used_at: token.last_used_at.max(here),
            created_at: Some(token.created_at),
            updated_at: Some(token.updated_at),
            token: value.map(Secret::expose),
        }
    }
}

/// `GET /api/tokens`: every token, by id.
pub(super) async fn all(state: web::Data<AdminState>) -> ApiResult {
    let tokens = state.store.access_tokens().await?;
    Success::data(&tokens.iter().map(|token| TokenBody::new(&state, token, None)).collect::<Vec<_>>())
}

/// `GET /api/tokens/{id}`.
pub(super) async fn one(state: web::Data<AdminState>, id: PathId<TokenId>) -> ApiResult {
    Success::data(&TokenBody::new(&state, &stored(&state, id.0).await?, None))
}

/// `POST /api/tokens`: answers the value, this once.
pub(super) async fn create(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let mut body = body.0;
    let name = name(&body.required_string("name")?)?;
    let role = role(&body.required_string("role")?)?;
    let expires_at = expiry(&mut body)?.flatten();
    if expires_at.is_some_and(|at| at <= Timestamp::now()) {
        return Err(ApiError::invalid("expires_at", messages::TOKEN_EXPIRY_PAST));
    }
    let value = fresh_value();
    let command = Command::CreateToken {
        definition: TokenDefinition { name, role, expires_at },
        prefix: prefix_of(&value),
        hash: state.store.lookup_hash(value.expose()),
    };
    let token = changed(state.execute(&caller, command).await)?;
    Success::data(&TokenBody::new(&state, &token, Some(&value)))
}

/// `PATCH /api/tokens/{id}`: what is not sent stays; `expires_at` of the past ends its access, `null` lifts the bound.
pub(super) async fn change(
    state: web::Data<AdminState>,
    caller: Caller,
    id: PathId<TokenId>,
    body: JsonBody,
) -> ApiResult {
    let mut body = body.0;
    let _turn = state.edit_groups().await;
    let mut definition = stored(&state, id.0).await?.definition;
    if let Some(sent) = body.string("name")? {
        definition.name = name(&sent)?;
    }
    if let Some(sent) = body.string("role")? {
        definition.role = role(&sent)?;
    }
    if let Some(sent) = expiry(&mut body)? {
        definition.expires_at = sent;
    }
    let token = changed(state.execute(&caller, Command::UpdateToken(id.0, definition)).await)?;
    Success::data(&TokenBody::new(&state, &token, None))
}

/// `DELETE /api/tokens/{id}`: ends its access at once.
pub(super) async fn delete(state: web::Data<AdminState>, caller: Caller, id: PathId<TokenId>) -> ApiResult {
    stored(&state, id.0).await?;
    state.execute(&caller, Command::DeleteToken(id.0)).await?;
    Ok(Success::message(messages::TOKEN_DELETED))
}

async fn stored(state: &AdminState, id: TokenId) -> Result<AccessToken, ApiError> {
    let token = state.store.access_token(id).await?;
    token.ok_or_else(|| ApiError::saying(ErrorCode::NotFound, messages::TOKEN_UNKNOWN))
}

fn name(sent: &str) -> Result<String, ApiError> {
    let name = sent.trim();
    let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(ApiError::invalid("name", messages::TOKEN_NAME.with(MAX_NAME_CHARS))) }
}

fn role(sent: &str) -> Result<Role, ApiError> {
    Role::from_word(sent).ok_or_else(|| ApiError::invalid("role", messages::TOKEN_ROLE))
}

/// `None` = not sent, `Some(None)` = `null`: never.
fn expiry(body: &mut Fields) -> Result<Option<Option<Timestamp>>, ApiError> {
    if body.is_null("expires_at") {
        return Ok(Some(None));
    }
    let Some(text) = body.string("expires_at")? else { return Ok(None) };
    let at = moment(&text).ok_or_else(|| {
        ApiError::invalid("expires_at", Text::english("expires_at must be a time in RFC 3339, or null for never"))
    })?;
    Ok(Some(Some(at)))
}

fn changed(reply: Result<Reply, CommandError>) -> Result<AccessToken, ApiError> {
    match reply {
        Ok(Reply::Token(token)) => Ok(*token),
        Ok(_) => Err(ApiError::new(ErrorCode::InternalServerError)),
        Err(CommandError::Store(StoreError::Duplicate(_))) => {
            Err(ApiError::field(ErrorCode::DuplicateResource, "name", messages::TOKEN_NAME_TAKEN))
        }
        Err(error) => Err(error.into()),
    }
}
