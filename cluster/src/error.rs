/// What a part of the cluster answers.
pub type ClusterResult<T> = Result<T, ClusterError>;

/// Why something shared could not be had. Holds no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Redis is away, or does not answer in time. What was asked may have happened or not.
    #[error("Redis cannot be reached: {0}")]
    Unavailable(String),
    /// Redis answers, but refuses.
    #[error("Redis refuses: {0}")]
    Refused(String),
    /// Another living node has this node's name.
    #[error("NODE_NAME: a node named {name} is running already, at {address}; each node needs a name of its own")]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other node is reached.
        address: String,
    },
}
