//! Clients are generated from the document, so a change of it may not break them unless the version says so.
//!
//! `openapi/released.json` is the document of the last release; `openapi/README.md` tells when it moves.

mod differ;
mod shape;

use std::path::Path;

use serde_json::{Value, json};

use self::differ::{breaks, may_break};

#[test]
fn the_document_takes_nothing_back_that_was_released() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/released.json");
    let released: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let current: Value = serde_json::from_str(&tollgate::api::document()).unwrap();
    let broken = breaks(&released, &current);
    let version = |document: &Value| document["info"]["version"].as_str().unwrap().to_owned();
    assert!(
        broken.is_empty() || may_break(&version(&released), &version(&current)),
        "the version does not allow for what this breaks (see openapi/README.md):\n{}",
        broken.join("\n")
    );
}

#[test]
fn breaking_takes_a_new_major_or_before_the_first_a_new_minor() {
    for (released, current, allowed) in [
        ("0.1.0", "0.1.1", false),
        ("0.1.0", "0.2.0", true),
        ("0.1.0", "1.0.0", true),
        ("1.2.0", "1.3.0", false),
        ("1.2.0", "2.0.0-rc.1", true),
        ("1.2.0", "0.3.0", false),
    ] {
        assert_eq!(may_break(released, current), allowed, "{released} to {current}");
    }
}

#[test]
fn an_equal_document_breaks_nothing() {
    assert_eq!(breaks(&document(), &document()), Vec::<String>::new());
}

