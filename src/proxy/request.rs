//! What the client asked for, and what that comes to for the group that serves it.

use std::{borrow::Cow, collections::BTreeSet};

use actix_http::header::{HeaderMap, HeaderValue};
use actix_web::http::{Method, header};
use bytes::Bytes;
use gpt_load_schema::channel::Channel;

use super::{
    body::Body,
    error::ProxyError,
    table::{Route, Standard},
};
use crate::channel::{
    asked,
    inspect::{Members, inspect, multipart_model},
    model::{self, Place, Redirect},
    models, splice,
    sticky::sticky,
    stream,
};

/// Bytes of the request body that a group with body logging keeps.
const LOGGED_BODY_BYTES: usize = 65_000;

/// A client request, independent of the group that serves it.
pub struct ClientRequest<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path below the entrance, percent-encoded, with its leading slash.
    pub path: &'a str,
    /// Query without the proxy key.
    pub query: Option<String>,
    /// All headers as received.
    pub headers: &'a HeaderMap,
    /// Whole or streaming body.
    pub body: Body,
}

/// A request as one group sends it; the credential is still missing.
pub struct Shaped<'a> {
    /// Path below the upstream's base path.
    pub path: Cow<'a, str>,
    /// Body of every attempt; a streaming body is sent as it is.
    pub body: Option<Bytes>,
    /// Model the client asked for.
    pub model: String,
    /// Model asked for upstream, where a redirect names another.
    pub redirected_to: Option<String>,
    /// Whether the client asked for a stream.
    pub is_stream: bool,
    /// Whether the answer is a model list that this group changes.
    pub rewrites_model_list: bool,
    /// Hash of what the request sticks to, in a group that selects keys so.
    pub sticky: Option<u64>,
}

impl Shaped<'_> {
    /// Model asked for upstream; empty when the request names none.
    pub fn asked_model(&self) -> &str {
        self.redirected_to.as_deref().unwrap_or(&self.model)
    }
}

