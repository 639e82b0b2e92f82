//! Holding back refusals, so that a flood of attempts becomes a trickle.
//!
//! Refusing an attempt costs little, but a client that is answered at once asks
//! again at once, and its neighbours pay for that. An answer that says "too many"
//! therefore comes a second late, after everything else that the request held
//! has been given back. Invariant: at most [`MAX_HELD`] are held; beyond that
//! they go at once. Stops with the connections.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use node_api::{HttpResponse, body, empty_body};
use tokio::sync::Semaphore;

use crate::pages::Message;

/// How late a refusal is.
const HOLD: Duration = Duration::from_secs(1);
/// Most that are held at once.
const MAX_HELD: usize = 4096;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Held(Semaphore);

impl Default for Held {
    fn default() -> Self {
        Self(Semaphore::new(MAX_HELD))
    }
}

impl Held {
    /// Returns late if `status` says that there were too many attempts.
    pub(crate) async fn back(&self, status: StatusCode) {
        if status == StatusCode::TOO_MANY_REQUESTS
            && let Ok(_place) = self.0.try_acquire()
        {
            tokio::time::sleep(HOLD).await;
        }
    }

    /// Holds back what is said to somebody who signs in to a node.
    pub(crate) async fn answer(
        &self,
        answer: Result<HttpResponse, Message>,
    ) -> Result<HttpResponse, Message> {
        let response = match answer {
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => response,
            Err(message) => {
                self.back(message.status).await;
                return Err(message);
            }
            Ok(response) => return Ok(response),
        };
        // Its body holds a lease on the node and a place among its requests. It
        // is the node's own sentence: no app can answer sign-ins.
        let (parts, text) = response.into_parts();
        let text = match text.collect().await {
            Ok(text) => body(text.to_bytes()),
            Err(_broken) => empty_body(),
        };
        self.back(parts.status).await;
        Ok(HttpResponse::from_parts(parts, text))
    }
}
