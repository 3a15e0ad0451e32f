//! What the leader does about access tokens.

use gpt_load_schema::{access::TokenDefinition, ids::TokenId, store::StoreResult, time::Timestamp};

use super::leader::Leader;
use crate::{
    cluster::changes::{Subject, Which},
    commands::{CommandError, Reply},
};

impl Leader {
    pub(super) async fn create_token(
        &self,
        definition: &TokenDefinition,
        prefix: &str,
        hash: &str,
    ) -> Result<Reply, CommandError> {
        let now = Timestamp::now();
        let write = |writer: gpt_load_schema::store::Writer| async move {
            writer.insert_access_token(definition, prefix, hash, now).await
        };
        let token = self.committer.write(write).await?;
        self.tokens.put(token.clone());
        self.team.changed(Subject::Everything, Which::All).await;
        Ok(Reply::Token(Box::new(token)))
    }

    pub(super) async fn update_token(&self, id: TokenId, definition: &TokenDefinition) -> Result<Reply, CommandError> {
        let now = Timestamp::now();
        let write = |writer: gpt_load_schema::store::Writer| async move {
            writer.update_access_token(id, definition, now).await
        };
        let token = self.committer.write(write).await?;
        self.tokens.put(token.clone());
        self.team.changed(Subject::Everything, Which::All).await;
        Ok(Reply::Token(Box::new(token)))
    }

    pub(super) async fn delete_token(&self, id: TokenId) -> Result<Reply, CommandError> {
        self.committer.write(|writer| async move { writer.delete_access_token(id).await }).await?;
        self.tokens.forget(id);
        self.team.changed(Subject::Everything, Which::All).await;
        Ok(Reply::Done)
    }

    /// Brings what waits for the audit log, and the last uses of tokens, into the database.
    pub(super) async fn chores(&self) -> StoreResult<()> {
        self.audit.write_waiting().await?;
        let used = self.tokens.unwritten();
        if !used.is_empty() {
            let rows = &used;
            self.committer.write(|writer| async move { writer.touch_access_tokens(rows).await }).await?;
            self.tokens.written(&used);
        }
        Ok(())
    }
}
