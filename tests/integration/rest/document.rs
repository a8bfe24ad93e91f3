//! Checks a JSON value against our OpenAPI document as it is published. It knows the words of JSON Schema that the document uses, and
//! fails on any other, so that it cannot pass by not understanding.

use std::fmt;
use std::path::Path;

use reqwest::Method;
use serde_json::Value;

pub(super) struct Document(Value);

/// One operation of the document.
pub(super) struct Operation<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) value: &'a Value,
}

impl Operation<'_> {
    pub(super) fn id(&self) -> &str {
        self.value["operationId"].as_str().expect("as OpenAPI has it")
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Document {
    pub(super) fn ours() -> Document {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/penstock-v1.json");
        Document(serde_json::from_str(&std::fs::read_to_string(path).expect("the document")).expect("JSON"))
    }

    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().expect("as OpenAPI has it").iter();
        paths
            .flat_map(|(path, methods)| {
                methods.as_object().expect("as OpenAPI has it").iter().map(move |(method, value)| Operation {
                    method: method.to_uppercase().parse().expect("a method"),
                    path,
                    value,
                })
            })
            .collect()
    }

    /// What is wrong with an answer of an operation; nothing if it is as the document says.
    pub(super) fn check_answer(
        &self,
        operation: &Operation<'_>,
        status: u16,
        media_type: &str,
        body: &Value,
    ) {
        let responses = &operation.value["responses"];
        let response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
        let schema = &response["content"][media_type]["schema"];
        assert!(schema.is_object(), "{operation}: {status} as {media_type} is not in the document");
        self.check(schema, body, &operation.to_string());
    }

    fn check(&self, schema: &Value, value: &Value, place: &str) {
        for (word, rule) in schema.as_object().expect("as OpenAPI has it") {
            match word.as_str() {
                "$ref" => {
                    let target =
                        self.0.pointer(rule.as_str().expect("as OpenAPI has it").trim_start_matches('#'));
                    self.check(
                        target.unwrap_or_else(|| panic!("{rule} is not in the document")),
                        value,
                        place,
                    );
                }
                "type" => assert!(self.is_of(rule, value), "{place}: {value} is not of type {rule}"),
                "enum" => {
                    assert!(
                        rule.as_array().expect("as OpenAPI has it").contains(value),
                        "{place}: {value} is not among {rule}"
                    )
                }
                "required" => {
                    for name in rule.as_array().expect("as OpenAPI has it") {
                        assert!(
                            value.get(name.as_str().expect("as OpenAPI has it")).is_some(),
                            "{place} has no {name}"
                        );
                    }
                }
                "properties" => self.check_properties(rule, schema, value, place),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{place}[{index}]"));
                    }
                }
                "oneOf" => {
                    let null = rule
                        .as_array()
                        .expect("as OpenAPI has it")
                        .iter()
                        .any(|option| option["type"] == "null");
                    let other = rule
                        .as_array()
                        .expect("as OpenAPI has it")
                        .iter()
                        .find(|option| option["type"] != "null");
                    if !(null && value.is_null()) {
                        self.check(other.expect("as OpenAPI has it"), value, place);
                    }
                }
                "additionalProperties" | "propertyNames" | "description" | "format" | "minimum" => {}
                other => panic!("{place}: the checker does not know {other:?}"),
            }
        }
    }

    fn check_properties(&self, properties: &Value, schema: &Value, value: &Value, place: &str) {
        let Some(object) = value.as_object() else { return };
        for (name, inner) in object {
            match properties.get(name) {
                Some(schema) => self.check(schema, inner, &format!("{place}.{name}")),
                None => assert!(
                    schema.get("additionalProperties").is_some(),
                    "{place}.{name} is not in the document"
                ),
            }
        }
    }

    fn is_of(&self, rule: &Value, value: &Value) -> bool {
        let is = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("the checker does not know the type {other:?}"),
        };
        match rule {
            Value::Array(names) => names.iter().any(|name| is(name.as_str().expect("as OpenAPI has it"))),
            name => is(name.as_str().expect("as OpenAPI has it")),
        }
    }
}
