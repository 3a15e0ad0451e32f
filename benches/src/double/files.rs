//! File endpoints of OpenAI and Gemini, over one store in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use memchr::memmem;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::answer::{Answer, CREATED};
use super::errors::Dialect;
use super::request::Head;
use super::wire::Body;

/// What is stored, by id.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(super) accounts: bool,
    pub(super) shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) last: u64,
    pub(super) files: BTreeMap<String, File>,
    /// Objects of other kinds, with their account.
    pub(super) objects: BTreeMap<String, (String, Value)>,
}

#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) account: String,
    pub(super) name: String,
    pub(super) purpose: String,
    pub(super) mime: String,
    pub(super) content: Bytes,
}

/// One part of a multipart form.
#[derive(Debug, PartialEq)]
struct Part<'a> {
    name: &'a str,
    file_name: Option<&'a str>,
    content: &'a [u8],
}

impl Files {
    pub(crate) fn new(accounts: bool) -> Self {
        Self { accounts, ..Self::default() }
    }

    /// Account of the request's key; all keys share one unless told otherwise.
    pub(super) fn account(&self, head: &Head) -> String {
        head.key().filter(|_| self.accounts).map(|key| key.into_owned()).unwrap_or_default()
    }

    pub(crate) fn clear(&self) {
        *self.shelf.lock() = Shelf::default();
    }

    pub(super) fn add(&self, file: File) -> String {
        let mut shelf = self.shelf.lock();
        shelf.last += 1;
        let id = format!("file-{:06}", shelf.last);
        shelf.files.insert(id.clone(), file);
        id
    }

    pub(super) fn get(&self, account: &str, id: &str) -> Option<File> {
        self.shelf.lock().files.get(id).filter(|file| file.account == account).cloned()
    }

    fn all(&self, account: &str) -> Vec<(String, File)> {
        let shelf = self.shelf.lock();
        let files = shelf.files.iter().filter(|(_, file)| file.account == account);
        files.map(|(id, file)| (id.clone(), file.clone())).collect()
    }

    fn remove(&self, account: &str, id: &str) -> Option<File> {
        self.get(account, id)?;
        self.shelf.lock().files.remove(id)
    }

    /// `/v1/files…`; `rest` is what follows, without the slash.
    pub(crate) fn openai(&self, head: &Head, body: &Body, rest: &str) -> Answer {
        let answer = |value: &Value| Answer::json(Dialect::OpenAi, value.to_string());
        let account = &*self.account(head);
        match (head.method.as_str(), rest.split_once('/').unwrap_or((rest, ""))) {
            ("POST", ("", "")) => self.openai_upload(head, body),
            ("GET", ("", "")) => {
                let files = self.all(account);
                let data: Vec<Value> = files.iter().map(|(id, file)| openai_object(id, file)).collect();
                let edge = |entry: Option<&(String, File)>| entry.map(|(id, _)| id.clone());
                answer(&json!({"object": "list", "data": data, "has_more": false,
                    "first_id": edge(files.first()), "last_id": edge(files.last())}))
            }
            ("GET", (id, "")) => match self.get(account, id) {
                Some(file) => answer(&openai_object(id, &file)),
                None => no_such_file(Dialect::OpenAi, id),
            },
            ("GET", (id, "content")) => match self.get(account, id) {
                Some(file) => {
                    let answer = Answer::json(Dialect::OpenAi, file.content);
                    Answer { content_type: "application/octet-stream", ..answer }
                }
                None => no_such_file(Dialect::OpenAi, id),
            },
            ("DELETE", (id, "")) => match self.remove(account, id) {
                Some(_) => answer(&json!({"id": id, "object": "file", "deleted": true})),
                None => no_such_file(Dialect::OpenAi, id),
            },
            _ => Answer::error(Dialect::OpenAi, 405, None, "Method not allowed."),
        }
    }

    fn openai_upload(&self, head: &Head, body: &Body) -> Answer {
        let parts = parts(head.header("content-type").unwrap_or_default(), &body.bytes);
        let field = |name: &str| parts.iter().find(|part| part.name == name);
        let (Some(file), Some(purpose)) = (field("file"), field("purpose")) else {
            return Answer::error(Dialect::OpenAi, 400, None, "Missing required parameter: 'file' or 'purpose'.");
        };
        let account = self.account(head);
        let file = File {
            account: account.clone(),
            name: file.file_name.unwrap_or("upload").to_owned(),
            purpose: String::from_utf8_lossy(purpose.content).into_owned(),
            mime: "application/octet-stream".to_owned(),
            content: Bytes::copy_from_slice(file.content),
        };
        let object = |id: &str| self.get(&account, id).map(|file| openai_object(id, &file)).unwrap_or_default();
        let id = self.add(file);
        Answer::json(Dialect::OpenAi, object(&id).to_string())
    }

