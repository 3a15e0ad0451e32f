//! The management API of a running node, as a client sees it.

use std::{fmt, time::Duration};

use actix_http::{
    StatusCode,
    header::{self, HeaderMap, HeaderValue},
};
use bytes::Bytes;
use futures_util::StreamExt;
use gpt_load_schema::secret::Secret;
use http::Method;
use serde::Serialize;
use serde_json::Value;

use super::{
    access::Access,
    exit::{CliError, Exit},
    outbound,
};
use crate::{
    proxy::base_url::BaseUrl,
    upstream::{Clients, OutboundBody, OutboundRequest, OutboundResponse, Profile, TransportError, send},
};

/// Bytes of an answer that is read as a whole.
const MAX_ANSWER: usize = 64 << 20;
/// Time for one call; a batch of keys is a transaction and may take a while.
const CALL_TIME: Duration = Duration::from_secs(120);

/// Query parameters.
pub(super) type Query<'a> = &'a [(&'a str, &'a str)];

/// A running node.
pub(super) struct NodeClient {
    clients: Clients,
    node: BaseUrl,
    base_path: String,
    key: Option<Secret>,
    time: Duration,
}

/// Why a call to the node brought nothing.
#[derive(Debug)]
pub enum CallError {
    /// No answer; where from and why.
    Unreachable(String, String),
    /// The node said no.
    Answered {
        /// HTTP status.
        status: StatusCode,
        /// Code of the envelope; empty when there is none.
        code: String,
        /// The node's words.
        message: String,
    },
    /// The answer is not one of the management API.
    Foreign(String, StatusCode),
    /// The management key holds characters that no header carries.
    UnsendableKey,
}

impl NodeClient {
    /// A client of the node that `access` names.
    ///
    /// # Errors
    /// When its URL is none, or the TLS settings cannot be made.
    pub(super) fn new(access: &Access) -> Result<Self, CliError> {
        let profile = Profile { allow_link_local: true, ..Profile::default() };
        let node = BaseUrl::parse(&access.url, |_, _, _| Ok(profile.into()))
            .map_err(|reason| CliError::usage(format!("the node's URL {:?} cannot be used: {reason}", access.url)))?;
        let base_path = url::Url::parse(&node.url).map_or_else(|_| String::new(), |url| url.path().to_owned());
        Ok(Self {
            clients: outbound::clients(access.config.as_ref())?,
            node,
            base_path: base_path.trim_end_matches('/').to_owned(),
            key: access.key.clone(),
            time: CALL_TIME,
        })
    }

    /// The same with `time` for each call.
    pub(super) fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The same without the management key, for routes that are open to all.
    pub(super) fn anonymous(mut self) -> Self {
        self.key = None;
        self
    }

    /// Where the node is.
    pub(super) fn url(&self) -> &str {
        &self.node.url
    }

    /// `data` of a `GET`; null when the answer has none.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn get(&self, path: &str, query: Query<'_>) -> Result<Value, CallError> {
        self.enveloped(self.send(&Method::GET, path, query, None).await?).await
    }

    /// `data` of a `POST`; null when the answer has none.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, CallError> {
        // Proof: what is sent are numbers, texts and lists of them, which JSON can hold.
        let body = serde_json::to_vec(body).unwrap_or_default();
        self.enveloped(self.send(&Method::POST, path, &[], Some(body)).await?).await
    }

    /// `data` of a `DELETE`; null when the answer has none.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn delete(&self, path: &str) -> Result<Value, CallError> {
        self.enveloped(self.send(&Method::DELETE, path, &[], None).await?).await
    }

    /// Status and JSON of a route whose answers have no envelope.
    ///
    /// # Errors
    /// See [`CallError`]; other statuses than success are no error here.
    pub(super) async fn plain(&self, path: &str) -> Result<(StatusCode, Value), CallError> {
        let answer = self.send(&Method::GET, path, &[], None).await?;
        let status = answer.status;
        Ok((status, self.json(answer).await?))
    }

    /// Hands a text answer to `take`, piece by piece; only a whole answer is a success.
    ///
    /// # Errors
    /// See [`CallError`]; and what `take` says.
    pub(super) async fn download(
        &self,
        path: &str,
        query: Query<'_>,
        mut take: impl FnMut(&Bytes) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let answer = self.send(&Method::GET, path, query, None).await?;
        if answer.status != StatusCode::OK {
            self.enveloped(answer).await?;
            return Ok(());
        }
        let mut body = answer.body;
        while let Some(chunk) = body.next().await {
            take(&chunk.map_err(|error| self.unreachable(&error))?)?;
        }
        Ok(())
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        query: Query<'_>,
        body: Option<Vec<u8>>,
    ) -> Result<OutboundResponse, CallError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en-US"));
        if let Some(key) = &self.key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            headers.insert(header::AUTHORIZATION, value.map_err(|_| CallError::UnsendableKey)?);
        }
        let body = match body {
            Some(body) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                OutboundBody::Full(body.into())
            }
            None => OutboundBody::Empty,
        };
        let mut path_and_query = format!("{}{path}", self.base_path);
        if !query.is_empty() {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            path_and_query = format!("{path_and_query}?{query}");
        }
        let request =
            OutboundRequest { method, path_and_query: &path_and_query, headers, body, head_timeout: self.time };
        send(&self.clients, &self.node.target, request).await.map_err(|error| self.unreachable(&error))
    }

    async fn json(&self, answer: OutboundResponse) -> Result<Value, CallError> {
        let status = answer.status;
        let body = outbound::collect(answer.body, MAX_ANSWER, self.time)
            .await
            .map_err(|error| CallError::Unreachable(self.node.url.to_string(), error.to_string()))?;
        serde_json::from_slice(&body).map_err(|_| CallError::Foreign(self.node.url.to_string(), status))
    }

    async fn enveloped(&self, answer: OutboundResponse) -> Result<Value, CallError> {
        let status = answer.status;
        let mut body = self.json(answer).await?;
        if status.is_success() && body["code"] == 0 {
            return Ok(body["data"].take());
        }
        match refusal(status, &body) {
            Some(refusal) => Err(refusal),
            None => Err(CallError::Foreign(self.node.url.to_string(), status)),
        }
    }

    fn unreachable(&self, error: &TransportError) -> CallError {
        CallError::Unreachable(self.node.url.to_string(), error.to_string())
    }
}

