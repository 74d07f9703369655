//! The OpenAPI document, made from the routes.

use axum::response::{IntoResponse as _, Json, Response};
use serde_json::{Map, Value, json};

use super::route::{Answer, Content, Parameter, Required, Route, Verb};
use super::version;

mod history;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(Verb::Get, "/openapi.json", Required::Nothing, "Describes this API (OpenAPI 3.1)", served).gives(
        200,
        "The description",
        "Object",
    )]
}

async fn served() -> Response {
    Json(document()).into_response()
}

/// The description of the whole API.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in super::routes() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.verb.as_str()] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vConductor",
            "version": version::VERSION,
            "description": "The API of vcon-server, and what was added to it. Every path is also served with /api in front.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}, {"url": "/api"}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-conserver-api-token"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

/// The name of what a caller needs, in the document's member `x-scope`.
fn scope(required: Required) -> &'static str {
    match required {
        Required::Nothing => "none",
        Required::Read => "read",
        Required::Write => "write",
        Required::Admin => "admin",
        Required::List => "ingress",
    }
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.about,
        "x-scope": scope(route.required),
        "x-for-tenants": route.tenants || route.required == Required::Nothing,
        "parameters": route.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses(route),
    });
    if let Some(body) = &route.takes {
        operation["requestBody"] = json!({"required": true, "content": content(body)});
    }
    operation["security"] =
        if route.required == Required::Nothing { json!([]) } else { json!([{"key": []}, {"bearer": []}]) };
    operation
}

/// `get_vcon_uuid` for `GET /vcon/{uuid}`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(route.verb.as_str().to_owned(), |id, word| format!("{id}_{word}"))
}

fn parameter(parameter: &Parameter) -> Value {
    let one = reference(parameter.schema);
    let schema = if parameter.repeated { json!({"type": "array", "items": one}) } else { one };
    json!({
        "name": parameter.name, "in": parameter.place, "required": parameter.required,
        "description": parameter.about, "schema": schema,
    })
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let mut add = |answer: &Answer| {
        let mut response = json!({"description": answer.about});
        if let Some(body) = &answer.content {
            response["content"] = content(body);
        }
        responses.insert(answer.status.to_string(), response);
    };
    route.answers.iter().for_each(&mut add);
    if route.required != Required::Nothing {
        let problem = Some(Content { media: "application/json", schema: "Problem" });
        add(&Answer { status: 403, about: "No key, or one that does not open this", content: problem });
    }
    let default = json!({"description": "What else went wrong", "content": {"application/json": {"schema": reference("Problem")}}});
    responses.insert("default".to_owned(), default);
    Value::Object(responses)
}

fn content(body: &Content) -> Value {
    json!({body.media: {"schema": reference(body.schema)}})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn schemas() -> Value {
    let uuid = || reference("Uuid");
    let mut schemas = json!({
        "Text": {"type": "string"},
        "Object": {"type": "object"},
        "Count": {"type": "integer", "minimum": 0},
        "Uuid": {"type": "string", "format": "uuid"},
        "Uuids": {"type": "array", "items": uuid()},
        "Time": {"type": "string", "description": "ISO 8601; UTC where no offset is given", "examples": ["2026-01-02T03:04:05Z"]},
        "ListName": {"type": "string", "minLength": 1, "maxLength": 200},
        "Vcon": {
            "type": "object",
            "description": "A vCon of any version, unsigned, signed or encrypted; members that are not named here are kept",
            "properties": {
                "vcon": {"type": "string"},
                "uuid": uuid(),
                "created_at": {"type": ["string", "number"]},
                "parties": {"type": "array", "items": {"type": "object"}},
                "dialog": {"type": "array", "items": {"type": "object"}},
                "analysis": {"type": "array", "items": {"type": "object"}},
                "attachments": {"type": "array", "items": {"type": "object"}},
            },
        },
        "Vcons": {"type": "array", "items": {"anyOf": [reference("Vcon"), {"type": "null"}]}},
        "Problem": {
            "type": "object",
            "required": ["detail"],
            "properties": {"detail": {"anyOf": [{"type": "string"}, {"type": "array", "items": {
                "type": "object",
                "required": ["type", "loc", "msg"],
                "properties": {"type": {"type": "string"}, "loc": {"type": "array"}, "msg": {"type": "string"}},
            }}]}},
        },
        "Version": {
            "type": "object",
            "required": ["version", "git_commit", "build_time"],
            "properties": {
                "version": {"type": "string"}, "git_commit": {"type": "string"}, "build_time": {"type": "string"},
            },
        },
        "Health": {
            "type": "object",
            "required": ["status", "version"],
            "properties": {"status": {"const": "healthy"}, "version": reference("Version")},
        },
        "Readiness": {
            "type": "object",
            "required": ["status"],
            "properties": {"status": {"enum": ["ready", "unavailable"]}, "reason": {"type": "string"}},
        },
        "Depth": {
            "type": "object",
            "required": ["list_name", "depth"],
            "properties": {"list_name": {"type": "string"}, "depth": reference("Count")},
        },
        "Letters": {
            "type": "object",
            "required": ["letters", "next_cursor"],
            "properties": {
                "letters": {"type": "array", "items": {
                    "type": "object",
                    "required": ["run", "uuid", "list", "queue", "class", "step", "message", "attempts"],
                    "properties": {
                        "run": uuid(), "uuid": {"type": "string"}, "list": {"type": "string"},
                        "queue": {"type": "string"},
                        "class": {"enum": ["retryable", "permanent", "configuration", "poison"]},
                        "step": {"type": "string"}, "message": {"type": "string"},
                        "help": {"type": ["string", "null"]}, "attempts": {"type": "integer"},
                        "failed_at": {"type": ["string", "null"], "format": "date-time"},
                    },
                }},
                "next_cursor": {"anyOf": [uuid(), {"type": "null"}]},
            },
        },
    });
    let more = [
        (
            "Standing",
            json!({
                "type": "object",
                "required": ["lists"],
                "properties": {"lists": {"type": "array", "items": {"type": "object", "required": ["list", "waiting", "holders", "waits"]}}},
            }),
        ),
        ("Share", json!({"type": "number", "minimum": 0, "maximum": 1})),
        ("Format", json!({"enum": ["json", "text", "vtt", "srt"]})),
        ("Binary", json!({"type": "string", "format": "binary"})),
        ("Sid", json!({"type": "string", "pattern": "^GT[0-9a-fA-F]{32}$"})),
        ("Call", history::call()),
        ("Calls", history::page("calls", &reference("Call"))),
        ("Transcript", history::transcript()),
        ("Conversation", history::conversation(&reference("Call"), &reference("Transcript"))),
        ("Transcripts", history::page("transcripts", &reference("Conversation"))),
    ];
    for (name, schema) in more {
        schemas[name] = schema;
    }
    schemas
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.insert(target.trim_start_matches("#/components/schemas/").to_owned());
                }
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
            _ => {}
        }
    }

    #[test]
    fn every_schema_is_there_and_used_and_every_operation_has_a_name_of_its_own() {
        let document = document();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let there: BTreeSet<String> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(used, there);
        let (mut names, mut count) = (BTreeSet::new(), 0);
        for path in document["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                count += 1;
                names.insert(operation["operationId"].as_str().unwrap().to_owned());
            }
        }
        assert!(count > 20 && names.len() == count, "{names:?}");
    }
}
