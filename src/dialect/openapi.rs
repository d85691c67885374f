//! OpenAPI 3.1 as far as the languages here need it: each describes its own paths in one place, and the listener that answers them
//! publishes them together.
//!
//! Schemas are JSON Schema of 2020-12, so what a reply must look like can be checked with any validator.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Where schemas lie in a document.
const SCHEMAS: &str = "#/components/schemas/";

/// A schema that is described once and used by its name.
pub fn schema(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// A list of things of one schema.
pub fn array(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// An object that has all of these members, and may have others.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let required = members.each_ref().map(|(name, _)| *name).to_vec();
    json!({ "type": "object", "required": required, "properties": Map::from_iter(owned(members)) })
}

fn owned<const N: usize>(members: [(&str, Value); N]) -> impl Iterator<Item = (String, Value)> {
    members.into_iter().map(|(name, schema)| (name.to_owned(), schema))
}

/// What one method of one path does.
#[derive(Clone, Debug)]
pub struct Operation {
    method: &'static str,
    path: String,
    summary: &'static str,
    /// Whether it is answered without credentials.
    open: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    refusals: Vec<u16>,
    /// Where a success tells the id of what was made.
    made: Option<&'static str>,
}

impl Operation {
    /// What is done by a method, written in small letters, of a path such as `/services/{id}`.
    pub fn new(method: &'static str, path: impl Into<String>, summary: &'static str) -> Self {
        let path = path.into();
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters = named.map(|name| parameter(name, "path", json!({ "type": "string" }), "")).collect();
        let (answers, refusals) = (BTreeMap::new(), Vec::new());
        Operation { method, path, summary, open: false, parameters, body: None, answers, refusals, made: None }
    }

    /// Lies below a part of the path that the room's prefix has.
    #[must_use]
    pub fn below(mut self, name: &str, schema: Value) -> Self {
        self.parameters.insert(0, parameter(name, "path", schema, ""));
        self
    }

    /// Answered without credentials.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Takes a parameter of the query.
    #[must_use]
    pub fn asks(mut self, name: &str, schema: Value, description: &str) -> Self {
        self.parameters.push(parameter(name, "query", schema, description));
        self
    }

    /// Takes a field of the head.
    #[must_use]
    pub fn hears(mut self, name: &str, description: &str) -> Self {
        self.parameters.push(parameter(name, "header", json!({ "type": "string" }), description));
        self
    }

    /// Takes a body of JSON.
    #[must_use]
    pub fn takes(mut self, schema: &Value) -> Self {
        self.body = Some(json!({ "required": true, "content": json_content(schema) }));
        self.refuses(&[400, 408, 413, 415])
    }

    /// May take a body of JSON.
    #[must_use]
    pub fn may_take(self, schema: &Value) -> Self {
        let mut taking = self.takes(schema);
        taking.body = Some(json!({ "content": json_content(schema) }));
        taking
    }

    /// Answers with JSON.
    #[must_use]
    pub fn answers(mut self, status: u16, schema: &Value) -> Self {
        let answer = json!({ "description": describe(status), "content": json_content(schema) });
        self.answers.insert(status, answer);
        self
    }

    /// Answers with a text of another type.
    #[must_use]
    pub fn answers_with(mut self, status: u16, content_type: &str) -> Self {
        let content = json!({ content_type: { "schema": { "type": "string" } } });
        self.answers.insert(status, json!({ "description": describe(status), "content": content }));
        self
    }

    /// Refuses with these statuses, in the form that the language has for all its refusals.
    #[must_use]
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// Makes something, whose id stands at this JSON pointer of the answer.
    #[must_use]
    pub fn makes(mut self, pointer: &'static str) -> Self {
        self.made = Some(pointer);
        self
    }

    /// A name for programs that are made from the document: method and path.
    fn id(&self, room: &Room) -> String {
        let mut id = self.method.to_owned();
        for word in room.prefix.split(['/', '-', '_', '.']).chain(self.path.split(['/', '-', '_', '.'])) {
            let mut letters = word.chars().filter(char::is_ascii_alphanumeric);
            id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            id.extend(letters);
        }
        if self.path.ends_with('/') { id + "Index" } else { id }
    }

    /// What can be done with what was made: everything one path below.
    fn links(&self, pointer: &str, room: &Room) -> Map<String, Value> {
        let one = format!("{}/{{id}}", self.path);
        let below = |other: &&Operation| other.path.starts_with(&one) && other.path.matches('{').count() == 1;
        let link = |other: &Operation| {
            let id = other.id(room);
            (id.clone(), json!({ "operationId": id, "parameters": { "id": format!("$response.body#{pointer}") } }))
        };
        room.operations.iter().filter(below).map(link).collect()
    }

    fn describe(&self, room: &Room) -> Value {
        let mut answers = self.answers.clone();
        if let (Some(pointer), Some(Value::Object(success))) = (self.made, answers.values_mut().next()) {
            success.insert("links".to_owned(), self.links(pointer, room).into());
        }
        let guarded: &[u16] = if self.open { &[] } else { &[401, 429] };
        for status in self.refusals.iter().chain(guarded).chain(&[500, 503]) {
            let refusal = json!({ "description": describe(*status), "content": json_content(&room.refusal) });
            answers.entry(*status).or_insert(refusal);
        }
        let answers: Map<String, Value> =
            answers.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect();
        let mut described = json!({
            "operationId": self.id(room), "summary": self.summary, "tags": [room.tag], "responses": answers,
        });
        if let Some(described) = described.as_object_mut() {
            if self.open {
                described.insert("security".to_owned(), json!([]));
            }
            if !self.parameters.is_empty() {
                described.insert("parameters".to_owned(), json!(self.parameters));
            }
            if let Some(body) = &self.body {
                described.insert("requestBody".to_owned(), body.clone());
            }
        }
        described
    }
}

fn parameter(name: &str, place: &str, schema: Value, description: &str) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "required": place == "path", "schema": schema });
    if let Some(parameter) = parameter.as_object_mut().filter(|_| !description.is_empty()) {
        parameter.insert("description".to_owned(), description.into());
    }
    parameter
}

