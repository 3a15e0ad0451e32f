//! Row identities. Newtypes so that a key id is never taken for a group id.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            derive_more::Display, derive_more::From, derive_more::Into,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);
    };
}

id! {
    /// A group; positive.
    GroupId
}
id! {
    /// A provider key; positive, unique over all groups.
    KeyId
}
id! {
    /// A policy; positive.
    PolicyId
}
id! {
    /// An access token of the management API; positive.
    TokenId
}
