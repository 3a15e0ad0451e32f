//! Request bodies: the first JSON value, read field by field so that an error can name its field.

use std::{fmt, future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::CONTENT_LENGTH, web::BytesMut};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::{
    error::{ApiError, ErrorCode},
    locale::Text,
};

/// Largest body of routes that take no lists of keys, in bytes.
const SMALL: usize = 4 << 20;
/// Largest body of routes that take lists of keys, in bytes.
const LARGE: usize = 64 << 20;

/// A JSON object of at most 4 MiB.
pub(super) type JsonBody = LimitedJsonBody<SMALL>;
/// A JSON object of at most 64 MiB.
pub(super) type KeysBody = LimitedJsonBody<LARGE>;

/// The first JSON value of a body of at most `LIMIT` bytes, which must be an object. The content type does not matter.
#[derive(Debug)]
pub(super) struct LimitedJsonBody<const LIMIT: usize>(pub(super) Fields);

impl<const LIMIT: usize> FromRequest for LimitedJsonBody<LIMIT> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let payload = payload.take();
        Box::pin(async move { decode(&read(payload, announced, LIMIT).await?).map(Self) })
    }
}

/// A JSON object of at most 4 MiB, or an array, which stands for an object with that one member.
#[derive(Debug)]
pub(super) struct ListBody(Value);

impl FromRequest for ListBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let payload = payload.take();
        Box::pin(async move { first_value(&read(payload, announced, SMALL).await?).map(Self) })
    }
}

impl ListBody {
    /// The object; an array is its member `name`.
    pub(super) fn into_fields(self, name: &str) -> Result<Fields, ApiError> {
        match self.0 {
            Value::Object(members) => Ok(Fields::new(members)),
            list @ Value::Array(_) => Ok(Fields::new(Map::from_iter([(name.to_owned(), list)]))),
            _ => Err(malformed("the body must be a JSON object or an array")),
        }
    }
}

/// A body of more than `limit` bytes.
pub(super) fn too_large(limit: usize) -> ApiError {
    let limit = if limit.trailing_zeros() < 20 { format!("{limit} bytes") } else { format!("{} MiB", limit >> 20) };
    let text = format!("The request body is larger than the {limit} this route takes");
    ApiError::saying(ErrorCode::PayloadTooLarge, Text::english(text))
}

/// The whole body, of at most `limit` bytes.
pub(super) async fn read(mut payload: Payload, announced: Option<usize>, limit: usize) -> Result<BytesMut, ApiError> {
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    // A large body that grew by doubling would stand twice in memory.
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| malformed("the body ended before it was complete"))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn decode(body: &[u8]) -> Result<Fields, ApiError> {
    match first_value(body)? {
        Value::Object(members) => Ok(Fields::new(members)),
        _ => Err(malformed("the body must be a JSON object")),
    }
}

fn first_value(body: &[u8]) -> Result<Value, ApiError> {
    match serde_json::Deserializer::from_slice(body).into_iter::<Value>().next() {
        None => Err(malformed("the body is empty")),
        Some(value) => value.map_err(|error| malformed(&decoder_message(&error))),
    }
}

/// What the decoder found and where; never the text around it, which may hold keys.
pub(super) fn decoder_message(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the JSON value is cut off",
        _ => "the body is not valid JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// A body that is not what it should be.
pub(super) fn malformed(what: &str) -> ApiError {
    ApiError::saying(ErrorCode::InvalidJson, Text::english(format!("{}: {what}", ErrorCode::InvalidJson.text())))
}

/// The members of a JSON object, taken out one by one. Members that nobody takes do not matter.
#[derive(Default)]
pub(super) struct Fields {
    /// Where the object stands, with a dot at its end; empty for the body itself.
    place: String,
    members: Map<String, Value>,
}

impl fmt::Debug for Fields {
    /// Names only: values may be keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.keys()).finish()
    }
}

impl Fields {
    /// The body itself.
    pub(super) fn new(members: Map<String, Value>) -> Self {
        Self { place: String::new(), members }
    }

    /// All members.
    pub(super) fn into_members(self) -> Map<String, Value> {
        self.members
    }

    /// Full name of the member `name`.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }

