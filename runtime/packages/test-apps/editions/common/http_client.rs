//! Calls of what the library has for the client of HTTP and WebSockets.

use serde_json::{json, Value};

use super::{bytes_told, channel, content, headers, headers_told, message_type, text, Told};
use crate::http_server::client::{self, HttpClientError};
use crate::said;

/// `None` if the library has no such function.
pub fn act(call: &str, options: &Value) -> Option<Told> {
    let url = text(options, "url").to_owned();
    let seconds = options.get("seconds").and_then(Value::as_u64);
    let body = said::bytes(options).unwrap_or_default();
    Some(match call {
        "send_request" => {
            // The type is the library's.
            let Ok(url) = url.parse() else {
                return Some(Err(json!("that is no URL")));
            };
            client::send_request(method(options)?, url, headers(options), seconds, body);
            Ok(Value::Null)
        }
        "send_request_await_response" => {
            let Ok(url) = url.parse() else {
                return Some(Err(json!("that is no URL")));
            };
            let (method, seconds) = (method(options)?, seconds.unwrap_or(5));
            client::send_request_await_response(method, url, headers(options), seconds, body)
                .map(|response| {
                    json!({
                        "status": response.status().as_u16(),
                        "headers": headers_told(response.headers()),
                        "body": bytes_told(response.into_body()),
                    })
                })
                .map_err(|error| json!(error))
        }
        "open_ws_connection" => done(client::open_ws_connection(
            url,
            headers(options),
            channel(options),
        )),
        "send_ws_client_push" => {
            client::send_ws_client_push(channel(options), message_type(options), content(options));
            Ok(Value::Null)
        }
        "close_ws_connection" => done(client::close_ws_connection(channel(options))),
        _ => return None,
    })
}

fn method(options: &Value) -> Option<::http::Method> {
    ::http::Method::from_bytes(text(options, "method").as_bytes()).ok()
}

/// For calls that give nothing.
fn done(done: Result<(), HttpClientError>) -> Told {
    done.map(|()| Value::Null).map_err(|error| json!(error))
}
