//! The API's description: OpenAPI 3.1, made from the handlers.

use std::sync::OnceLock;

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Content, OpenApi as Document, RefOr, Response, ResponseBuilder, path::Operation,
};
use utoipa::{Modify, OpenApi};

use super::v1::{
    access, accounts, egress, events, logs, names, nodes, operator, sessions, ssh_password, usage,
};
use crate::problem::MEDIA_TYPE;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Berth",
        description = "Accounts and hosted nodes of one Berth host. Errors are problem documents \
                       (RFC 9457); their `detail` says what to do.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        accounts::create,
        accounts::show,
        sessions::create,
        sessions::delete,
        names::show,
        nodes::list,
        nodes::create,
        nodes::show,
        nodes::delete,
        nodes::start,
        nodes::stop,
        nodes::restart,
        nodes::hibernate,
        events::watch,
        logs::show,
        egress::show,
        usage::show,
        access::set_password,
        access::open,
        ssh_password::reveal,
        ssh_password::rotate,
        operator::list,
        operator::show,
        operator::start,
        operator::stop,
        operator::restart,
        operator::hibernate,
        operator::suspend,
        operator::resume,
        operator::log,
        operator::egress,
    ),
    security(("bearer" = []), ("session_cookie" = [])),
    modifiers(&Schemes, &CommonErrors),
)]
struct Description;

/// The two ways to say who asks.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "bearer",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
        let cookie = ApiKeyValue::with_description(
            "berth-session",
            "Set by POST /sessions for pages of this host; named __Host-berth-session under TLS. \
             Changing requests must come from the same origin.",
        );
        components.add_security_scheme(
            "session_cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(cookie)),
        );
    }
}

/// What every operation can answer, and the media type of all errors.
struct CommonErrors;

impl Modify for CommonErrors {
    fn modify(&self, document: &mut Document) {
        for item in document.paths.paths.values_mut() {
            let operations = [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                complete(operation);
            }
        }
    }
}

fn complete(operation: &mut Operation) {
    let is_public = operation.security.is_some();
    let takes_input = operation.request_body.is_some();
    let responses = &mut operation.responses.responses;
    let mut common = vec![
        ("408", "The body arrived too slowly"),
        ("413", "The body is too large"),
        (
            "503",
            "Not possible just now; Retry-After says when to try again",
        ),
    ];
    if !is_public {
        common.push(("401", "Not signed in"));
        common.push(("403", "A session cookie was sent from another site"));
    }
    if takes_input {
        common.push(("400", "The body is not JSON"));
        common.push(("415", "The body is not declared as JSON"));
    } else {
        common.push(("400", "The path or the query is malformed"));
        common.push(("422", "A body where none belongs"));
    }
    for (status, description) in common {
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(Response::new(description)));
    }
    for (status, response) in responses {
        if let (true, RefOr::T(response)) = (status.as_str() >= "400", response) {
            let schema = utoipa::openapi::Ref::from_schema_name("Problem");
            *response = ResponseBuilder::new()
                .description(response.description.clone())
                .content(MEDIA_TYPE, Content::new(Some(schema)))
                .build();
        }
    }
}

/// The description as JSON text.
#[must_use]
pub fn openapi_json() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let document = Description::openapi();
        serde_json::to_string_pretty(&document).unwrap_or_else(|error| {
            tracing::error!("failed to describe the API: {error}");
            "{}".to_owned()
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::api::v1;

    fn document() -> Value {
        serde_json::from_str(openapi_json()).unwrap()
    }

    #[test]
    fn every_routed_operation_is_described_and_the_other_way_round() {
        let routed: BTreeSet<(String, String)> = v1::operations()
            .into_iter()
            .map(|operation| (operation.path.to_owned(), operation.method.to_owned()))
            .collect();
        let document = document();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert((path.clone(), method.clone()));
            }
        }
        assert_eq!(routed, described);
        assert_eq!(routed.len(), v1::operations().len(), "no operation twice");
    }

    #[test]
    fn operations_are_named_and_every_answer_has_its_schema() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{name} twice");
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let place = format!("{method} {path} {status}");
                    let content = response["content"].as_object();
                    if status.as_str() >= "400" {
                        let content = content.expect(&place);
                        assert!(content.contains_key(MEDIA_TYPE), "{place}");
                    } else if status != "204" {
                        let content = content.expect(&place);
                        let stream = "text/event-stream";
                        let media_types = match path.as_str() {
                            "/api/v1/events" => vec![stream],
                            "/api/v1/nodes/{label}/logs"
                            | "/api/v1/operator/nodes/{label}/logs" => {
                                vec!["application/json", stream]
                            }
                            _ => vec!["application/json"],
                        };
                        let has = |media_type: &&str| content.contains_key(*media_type);
                        assert!(media_types.iter().all(has), "{place}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        fn walk(value: &Value, document: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    map.values().for_each(|value| walk(value, document));
                }
                Value::Array(values) => values.iter().for_each(|value| walk(value, document)),
                _ => {}
            }
        }
        walk(&document, &document);
    }

    #[test]
    fn keys_that_may_be_null_are_still_there() {
        let document = document();
        let node = &document["components"]["schemas"]["Node"];
        let required = node["required"].as_array().unwrap();
        let properties = node["properties"].as_object().unwrap();
        assert_eq!(required.len(), properties.len(), "{node}");
        for key in ["status_reason", "last_started_at"] {
            assert!(properties[key].to_string().contains("null"), "{key}");
        }
    }
}
