//! From a request to the endpoint that answers it.

use super::answer::Answer;
use super::behaviour::Behaviour;
use super::errors::Dialect;
use super::files::Files;
use super::request::{Ask, Head};
use super::wire::Body;
use super::{anthropic, gemini, openai};

/// Version segments that a provider's paths begin with, the longest first. What stands before is the base path of the
/// upstream, whatever it is.
const VERSIONS: [(&str, Family); 5] = [
    ("/openai/deployments/", Family::Azure),
    ("/v1beta/openai/", Family::OpenAi),
    ("/openai/v1/", Family::OpenAi),
    ("/v1beta/", Family::Gemini),
    ("/v1/", Family::Plain),
];
/// Models and keys that begin so are unknown to the double.
const UNKNOWN: &str = "no-such";
/// Place of Gemini's uploads, which stand before the version.
const UPLOAD: &str = "upload:files";

#[derive(Clone, Copy)]
enum Family {
    Azure,
    OpenAi,
    Gemini,
    /// OpenAI, Anthropic, or Gemini's stable version: told apart by the endpoint and the headers.
    Plain,
}

/// Answers a request as its provider would.
pub(crate) fn answer(head: &Head, body: &Body, files: &Files, how: &Behaviour, scheme: &str) -> Answer {
    let (dialect, resource) = place(head);
    // The second step of an upload goes to an address that is a credential itself.
    let begun_upload = resource == UPLOAD && head.query("upload_id").is_some();
    match head.key() {
        None if !begun_upload => {
            return Answer::error(dialect, dialect.status(401), None, "You didn't provide an API key.");
        }
        Some(key) if key.starts_with(UNKNOWN) => return unknown_key(dialect),
        _ => {}
    }
    if resource.is_empty() {
        let message = format!("Invalid URL ({} {})", head.method, head.path());
        return Answer::error(dialect, 404, Some("unknown_url"), &message);
    }
    if resource == UPLOAD {
        return files.gemini_upload(head, body, scheme);
    }
    if let Some(answer) = files.objects(dialect, resource, head, body) {
        return answer;
    }
    if let Some(rest) = after(resource, "files") {
        return if dialect == Dialect::Gemini { files.gemini(head, rest) } else { files.openai(head, body, rest) };
    }
    if let Some(rest) = after(resource, "models")
        && head.method == "GET"
    {
        return models(dialect, rest);
    }
    if head.method != "POST" {
        return Answer::error(dialect, 405, None, "Method not allowed.");
    }
    let ask: Ask<'_> = match serde_json::from_slice(&body.bytes) {
        Ok(ask) => ask,
        Err(error) => {
            let message = format!("We could not parse the JSON body of your request. ({error})");
            return Answer::error(dialect, 400, None, &message);
        }
    };
    let answer = post(dialect, resource, head, &ask, how);
    if dialect == Dialect::Responses { files.keep_response(head, answer) } else { answer }
}

/// Error object for a request that a behaviour answers with an error, in the shape of its provider.
pub(crate) fn dialect(head: &Head) -> Dialect {
    place(head).0
}

/// Model that the request names in its path or body.
pub(crate) fn model(head: &Head, body: &Body) -> Option<String> {
    if let Some((_, rest)) = head.path().split_once("/models/") {
        let name = rest.split_once(':').map_or(rest, |(name, _)| name);
        return Some(percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned());
    }
    let ask: Ask<'_> = serde_json::from_slice(&body.bytes).ok()?;
    ask.model.map(|model| model.into_owned())
}

fn post(dialect: Dialect, resource: &str, head: &Head, ask: &Ask<'_>, how: &Behaviour) -> Answer {
    let model = ask.model.as_deref().unwrap_or("unnamed");
    if model.starts_with(UNKNOWN) {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        return Answer::error(dialect, 404, None, &message);
    }
    match resource {
        "chat/completions" => openai::chat(ask, model, how),
        "responses" => openai::responses(ask, model, how),
        "embeddings" => openai::embeddings(ask, model),
        "messages" => anthropic::messages(ask, model, how),
        "messages/count_tokens" => anthropic::count_tokens(ask),
        _ => match after(resource, "models").and_then(|rest| rest.rsplit_once(':')) {
            Some((model, _)) if model.starts_with(UNKNOWN) => gemini::model(model),
            Some((model, "generateContent")) => gemini::generate(ask, model, how),
            Some((model, "streamGenerateContent")) => {
                gemini::generate_stream(ask, model, how, head.query("alt").as_deref() == Some("sse"))
            }
            Some((_, "embedContent")) => gemini::embed(),
            Some((_, "batchEmbedContents")) => gemini::embed_batch(ask),
            Some((_, "countTokens")) => gemini::count_tokens(),
            _ => Answer::error(dialect, 404, Some("unknown_url"), &format!("Invalid URL (POST {})", head.path())),
        },
    }
}

fn models(dialect: Dialect, id: &str) -> Answer {
    match (dialect, id) {
        (Dialect::Anthropic, "") => anthropic::models(),
        (Dialect::Anthropic, id) => anthropic::model(id),
        (Dialect::Gemini, "") => gemini::models(),
        (Dialect::Gemini, id) => gemini::model(id),
        (_, "") => openai::models(),
        (_, id) => openai::model(id),
    }
}

fn unknown_key(dialect: Dialect) -> Answer {
    let body = dialect.error_body(401, None, dialect.usual_message(401), None);
    Answer { status: dialect.status(401), ..Answer::json(dialect, body) }
}

/// Whose API a request is for, and its path behind the version; empty where there is no version.
fn place(head: &Head) -> (Dialect, &str) {
    let path = head.path();
    if path.contains("/upload/v1") && path.ends_with("/files") {
        return (Dialect::Gemini, UPLOAD);
    }
    let found = VERSIONS.iter().find_map(|(version, family)| Some((path.split_once(version)?.1, *family)));
    let google = head.header("x-goog-api-key").is_some() || head.query("key").is_some();
    let anthropic = head.header("anthropic-version").is_some() || head.header("x-api-key").is_some();
    match found {
        // Azure: the deployment takes the place of the model.
        Some((rest, Family::Azure)) => (Dialect::OpenAi, rest.split_once('/').map_or("", |(_, rest)| rest)),
        Some((rest, Family::Gemini)) => (Dialect::Gemini, rest),
        Some((rest, Family::Plain)) if google || rest.contains(':') => (Dialect::Gemini, rest),
        Some((rest, Family::Plain)) if anthropic || after(rest, "messages").is_some() => (Dialect::Anthropic, rest),
        Some((rest, _)) if after(rest, "responses").is_some() => (Dialect::Responses, rest),
        Some((rest, _)) => (Dialect::OpenAi, rest),
        None => (Dialect::OpenAi, ""),
    }
}

/// What follows `resource` in a path: empty for the resource itself, `None` for another one.
fn after<'a>(path: &'a str, resource: &str) -> Option<&'a str> {
    match path.strip_prefix(resource)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}