/// What the error envelope says, details included; `None` when `body` is none.
pub(super) fn refusal(status: StatusCode, body: &Value) -> Option<CallError> {
    let mut message = body["message"].as_str().or_else(|| body["error"].as_str())?.to_owned();
    for detail in body["details"].as_array().into_iter().flatten() {
        if let (Some(field), Some(text)) = (detail["field"].as_str(), detail["message"].as_str()) {
            message.push_str(&format!("; {field}: {text}"));
        }
    }
    Some(CallError::Answered { status, code: body["code"].as_str().unwrap_or_default().to_owned(), message })
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(url, reason) => write!(f, "no answer from the node at {url}: {reason}"),
            Self::Answered { status, code, message } if code.is_empty() => {
                write!(f, "the node answered {}: {message}", status.as_u16())
            }
            Self::Answered { status, code, message } => {
                write!(f, "the node answered {} {code}: {message}", status.as_u16())
            }
            Self::Foreign(url, status) => {
                write!(f, "{url} answered {} in a form that GPT-Load does not use", status.as_u16())
            }
            Self::UnsendableKey => f.write_str("the management key holds characters that no HTTP header may carry"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        let (exit, advice) = match &error {
            CallError::Unreachable(..) => {
                (Exit::Unreachable, "Start it with `gpt-load serve`, or name another one with --url.")
            }
            CallError::Answered { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. } => (
                Exit::Refused,
                "Give the node's management key in AUTH_KEY or --auth-key-file; a generated one is in its DATA_DIR/auth_key.",
            ),
            CallError::Answered { .. } => (Exit::Failure, ""),
            CallError::Foreign(..) => (Exit::Failure, "Does --url name a GPT-Load node, with its BASE_PATH?"),
            CallError::UnsendableKey => (Exit::Usage, "Look into AUTH_KEY or --auth-key-file."),
        };
        Self { exit, message: error.to_string(), advice: advice.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_carry_the_details() {
        let body = json!({"code": "VALIDATION_FAILED", "message": "Validation failed",
            "details": [{"field": "keys[3]", "message": "holds a control character"}]});
        let error = CliError::from(refusal(StatusCode::BAD_REQUEST, &body).unwrap());
        assert_eq!(error.exit, Exit::Failure);
        assert_eq!(
            error.message,
            "the node answered 400 VALIDATION_FAILED: Validation failed; keys[3]: holds a control character"
        );
        assert!(refusal(StatusCode::OK, &json!([1])).is_none());
    }

    #[test]
    fn every_failure_has_its_exit_code() {
        let answered = |status| CallError::Answered { status, code: "X".to_owned(), message: "text".to_owned() };
        for (error, exit) in [
            (CallError::Unreachable("http://h".to_owned(), "refused".to_owned()), Exit::Unreachable),
            (answered(StatusCode::UNAUTHORIZED), Exit::Refused),
            (answered(StatusCode::FORBIDDEN), Exit::Refused),
            (answered(StatusCode::INTERNAL_SERVER_ERROR), Exit::Failure),
            (CallError::Foreign("http://h".to_owned(), StatusCode::OK), Exit::Failure),
            (CallError::UnsendableKey, Exit::Usage),
        ] {
            assert_eq!(CliError::from(error).exit, exit);
        }
    }
}
