//! One operation of the API as its document tells it.

use actix_web::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::admin::error::ErrorCode;

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everyone.
    Open,
    /// Holders of the management key.
    Management,
}

/// What an operation answers when all is well.
pub(super) enum Answer {
    /// The envelope without `data`.
    Message,
    /// The envelope around this.
    Data(SchemaOf),
    /// This as it is, without an envelope.
    Plain(SchemaOf),
    /// These bodies outside of the envelope: content type and schema.
    Other(Vec<(&'static str, SchemaOf)>),
}

/// What an operation takes as its body.
pub(super) struct Body {
    /// Schemas by content type; the first is the usual one.
    pub(super) content: Vec<(&'static str, SchemaOf)>,
    /// A body of the first content type that the operation understands.
    pub(super) example: Value,
    /// Whether an empty body is refused.
    pub(super) is_required: bool,
}

/// A query parameter.
pub(super) struct Query {
    /// Its name.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) text: &'static str,
    /// What it looks like.
    pub(super) schema: Value,
    /// Whether it must be there.
    pub(super) is_required: bool,
}

/// A method of a path, and all there is to say of it.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) text: &'static str,
    pub(super) access: Access,
    pub(super) queries: Vec<Query>,
    pub(super) body: Option<Body>,
    pub(super) answer: Answer,
    /// Answers other than 200 that are no errors.
    pub(super) more: Vec<(StatusCode, &'static str, SchemaOf)>,
    pub(super) errors: Vec<ErrorCode>,
    /// What a body is answered that does not decode.
    pub(super) malformed: ErrorCode,
    /// Schema of every error, where it is not the envelope.
    pub(super) error_shape: Option<SchemaOf>,
}

impl Operation {
    /// `method` in lower case; `id` is the name of the function in generated clients.
    pub(super) fn new(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            text: "",
            access: Access::Management,
            queries: Vec::new(),
            body: None,
            answer: Answer::Message,
            more: Vec::new(),
            errors: Vec::new(),
            malformed: ErrorCode::InvalidJson,
            error_shape: None,
        }
    }

    /// More than the summary says.
    pub(super) fn text(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// No key needed.
    pub(super) fn open(self) -> Self {
        Self { access: Access::Open, ..self }
    }

    /// An optional query parameter.
    pub(super) fn query(mut self, name: &'static str, schema: Value, text: &'static str) -> Self {
        self.queries.push(Query { name, text, schema, is_required: false });
        self
    }

    /// A query parameter that must be there.
    pub(super) fn required_query(mut self, name: &'static str, schema: Value, text: &'static str) -> Self {
        self.queries.push(Query { name, text, schema, is_required: true });
        self
    }

    /// `page` and `page_size`.
    pub(super) fn paged(self) -> Self {
        self.query("page", json!({"type": "integer", "minimum": 1, "default": 1}), "Page; what is no page counts as 1.")
            .query(
                "page_size",
                json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 15}),
                "Items per page; what is no size counts as 15, what is above 1000 as 1000.",
            )
    }

    /// A JSON body; `example` is one that the operation understands.
    pub(super) fn body<T: JsonSchema>(self, example: Value) -> Self {
        let content: Vec<(_, SchemaOf)> = vec![("application/json", schema_of::<T>)];
        Self { body: Some(Body { content, example, is_required: true }), ..self }
    }

    /// A body of another content type that is taken too.
    #[allow(dead_code, reason = "for uploads")]
    pub(super) fn or_body<T: JsonSchema>(mut self, content_type: &'static str) -> Self {
        if let Some(body) = &mut self.body {
            body.content.push((content_type, schema_of::<T>));
        }
        self
    }

    /// The envelope around `T`.
    pub(super) fn data<T: JsonSchema>(self) -> Self {
        Self { answer: Answer::Data(schema_of::<T>), ..self }
    }

    /// `T` without an envelope.
    pub(super) fn plain<T: JsonSchema>(self) -> Self {
        Self { answer: Answer::Plain(schema_of::<T>), ..self }
    }

    /// A body outside of the envelope, or beside another one.
    pub(super) fn content<T: JsonSchema>(mut self, content_type: &'static str) -> Self {
        match &mut self.answer {
            Answer::Other(contents) => contents.push((content_type, schema_of::<T>)),
            _ => self.answer = Answer::Other(vec![(content_type, schema_of::<T>)]),
        }
        self
    }

    /// Another answer that is no error.
    pub(super) fn or<T: JsonSchema>(mut self, status: StatusCode, text: &'static str) -> Self {
        self.more.push((status, text, schema_of::<T>));
        self
    }

    /// Errors of its own. Those that follow from the key, the path and the body need no mention.
    pub(super) fn errors(mut self, codes: &[ErrorCode]) -> Self {
        self.errors.extend_from_slice(codes);
        self
    }

    /// A body that does not decode is answered so.
    pub(super) fn malformed(self, malformed: ErrorCode) -> Self {
        Self { malformed, ..self }
    }

    /// Errors look like `T`.
    pub(super) fn errors_as<T: JsonSchema>(self) -> Self {
        Self { error_shape: Some(schema_of::<T>), ..self }
    }

    /// The names in braces of the path.
    pub(super) fn path_parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
    }