impl<'a> ClientRequest<'a> {
    /// Shapes the request for `route`.
    ///
    /// # Errors
    ///
    /// [`ProxyError::ModelNotRedirected`] and [`ProxyError::BodyNotInspectable`].
    pub fn shape(&self, route: &Route, standard: &Standard, replay: usize) -> Result<Shaped<'a>, ProxyError> {
        let definition = &route.group.definition;
        let channel = definition.channel;
        let rewrites_model_list =
            !definition.model_redirect_rules.is_empty() && models::is_list(self.method.as_str(), self.path);
        let body = match &self.body {
            Body::Buffered(body) => body,
            Body::Streaming(streaming) => {
                let inspects = !standard.overrides.is_empty() || !definition.model_redirect_rules.is_empty();
                if inspects && self.is_json() {
                    return Err(ProxyError::BodyNotInspectable(replay));
                }
                let model = self.multipart_model(streaming.prefix());
                return Ok(Shaped {
                    path: Cow::Borrowed(self.path),
                    body: None,
                    model: model.unwrap_or_else(|| model::requested(channel, self.path, None)),
                    redirected_to: None,
                    is_stream: self.asks_for_stream(channel, None),
                    rewrites_model_list,
                    sticky: self.sticky(route, None),
                });
            }
        };
        let sent = inspect(body);
        let Some(members) = &sent else {
            let model = self.multipart_model(body);
            let (path, redirected_to) = self.redirected_path(route, None)?.unzip();
            return Ok(Shaped {
                model: model.unwrap_or_else(|| model::requested(channel, self.path, None)),
                redirected_to,
                path: path.map_or(Cow::Borrowed(self.path), Cow::Owned),
                body: Some(body.clone()),
                is_stream: self.asks_for_stream(channel, None),
                rewrites_model_list,
                sticky: self.sticky(route, None),
            });
        };
        self.shape_json(route, standard, body, members, rewrites_model_list)
    }

    fn shape_json(
        &self,
        route: &Route,
        standard: &Standard,
        body: &Bytes,
        members: &Members<'_>,
        rewrites_model_list: bool,
    ) -> Result<Shaped<'a>, ProxyError> {
        let definition = &route.group.definition;
        let channel = definition.channel;
        let mut changes: Cow<'_, [(String, Vec<u8>)]> = Cow::Borrowed(&standard.overrides);
        let overridden = |name: &str| standard.overrides.iter().find(|(member, _)| member == name).map(|(_, raw)| raw);
        let stream_member = match overridden("stream") {
            Some(raw) => Some(raw.as_slice() == b"true"),
            None => members.stream,
        };
        let is_stream = self.asks_for_stream(channel, stream_member);
        let model = match overridden("model").and_then(|raw| serde_json::from_slice::<String>(raw).ok()) {
            Some(model) if model::place(channel, self.path) == Place::Body => model,
            _ => model::requested(channel, self.path, Some(members)),
        };
        let (path, mut redirected_to) = self.redirected_path(route, Some(&model))?.unzip();
        if model::place(channel, self.path) == Place::Body
            && let Some(to) = redirect(route, Some(&model).filter(|model| !model.is_empty()))?
        {
            set(changes.to_mut(), "model", serde_json::Value::from(to.as_str()).to_string().into_bytes());
            redirected_to = Some(to);
        }
        if is_stream && route.settings.include_stream_usage && wants_stream_options(channel, self.path) {
            let current = overridden("stream_options").map(Vec::as_slice).or(members.stream_options);
            let value = splice::include_usage(current);
            set(changes.to_mut(), "stream_options", value);
        }
        let body = if changes.is_empty() {
            body.clone()
        } else {
            let changed = splice::splice(body, &changes).map_err(|error| ProxyError::BadRequest(error.to_string()))?;
            Bytes::from(changed)
        };
        Ok(Shaped {
            path: path.map_or(Cow::Borrowed(self.path), Cow::Owned),
            body: Some(body),
            model,
            redirected_to,
            is_stream,
            rewrites_model_list,
            sticky: self.sticky(route, Some(members)),
        })
    }

    fn sticky(&self, route: &Route, members: Option<&Members<'_>>) -> Option<u64> {
        let settings = &route.settings;
        if settings.key_selection != "sticky" {
            return None;
        }
        let header = Some(&settings.sticky_header).filter(|name| !name.is_empty());
        let value = header.and_then(|name| self.headers.get(name.as_str()));
        sticky(value.map(HeaderValue::as_bytes), members)
    }

    /// The path with a redirected model and that model, on formats that carry it there; `None` = as it is.
    fn redirected_path(&self, route: &Route, model: Option<&String>) -> Result<Option<(String, String)>, ProxyError> {
        let channel = route.group.definition.channel;
        if model::place(channel, self.path) != Place::Path || route.group.definition.model_redirect_rules.is_empty() {
            return Ok(None);
        }
        let asked = match model {
            Some(model) if !model.is_empty() => Some(model.clone()),
            _ => model::in_path(self.path),
        };
        let to = redirect(route, asked.as_ref())?;
        Ok(to.and_then(|to| Some((model::redirect_path(self.path, &to)?, to))))
    }

    fn asks_for_stream(&self, channel: Channel, member: Option<bool>) -> bool {
        let accept = self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        stream::is_requested(channel, self.path, self.query.as_deref(), accept, member)
    }

    fn content_type(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_TYPE)?.to_str().ok()
    }

    /// Whether the body may be JSON, by its content type.
    pub fn is_json(&self) -> bool {
        self.content_type().is_none_or(|content_type| content_type.contains("json"))
    }

    /// The model that a form names.
    pub fn multipart_model(&self, body: &[u8]) -> Option<String> {
        multipart_model(self.content_type()?, body)
    }

    /// Every model that a whole form names; `None` when the body is none that every provider reads alike.
    pub fn form_models(&self, body: &[u8]) -> Option<BTreeSet<String>> {
        asked::in_form(self.content_type()?, body)
    }

    /// What a group with body logging keeps of the body, cut on a character boundary.
    pub fn logged_body(&self) -> String {
        let bytes = match &self.body {
            Body::Buffered(body) => body.as_ref(),
            Body::Streaming(streaming) => streaming.prefix(),
        };
        let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(LOGGED_BODY_BYTES)]).into_owned();
        text.truncate(text.floor_char_boundary(LOGGED_BODY_BYTES));
        text
    }
}

/// Only chat completions know `stream_options`; other paths would refuse it.
fn wants_stream_options(channel: Channel, path: &str) -> bool {
    matches!(channel, Channel::OpenAi | Channel::Gemini) && path.ends_with("/chat/completions")
}

fn redirect(route: &Route, model: Option<&String>) -> Result<Option<String>, ProxyError> {
    let definition = &route.group.definition;
    let model = model.map(String::as_str);
    match model::redirect(&definition.model_redirect_rules, definition.model_redirect_strict, model) {
        Redirect::None => Ok(None),
        Redirect::To(to) => Ok(Some(to)),
        Redirect::Refused => Err(ProxyError::ModelNotRedirected(model.unwrap_or_default().to_owned())),
    }
}

fn set(changes: &mut Vec<(String, Vec<u8>)>, name: &str, raw: Vec<u8>) {
    match changes.iter_mut().find(|(member, _)| member == name) {
        Some((_, value)) => *value = raw,
        None => changes.push((name.to_owned(), raw)),
    }
}
