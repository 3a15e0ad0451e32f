//! The leader's part in a rotation of the data key: it begins, and brings what is stored under the new key batch by batch.

use gpt_load_schema::{store::StoreResult, time::Timestamp};

use super::{Job, leader::Leader};
use crate::{
    cluster::changes::{Subject, Which},
    commands::{CommandError, Reply},
};

impl Leader {
    pub(super) async fn rotate_data_key(&self) -> Result<Reply, CommandError> {
        let now = Timestamp::now();
        let begun = self.committer.write(|writer| async move { writer.begin_rotation(now).await }).await?;
        if begun {
            tracing::info!("a new data key encrypts from now on; stored secrets follow in the background");
            // One that is under way has its job.
            self.jobs.push_once(Job::Rotate);
            // They have to read what is stored under the new key.
            self.team.changed(Subject::Everything, Which::All).await;
        }
        Ok(Reply::Rotation { begun })
    }

    /// Goes on with a rotation that an earlier process, or actor, left.
    pub(super) async fn resume_rotation(&self) -> StoreResult<()> {
        if self.store.rotates().await? {
            self.jobs.push_once(Job::Rotate);
        }
        Ok(())
    }

    /// Does one batch; answers whether there is more to do.
    pub(super) async fn continue_rotation(&self) -> StoreResult<bool> {
        let now = Timestamp::now();
        let more = self.committer.write(|writer| async move { writer.continue_rotation(now).await }).await?;
        if !more && let Some(rotation) = self.store.encryption_state().await?.rotation {
            match rotation.unreadable {
                0 => tracing::info!("the data key was rotated; the former one is gone"),
                unreadable => tracing::warn!(
                    unreadable,
                    "the data key was rotated; the former one stays, since some values under it do not decrypt"
                ),
            }
        }
        Ok(more)
    }
}