    /// Every error that it may answer, each once.
    pub(super) fn all_errors(&self) -> Vec<ErrorCode> {
        let mut codes = self.errors.clone();
        if self.path_parameters().any(|name| name != "group") {
            codes.push(ErrorCode::BadRequest);
        }
        if self.body.is_some() {
            codes.extend([self.malformed, ErrorCode::PayloadTooLarge]);
        }
        if self.access == Access::Management {
            codes.extend([
                ErrorCode::Unauthorized,
                ErrorCode::TooManyRequests,
                ErrorCode::DatabaseError,
                ErrorCode::DatabaseUnavailable,
                ErrorCode::InternalServerError,
            ]);
        }
        codes.sort_by_key(|code| (code.status().as_u16(), code.as_str()));
        codes.dedup();
        codes
    }

    /// The operation object; schemas go to `answers` and `bodies`, which collect them under their names.
    pub(super) fn render(
        &self,
        tag: &str,
        answers: &mut SchemaGenerator,
        bodies: &mut SchemaGenerator,
        errors: &mut Map<String, Value>,
    ) -> Value {
        let mut operation = json!({"operationId": self.id, "tags": [tag], "summary": self.summary});
        if !self.text.is_empty() {
            operation["description"] = json!(self.text);
        }
        let parameters = self.parameters();
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        if let Some(body) = &self.body {
            let mut content = Map::new();
            for (content_type, schema) in &body.content {
                content.insert((*content_type).to_owned(), json!({"schema": schema(bodies)}));
            }
            content[body.content[0].0]["example"] = body.example.clone();
            operation["requestBody"] = json!({"required": body.is_required, "content": content});
        }
        operation["responses"] = self.responses(answers, errors);
        operation["security"] = match self.access {
            Access::Open => json!([]),
            Access::Management => json!([{"bearer": []}, {"apiKey": []}, {"googleApiKey": []}, {"queryKey": []}]),
        };
        operation
    }

    fn parameters(&self) -> Vec<Value> {
        let in_path = self.path_parameters().map(|name| {
            let schema = match name {
                "group" => json!({"type": "string"}),
                "request_id" => json!({"type": "string", "format": "uuid"}),
                _ => json!({"type": "integer", "format": "int64"}),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        });
        let in_query = self.queries.iter().map(|query| {
            json!({
                "name": query.name, "in": "query", "required": query.is_required,
                "description": query.text, "schema": query.schema,
            })
        });
        in_path.chain(in_query).collect()
    }

    fn responses(&self, generator: &mut SchemaGenerator, shared: &mut Map<String, Value>) -> Value {
        let mut responses = Map::new();
        let json_of = |schema: Value| json!({"application/json": {"schema": schema}});
        let envelope = |data: Option<Schema>| {
            let mut schema = json!({
                "type": "object", "required": ["code", "message"],
                "properties": {"code": {"type": "integer", "const": 0}, "message": {"type": "string"}},
            });
            if let Some(data) = data {
                schema["required"] = json!(["code", "message", "data"]);
                schema["properties"]["data"] = json!(data);
            }
            schema
        };
        let content = match &self.answer {
            Answer::Message => json_of(envelope(None)),
            Answer::Data(schema) => json_of(envelope(Some(schema(generator)))),
            Answer::Plain(schema) => json_of(json!(schema(generator))),
            Answer::Other(contents) => {
                let by_type = contents.iter().map(|(content_type, schema)| {
                    let schema = json!(schema(generator));
                    let is_enveloped = *content_type == "application/json";
                    let schema = if is_enveloped { envelope(schema.try_into().ok()) } else { schema };
                    ((*content_type).to_owned(), json!({"schema": schema}))
                });
                Value::Object(by_type.collect())
            }
        };
        responses.insert("200".to_owned(), json!({"description": "Done", "content": content}));
        for (status, text, schema) in &self.more {
            let content = json_of(json!(schema(generator)));
            responses.insert(status.as_str().to_owned(), json!({"description": text, "content": content}));
        }
        let errors = self.all_errors();
        let mut statuses: Vec<_> = errors.iter().map(|code| code.status()).collect();
        statuses.dedup();
        for status in statuses {
            let codes: Vec<_> = errors.iter().filter(|code| code.status() == status).copied().collect();
            let response = match self.error_shape {
                Some(shape) => error_response(&codes, &json!(shape(generator))),
                None => shared_error(&codes, shared),
            };
            responses.insert(status.as_str().to_owned(), response);
        }
        Value::Object(responses)
    }
}

/// Leads to the response with these codes, which many operations share.
fn shared_error(codes: &[ErrorCode], shared: &mut Map<String, Value>) -> Value {
    let mut words: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    words.dedup();
    let status = codes.first().map_or(500, |code| code.status().as_u16());
    let name = words.iter().fold(format!("E{status}"), |name, word| name + "_" + word);
    let schema = json!({
        "allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"code": {"enum": words}}}],
    });
    let reference = json!({"$ref": format!("#/components/responses/{name}")});
    shared.entry(name).or_insert_with(|| error_response(codes, &schema));
    reference
}

fn error_response(codes: &[ErrorCode], schema: &Value) -> Value {
    let texts: Vec<_> = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.text())).collect();
    let mut response = json!({
        "description": texts.join("; "),
        "content": {"application/json": {"schema": schema}},
    });
    if codes.iter().any(|code| matches!(code.status().as_u16(), 429 | 503)) {
        response["headers"] = json!({"Retry-After": {
            "description": "Seconds after which to try again", "schema": {"type": "integer", "minimum": 0},
        }});
    }
    response
}
