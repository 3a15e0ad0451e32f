//! What the node that leads does for the installation, beside what its actors do.

use std::time::Duration;

use gpt_load_actors::{commands::Command, runtime::Runtime};
use gpt_load_schema::store::{Claim, Store};

use crate::{
    config::Config,
    setup::{first_start, management_key::ManagementKey},
};

/// How long to wait after something failed.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The leader before may need a moment to let go of the database: so often that is no news.
const PATIENCE: u32 = 3;

/// The duties of a node that leads a cluster.
pub struct Duties {
    /// The node's actors.
    pub runtime: Runtime,
    /// The database.
    pub store: Store,
    /// The configuration.
    pub config: Config,
    /// The management key.
    pub management_key: ManagementKey,
    /// Where clients reach the node.
    pub url: String,
}

impl Duties {
    /// For as long as the node runs, whenever it leads: it seeds the settings of a new installation, and holds the claim of
    /// the database, so that no node without `REDIS_DSN` uses it too.
    pub async fn carry_out(self) {
        let mut role = self.runtime.role_changes();
        let (mut claim, mut is_seeded, mut failures) = (None, false, 0);
        loop {
            let leads = role.borrow_and_update().epoch().is_some();
            if leads {
                is_seeded = is_seeded || self.seed().await;
                if claim.is_none() {
                    match Claim::of(self.config.database(), &self.config.node_name).await {
                        Ok(held) => (claim, failures) = (Some(held), 0),
                        Err(error) => {
                            failures += 1;
                            if failures >= PATIENCE {
                                tracing::error!(%error, "a program that is not of this cluster uses the database");
                            }
                        }
                    }
                }
            } else {
                claim = None;
            }
            let is_done = !leads || (is_seeded && claim.is_some());
            tokio::select! {
                changed = role.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(AGAIN_AFTER), if !is_done => {}
            }
        }
    }

    async fn seed(&self) -> bool {
        let seeds = first_start::seeds(&self.store, &self.management_key, self.url.clone(), &self.config.initial).await;
        let seeded: anyhow::Result<()> = match seeds {
            Ok(seeds) if seeds.settings.is_empty() => return true,
            Ok(seeds) => self.runtime.execute(Command::PutSettings(seeds.settings)).await.map(drop).map_err(Into::into),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = &seeded {
            tracing::warn!(%error, "the settings of a new installation are not stored yet");
        }
        seeded.is_ok()
    }
}
