//! Access tokens of the management API.

use std::sync::Arc;

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreError, StoreResult, Writer,
    epoch::reserve_ids,
    pool::{read, write},
    tables::access_tokens,
    text::fit_chars,
};
use crate::{
    access::{AccessToken, MAX_NAME_CHARS, Role, TokenDefinition},
    ids::TokenId,
    time::Timestamp,
};

const TOKEN: &str = "the access token";
const TOKEN_NAME: &str = "an access token of this name";
/// Name of the tokens' ids in `row_ids`.
const IDS: &str = "access_tokens";

/// A row of `access_tokens`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = access_tokens)]
struct TokenRow {
    id: i64,
    #[diesel(embed)]
    definition: DefinitionRow,
    prefix: String,
    token_hash: String,
    last_used_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// The columns that a person decides about.
#[derive(AsChangeset, Queryable, Selectable, Insertable)]
#[diesel(table_name = access_tokens, treat_none_as_null = true)]
struct DefinitionRow {
    name: String,
    role: String,
    expires_at: Option<i64>,
}

impl DefinitionRow {
    fn new(definition: &TokenDefinition) -> Self {
        Self {
            name: fit_chars(definition.name.clone(), MAX_NAME_CHARS),
            role: definition.role.as_str().to_owned(),
            expires_at: definition.expires_at.map(|at| at.0),
        }
    }
}

impl TokenRow {
    /// A role that this program does not know counts as the least.
    fn into_token(self) -> AccessToken {
        let DefinitionRow { name, role, expires_at } = self.definition;
        let role = Role::from_word(&role).unwrap_or(Role::Viewer);
        AccessToken {
            id: TokenId(self.id),
            definition: TokenDefinition { name, role, expires_at: expires_at.map(Timestamp) },
            prefix: self.prefix,
            hash: self.token_hash,
            last_used_at: self.last_used_at.map(Timestamp),
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        }
    }
}

impl Store {
    /// Every access token, by id.
    pub async fn access_tokens(&self) -> StoreResult<Vec<AccessToken>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<TokenRow> = read!(engine, |conn| {
                    access_tokens::table.order(access_tokens::id).select(TokenRow::as_select()).load(conn).await?
                });
                Ok(rows.into_iter().map(TokenRow::into_token).collect())
            })
            .await
    }

    /// One access token.
    pub async fn access_token(&self, id: TokenId) -> StoreResult<Option<AccessToken>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let row: Option<TokenRow> = read!(engine, |conn| {
                    access_tokens::table.find(id.0).select(TokenRow::as_select()).first(conn).await.optional()?
                });
                Ok(row.map(TokenRow::into_token))
            })
            .await
    }
}

impl Writer {
    /// Adds an access token whose value has this prefix and [`Store::lookup_hash`]. `Duplicate` when the name is taken.
    pub async fn insert_access_token(
        &self,
        definition: &TokenDefinition,
        prefix: &str,
        hash: &str,
        now: Timestamp,
    ) -> StoreResult<AccessToken> {
        let (engine, epoch, definition) = (Arc::clone(&self.engine), self.epoch, DefinitionRow::new(definition));
        let (prefix, token_hash) = (prefix.to_owned(), hash.to_owned());
        self.engine
            .run(async move {
                let inserted = write!(engine, epoch, |conn| {
                    let id = reserve_ids!(conn, IDS, 1);
                    let row = TokenRow {
                        id,
                        definition,
                        prefix,
                        token_hash,
                        last_used_at: None,
                        created_at: now.0,
                        updated_at: now.0,
                    };
                    diesel::insert_into(access_tokens::table).values(&row).execute(conn).await?;
                    Ok(row)
                });
                inserted.map(TokenRow::into_token).map_err(|error: StoreError| error.or_duplicate(TOKEN_NAME))
            })
            .await
    }

    /// Replaces what a person decided about a token. `NotFound`, `Duplicate`.
    pub async fn update_access_token(
        &self,
        id: TokenId,
        definition: &TokenDefinition,
        now: Timestamp,
    ) -> StoreResult<AccessToken> {
        let (engine, epoch, definition) = (Arc::clone(&self.engine), self.epoch, DefinitionRow::new(definition));
        self.engine
            .run(async move {
                let updated = write!(engine, epoch, |conn| {
                    let target = access_tokens::table.find(id.0);
                    let change = (definition, access_tokens::updated_at.eq(now.0));
                    if diesel::update(target).set(change).execute(conn).await? == 0 {
                        return Err(StoreError::NotFound(TOKEN));
                    }
                    let row: TokenRow = target.select(TokenRow::as_select()).first(conn).await?;
                    Ok(row)
                });
                updated.map(TokenRow::into_token).map_err(|error: StoreError| error.or_duplicate(TOKEN_NAME))
            })
            .await
    }

    /// Removes a token. `NotFound`.
    pub async fn delete_access_token(&self, id: TokenId) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    match diesel::delete(access_tokens::table.find(id.0)).execute(conn).await? {
                        0 => Err(StoreError::NotFound(TOKEN)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    /// Takes note of when tokens were last used; tokens that are gone do not matter.
    pub async fn touch_access_tokens(&self, used: &[(TokenId, Timestamp)]) -> StoreResult<()> {
        let (engine, epoch, used) = (Arc::clone(&self.engine), self.epoch, used.to_vec());
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    for (id, at) in used {
                        let change = access_tokens::last_used_at.eq(Some(at.0));
                        diesel::update(access_tokens::table.find(id.0)).set(change).execute(conn).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}
