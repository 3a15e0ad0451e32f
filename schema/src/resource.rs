//! What a provider stores, and the key whose account it belongs to.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{GroupId, KeyId},
    time::Timestamp,
};

/// Longest id that is remembered, in bytes.
pub const MAX_RESOURCE_ID: usize = 255;

/// An object at a provider, made or seen with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The group whose key it is.
    pub group_id: GroupId,
    /// The id as the provider spells it, at most [`MAX_RESOURCE_ID`] bytes.
    pub id: Box<str>,
    /// The key; it may be gone by now.
    pub key_id: KeyId,
    /// What it is.
    pub kind: ResourceKind,
    /// When the gateway saw it.
    pub created_at: Timestamp,
    /// When the gateway forgets it.
    pub expires_at: Timestamp,
}

/// Who owns a resource, as the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceOwner {
    /// The group whose key it is.
    pub group_id: GroupId,
    /// The id as the provider spells it.
    pub id: Box<str>,
    /// The key; it may be gone by now.
    pub key_id: KeyId,
    /// When the gateway forgets it.
    pub expires_at: Timestamp,
}

/// Kinds of objects that providers store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceKind {
    /// A file.
    File,
    /// A file in parts.
    Upload,
    /// Requests that are worked off later.
    Batch,
    /// A response of OpenAI's Responses.
    Response,
    /// A conversation of OpenAI's Responses.
    Conversation,
    /// A thread of OpenAI's assistants.
    Thread,
    /// An assistant.
    Assistant,
    /// A vector store.
    VectorStore,
    /// A container for code.
    Container,
    /// A fine-tuning job.
    FineTuning,
    /// A video.
    Video,
    /// A prompt kept by Gemini.
    CachedContent,
    /// Work that goes on at Gemini.
    Operation,
}

impl ResourceKind {
    /// The word used in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Upload => "upload",
            Self::Batch => "batch",
            Self::Response => "response",
            Self::Conversation => "conversation",
            Self::Thread => "thread",
            Self::Assistant => "assistant",
            Self::VectorStore => "vector_store",
            Self::Container => "container",
            Self::FineTuning => "fine_tuning",
            Self::Video => "video",
            Self::CachedContent => "cached_content",
            Self::Operation => "operation",
        }
    }
}
