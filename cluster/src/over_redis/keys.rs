/// The names of everything a cluster keeps in Redis.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
    /// Of channels, which know no databases.
    database: i64,
}

impl Keys {
    pub(super) fn new(cluster: &str, database: i64) -> Self {
        Self { prefix: format!("gptload:{{{cluster}}}:"), database }
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Where the holder of the lease is.
    pub(super) fn lock(&self) -> String {
        self.key("lease")
    }

    /// The last epoch that was given.
    pub(super) fn epoch(&self) -> String {
        self.key("epoch")
    }

    pub(super) fn uplink(&self) -> String {
        self.key("uplink")
    }

    pub(super) fn versions(&self) -> String {
        self.key("versions")
    }

    pub(super) fn members(&self) -> String {
        self.key("members")
    }

    /// When members were seen.
    pub(super) fn seen(&self) -> String {
        self.key("members:seen")
    }

    pub(super) fn limit(&self, counter: &str) -> String {
        format!("{}limits:{counter}", self.prefix)
    }

    /// The channel of messages to all nodes.
    pub(super) fn bus(&self) -> String {
        format!("{}bus:{}", self.prefix, self.database)
    }

    /// The channel that tells that the lease was freed.
    pub(super) fn freed(&self) -> String {
        format!("{}freed:{}", self.prefix, self.database)
    }
}