    /// Whether `name` is there and `null`.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_null)
    }

    /// Whether `name` is there, even if `null`.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A text; `None` when absent or `null`.
    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        self.take(name, "must be a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// A text that is there and not empty.
    pub(super) fn required_string(&mut self, name: &str) -> Result<String, ApiError> {
        self.string(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// A whole number; `None` when absent or `null`.
    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        self.take(name, "must be a whole number of at most 64 bits", |value| value.as_i64())
    }

    /// A whole number that is there and not zero.
    pub(super) fn required_integer(&mut self, name: &str) -> Result<i64, ApiError> {
        self.integer(name)?.filter(|number| *number != 0).ok_or_else(|| self.missing(name))
    }

    /// Yes or no; `None` when absent or `null`.
    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        self.take(name, "must be true or false", |value| value.as_bool())
    }

    /// An object; `None` when absent or `null`.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, ApiError> {
        self.take(name, "must be an object", |value| match value {
            Value::Object(members) => Some(members),
            _ => None,
        })
    }

    /// An array of objects; `None` when absent or `null`.
    pub(super) fn objects(&mut self, name: &str) -> Result<Option<Vec<Self>>, ApiError> {
        let path = self.path(name);
        let Some(elements) = self.array(name)? else { return Ok(None) };
        let objects = elements.into_iter().enumerate().map(|(at, element)| match element {
            Value::Object(members) => Ok(Self { place: format!("{path}[{at}]."), members }),
            _ => Err(ApiError::undecodable(format!("{path}[{at}]"), "must be an object")),
        });
        objects.collect::<Result<_, _>>().map(Some)
    }

    /// An array of texts; `None` when absent or `null`.
    pub(super) fn strings(&mut self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let path = self.path(name);
        let Some(elements) = self.array(name)? else { return Ok(None) };
        let strings = elements.into_iter().enumerate().map(|(at, element)| match element {
            Value::String(text) => Ok(text),
            _ => Err(ApiError::undecodable(format!("{path}[{at}]"), "must be a string")),
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    /// The error of a required member that is absent, `null`, empty or zero.
    pub(super) fn missing(&self, name: &str) -> ApiError {
        ApiError::undecodable(self.path(name), "is required")
    }

    fn array(&mut self, name: &str) -> Result<Option<Vec<Value>>, ApiError> {
        self.take(name, "must be an array", |value| match value {
            Value::Array(elements) => Some(elements),
            _ => None,
        })
    }

    fn take<T>(
        &mut self,
        name: &str,
        rule: &str,
        convert: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        match self.members.get_mut(name).map(Value::take) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| ApiError::undecodable(self.path(name), rule)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Fields {
        decode(body.as_bytes()).unwrap()
    }

    fn field_of(error: &ApiError) -> &str {
        assert_eq!(error.code(), ErrorCode::InvalidJson);
        &error.details()[0].field
    }

    #[test]
    fn the_first_value_counts() {
        assert_eq!(fields(r#" {"a": 1} {"a": 2}"#).integer("a").unwrap(), Some(1));
        assert_eq!(fields(r#"{"a": 1}rest"#).integer("a").unwrap(), Some(1));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = "[".repeat(100_000);
        for body in ["", "  ", "[]", "null", "1", "\"a\"", "{", "{'a':1}", "{\"a\":1e999}", "\u{feff}{}", &deep] {
            assert_eq!(decode(body.as_bytes()).unwrap_err().code(), ErrorCode::InvalidJson, "{body:.20}");
        }
        assert_eq!(decode(b"{\"a\":\"\xff\"}").unwrap_err().code(), ErrorCode::InvalidJson);
    }

    #[test]
    fn decoder_messages_hold_nothing_of_the_body() {
        let error = decode(br#"{"keys_text": "sk-secret" sk-other}"#).unwrap_err();
        assert!(!error.to_string().contains("sk-"), "{error}");
    }

    #[test]
    fn zero_values_of_required_members_are_missing() {
        for body in [r#"{}"#, r#"{"a":null}"#, r#"{"a":""}"#] {
            assert_eq!(field_of(&fields(body).required_string("a").unwrap_err()), "a");
        }
        for body in [r#"{}"#, r#"{"a":null}"#, r#"{"a":0}"#] {
            assert_eq!(field_of(&fields(body).required_integer("a").unwrap_err()), "a");
        }
    }

    #[test]
    fn wrong_types_name_their_place() {
        let body = r#"{"s":1,"i":"1","f":1.0,"h":99999999999999999999,"b":0,"o":[],"a":{},"x":[{},1],"t":["",null]}"#;
        let mut fields = fields(body);
        assert_eq!(field_of(&fields.string("s").unwrap_err()), "s");
        assert_eq!(field_of(&fields.integer("i").unwrap_err()), "i");
        assert_eq!(field_of(&fields.integer("f").unwrap_err()), "f");
        assert_eq!(field_of(&fields.integer("h").unwrap_err()), "h");
        assert_eq!(field_of(&fields.boolean("b").unwrap_err()), "b");
        assert_eq!(field_of(&fields.object("o").unwrap_err()), "o");
        assert_eq!(field_of(&fields.objects("a").unwrap_err()), "a");
        assert_eq!(field_of(&fields.objects("x").unwrap_err()), "x[1]");
        assert_eq!(field_of(&fields.strings("t").unwrap_err()), "t[1]");
    }

    #[test]
    fn members_of_elements_name_their_element() {
        let mut elements = fields(r#"{"u":[{"w":1},{"w":"1"}]}"#).objects("u").unwrap().unwrap();
        assert_eq!(elements[0].integer("w").unwrap(), Some(1));
        assert_eq!(field_of(&elements[1].integer("w").unwrap_err()), "u[1].w");
    }
}