    /// `/v1beta/files…`.
    pub(crate) fn gemini(&self, head: &Head, rest: &str) -> Answer {
        let answer = |value: &Value| Answer::json(Dialect::Gemini, value.to_string());
        let account = &*self.account(head);
        match (head.method.as_str(), rest) {
            ("GET", "") => {
                let files: Vec<Value> = self.all(account).iter().map(|(id, file)| gemini_object(id, file)).collect();
                answer(&json!({"files": files}))
            }
            ("GET", id) => match self.get(account, id) {
                Some(file) => answer(&gemini_object(id, &file)),
                None => no_such_file(Dialect::Gemini, id),
            },
            ("DELETE", id) => match self.remove(account, id) {
                Some(_) => answer(&json!({})),
                None => no_such_file(Dialect::Gemini, id),
            },
            _ => Answer::error(Dialect::Gemini, 405, None, "Method not allowed."),
        }
    }

    /// `/upload/v1beta/files`: the resumable protocol, begun with metadata and finished with one upload.
    pub(crate) fn gemini_upload(&self, head: &Head, body: &Body, scheme: &str) -> Answer {
        let command = head.header("x-goog-upload-command").unwrap_or_default();
        if command.contains("start") {
            let mime = head.header("x-goog-upload-header-content-type").unwrap_or("application/octet-stream");
            let asked: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
            let name = asked["file"]["displayName"].as_str().or_else(|| asked["file"]["display_name"].as_str());
            let name = name.unwrap_or_default().to_owned();
            let (purpose, content) = (String::new(), Bytes::new());
            let file = File { account: self.account(head), name, purpose, mime: mime.to_owned(), content };
            let id = self.add(file);
            let host = head.header("host").unwrap_or_default();
            return Answer::json(Dialect::Gemini, "")
                .header("x-goog-upload-url", format!("{scheme}://{host}/upload/v1beta/files?upload_id={id}"))
                .header("x-goog-upload-status", "active");
        }
        let id = head.query("upload_id").unwrap_or_default().into_owned();
        let mut shelf = self.shelf.lock();
        let Some(file) = shelf.files.get_mut(&id) else { return no_such_file(Dialect::Gemini, &id) };
        file.content = [file.content.as_ref(), body.bytes.as_ref()].concat().into();
        if !command.contains("finalize") {
            return Answer::json(Dialect::Gemini, "").header("x-goog-upload-status", "active");
        }
        Answer::json(Dialect::Gemini, json!({"file": gemini_object(&id, file)}).to_string())
            .header("x-goog-upload-status", "final")
    }
}

fn openai_object(id: &str, file: &File) -> Value {
    json!({"id": id, "object": "file", "bytes": file.content.len(), "created_at": CREATED, "filename": file.name,
        "purpose": file.purpose, "status": "processed", "status_details": null})
}

fn gemini_object(id: &str, file: &File) -> Value {
    json!({"name": format!("files/{id}"), "displayName": file.name, "mimeType": file.mime,
        "sizeBytes": file.content.len().to_string(), "createTime": "2025-10-09T08:53:20Z",
        "updateTime": "2025-10-09T08:53:20Z", "uri": format!("https://provider.double/v1beta/files/{id}"),
        "state": "ACTIVE", "source": "UPLOADED"})
}

fn no_such_file(dialect: Dialect, id: &str) -> Answer {
    Answer::error(dialect, 404, None, &format!("No such File object: {id}"))
}

/// Parts of a multipart body; a part that is cut or malformed is left out.
fn parts<'a>(content_type: &str, body: &'a [u8]) -> Vec<Part<'a>> {
    let Some((_, boundary)) = content_type.split_once("boundary=") else { return Vec::new() };
    let boundary = boundary.split(';').next().unwrap_or_default().trim().trim_matches('"');
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = memmem::find_iter(body, delimiter.as_bytes()).collect();
    let bodies = starts.windows(2).map(|pair| &body[pair[0] + delimiter.len()..pair[1]]);
    bodies.filter_map(part).collect()
}

fn part(bytes: &[u8]) -> Option<Part<'_>> {
    let bytes = bytes.strip_prefix(b"\r\n")?.strip_suffix(b"\r\n")?;
    let split = memmem::find(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..split]).ok()?;
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition"))?;
    let value = |name: &str| {
        let after = disposition.split(';').map(str::trim).find_map(|pair| pair.strip_prefix(name))?;
        Some(after.strip_prefix('=')?.trim_matches('"'))
    };
    Some(Part { name: value("name")?, file_name: value("filename"), content: &bytes[split + 4..] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipart_is_taken_apart() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n\
            --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n\
            one\r\n\r\ntwo\r\n--x--\r\n";
        let expected = [
            Part { name: "purpose", file_name: None, content: b"assistants" },
            Part { name: "file", file_name: Some("a.txt"), content: b"one\r\n\r\ntwo" },
        ];
        assert_eq!(parts("multipart/form-data; boundary=x", body), expected);
        assert_eq!(parts("application/json", body), []);
    }
}
