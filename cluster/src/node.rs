use gpt_load_schema::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who a node is, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeIdentity {
    /// Its name; of the living nodes no two have the same.
    pub name: String,
    /// This run of it: a UUIDv7, greater with each start.
    pub instance: Uuid,
    /// Where other nodes reach its HTTP server, `host:port`; empty when nobody does.
    pub address: String,
    /// Whether that server speaks TLS.
    #[serde(default)]
    pub is_tls: bool,
    /// Version of the program.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether it never leads.
    pub is_slave: bool,
}

impl NodeIdentity {
    /// A node that starts now, with a new `instance`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            instance: Uuid::now_v7(),
            address: String::new(),
            is_tls: false,
            version: String::new(),
            started_at: Timestamp::now(),
            is_slave: false,
        }
    }
}