/// A change of the document, and the sentence that is told of it.
type Break = (fn(&mut Value), &'static str);

#[test]
#[expect(clippy::too_many_lines, reason = "a list: one kind of break after the other")]
fn what_is_taken_from_clients_is_told() {
    let cases: [Break; 31] = [
        (|d| drop_field(d, "/paths", "/things"), "POST /things is gone"),
        (|d| drop_field(d, "/paths/~1things", "post"), "POST /things is gone"),
        (
            |d| set(d, "/paths/~1things/post/operationId", json!("things_make")),
            "its operation id changed",
        ),
        (
            |d| set(d, "/paths/~1things/post/tags", json!(["Stuff"])),
            "its group changed",
        ),
        (
            |d| set(d, "/paths/~1things/post/security", json!([])),
            "Bearer no longer lets anybody in",
        ),
        (
            |d| set(d, "/paths/~1things/post/parameters", json!([])),
            "limit is gone",
        ),
        (
            |d| set(d, "/paths/~1things/post/parameters/0/required", json!(true)),
            "limit became required",
        ),
        (
            |d| {
                push(
                    d,
                    "/paths/~1things/post/parameters",
                    json!({ "name": "from", "in": "query", "required": true }),
                );
            },
            "from is new and required",
        ),
        (
            |d| set(d, "/paths/~1things/post/parameters/0/schema/maximum", json!(10)),
            "limit: its maximum is tighter",
        ),
        (
            |d| set(d, "/paths/~1things/post/parameters/0/schema/minimum", json!(2)),
            "limit: its minimum is tighter",
        ),
        (
            |d| drop_field(d, "/paths/~1things/post", "requestBody"),
            "its body is gone",
        ),
        (
            |d| set(d, "/paths/~1things/post/requestBody/required", json!(true)),
            "its body became required",
        ),
        (
            |d| drop_field(d, "/paths/~1things/post/requestBody/content", "application/json"),
            "its body is no longer application/json",
        ),
        (
            |d| drop_field(d, "/paths/~1things/post/responses", "404"),
            "its 404 is gone",
        ),
        (
            |d| drop_field(d, "/paths/~1things/post/responses", "200"),
            "its 200 is gone",
        ),
        (
            |d| drop_field(d, "/components/responses/Missing/content", "application/json"),
            "its 404 is no longer application/json",
        ),
        (
            |d| {
                set(
                    d,
                    "/paths/~1things/post/responses/200/content/application~1json/schema/$ref",
                    json!("#/components/schemas/Failure"),
                );
            },
            "its schema was Thing, and is Failure",
        ),
        (
            |d| drop_field(d, "/components/schemas/Thing/properties", "id"),
            "Thing.id is gone",
        ),
        (
            |d| set(d, "/components/schemas/Thing/properties/id/type", json!("integer")),
            "Thing.id: its type was",
        ),
        (
            |d| set(d, "/components/schemas/Thing/properties/size/format", json!("int64")),
            "Thing.size: its format was",
        ),
        (
            |d| set(d, "/components/schemas/Thing/required", json!([])),
            "Thing.id is no longer always there",
        ),
        (
            |d| set(d, "/components/schemas/Thing/properties/id/nullable", json!(true)),
            "Thing.id may be null now",
        ),
        (
            |d| push(d, "/components/schemas/Thing/properties/colour/enum", json!("green")),
            "Thing.colour has more values",
        ),
        (
            |d| push(d, "/components/schemas/Thing/properties/tags/items/enum", json!("c")),
            "Thing.tags[] has more values",
        ),
        (
            |d| drop_field(d, "/components/schemas/CreateThing/properties", "colour"),
            "CreateThing.colour is gone",
        ),
        (
            |d| push(d, "/components/schemas/CreateThing/required", json!("colour")),
            "CreateThing.colour became required",
        ),
        (
            |d| {
                set(
                    d,
                    "/components/schemas/CreateThing/properties/colour/enum",
                    json!(["red"]),
                );
            },
            "CreateThing.colour takes fewer values",
        ),
        (
            |d| {
                set(
                    d,
                    "/components/schemas/CreateThing/properties/note/nullable",
                    json!(false),
                );
            },
            "CreateThing.note may no longer be null",
        ),
        (
            |d| {
                set(
                    d,
                    "/components/schemas/CreateThing/properties/note/pattern",
                    json!("^a"),
                );
            },
            "its pattern is tighter",
        ),
        (
            |d| drop_field(d, "/components/schemas/CreateThing", "additionalProperties"),
            "CreateThing no longer has fields of any name",
        ),
        (
            |d| {
                set(
                    d,
                    "/components/schemas/CreateThing/properties/either/oneOf",
                    json!([{ "type": "string" }]),
                );
            },
            "CreateThing.either: its alternatives changed",
        ),
    ];
    for (change, sentence) in cases {
        let mut changed = document();
        change(&mut changed);
        assert_ne!(changed, document(), "{sentence}");
        let broken = breaks(&document(), &changed);
        assert!(
            broken.iter().any(|one| one.contains(sentence)),
            "{sentence}: {broken:?}"
        );
    }
}

#[test]
fn what_is_only_added_breaks_nothing() {
    let cases: [fn(&mut Value); 10] = [
        |d| {
            set(
                d,
                "/paths/~1others",
                json!({ "get": { "operationId": "others_list", "responses": {} } }),
            );
        },
        |d| {
            push(
                d,
                "/paths/~1things/post/parameters",
                json!({ "name": "q", "in": "query", "required": false }),
            );
        },
        |d| set(d, "/paths/~1things/post/parameters/0/schema/maximum", json!(1000)),
        |d| set(d, "/paths/~1things/post/responses/409", json!({})),
        |d| {
            set(
                d,
                "/components/schemas/Thing/properties/weight",
                json!({ "type": "number" }),
            );
        },
        |d| {
            set(
                d,
                "/components/schemas/CreateThing/properties/weight",
                json!({ "type": "number" }),
            );
        },
        |d| set(d, "/components/schemas/CreateThing/required", json!([])),
        |d| {
            push(
                d,
                "/components/schemas/CreateThing/properties/colour/enum",
                json!("green"),
            );
        },
        |d| {
            push(
                d,
                "/components/schemas/CreateThing/properties/either/oneOf",
                json!({ "type": "boolean" }),
            );
        },
        |d| set(d, "/components/schemas/Thing/description", json!("Another sentence.")),
    ];
    for change in cases {
        let mut changed = document();
        change(&mut changed);
        assert_ne!(changed, document());
        assert_eq!(breaks(&document(), &changed), Vec::<String>::new());
    }
}

#[test]
fn a_schema_that_holds_itself_is_no_trap() {
    let mut document = document();
    let itself = json!({ "$ref": "#/components/schemas/Thing" });
    set(&mut document, "/components/schemas/Thing/properties/part", itself);
    assert_eq!(breaks(&document, &document), Vec::<String>::new());
}

/// A small document with one of everything.
fn document() -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let content = |schema: Value| json!({ "application/json": { "schema": schema } });
    json!({
        "paths": { "/things": { "post": {
            "operationId": "things_create",
            "tags": ["Things"],
            "security": [{ "Bearer": [] }],
            "parameters": [{
                "name": "limit", "in": "query", "required": false,
                "schema": { "type": "integer", "minimum": 1, "maximum": 100 },
            }],
            "requestBody": { "required": false, "content": content(reference("CreateThing")) },
            "responses": {
                "200": { "content": content(reference("Thing")) },
                "404": { "$ref": "#/components/responses/Missing" },
            },
        } } },
        "components": {
            "responses": { "Missing": { "content": content(reference("Failure")) } },
            "schemas": {
                "CreateThing": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": {},
                    "properties": {
                        "name": { "type": "string" },
                        "note": { "type": "string", "nullable": true },
                        "colour": { "type": "string", "enum": ["red", "blue"] },
                        "either": { "oneOf": [{ "type": "string" }, { "type": "integer" }] },
                    },
                },
                "Thing": {
                    "type": "object",
                    "required": ["id"],
                    "properties": {
                        "id": { "type": "string" },
                        "size": { "type": "integer", "format": "int32" },
                        "colour": { "type": "string", "enum": ["red", "blue"] },
                        "tags": { "type": "array", "items": { "type": "string", "enum": ["a", "b"] } },
                    },
                },
                "Failure": { "type": "object", "properties": { "message": { "type": "string" } } },
            },
        },
    })
}

fn object<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    document.pointer_mut(pointer).unwrap()
}

fn drop_field(document: &mut Value, pointer: &str, field: &str) {
    object(document, pointer)
        .as_object_mut()
        .unwrap()
        .remove(field)
        .unwrap();
}

fn push(document: &mut Value, pointer: &str, value: Value) {
    object(document, pointer).as_array_mut().unwrap().push(value);
}

/// Sets what `pointer` names, whether it was there or not.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let field = field.replace("~1", "/");
    object(document, parent).as_object_mut().unwrap().insert(field, value);
}