fn json_content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

/// What a status says, the same for every path.
const fn describe(status: u16) -> &'static str {
    match status {
        200 => "Done",
        201 => "Made, durable and in force",
        400 => "The request cannot be read, or breaks a rule; the reply says where",
        401 => "Nobody known asks, or somebody who may not",
        403 => "Somebody known asks for what they may not do",
        404 => "There is no such thing",
        408 => "The body did not arrive in time",
        409 => "Others need it, or it is not the time for it; the reply says why",
        413 => "The body is too large",
        415 => "The body is not application/json",
        422 => "What was tried did not succeed; what was in force stays",
        429 => "Too many wrong credentials, or too many requests at once; wait before the next one",
        500 => "A defect of the gateway",
        503 => "It cannot be done now; what was in force stays",
        _ => "Answered",
    }
}

/// The paths of one language.
#[derive(Clone, Debug)]
pub struct Room {
    /// What stands before each path.
    pub prefix: &'static str,
    /// What its operations are listed under.
    pub tag: &'static str,
    /// The schema of everything that is refused.
    pub refusal: Value,
    /// What can be asked.
    pub operations: Vec<Operation>,
    /// The schemas, by name.
    pub schemas: Map<String, Value>,
}

/// Several languages in one document.
pub fn document(title: &str, description: &str, rooms: &[Room]) -> Value {
    let (mut paths, mut schemas) = (BTreeMap::<String, Map<String, Value>>::new(), Map::new());
    for room in rooms {
        for operation in &room.operations {
            let path = paths.entry(format!("{}{}", room.prefix, operation.path)).or_default();
            path.insert(operation.method.to_owned(), operation.describe(room));
        }
        schemas.extend(room.schemas.clone());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": description,
        },
        "paths": paths,
        "security": [{ "token": [] }, { "session": [] }],
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "header", "name": "zt-session" },
            },
        },
    })
}
