//! A column with the doors of its node, and what its rows are made of.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::called::{done, either, err, same};
use super::site::{Answer, By, Site};
use super::{Cell, Subject, Verdict};

/// A function that the library does not have.
pub const ABSENT: Cell = Cell::NotApplicable("the generation has no such function");
/// How long what is on its way may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// A column and the doors of its node.
pub struct Web {
    pub subject: Subject,
    pub site: Arc<Site>,
}

impl Web {
    /// A step that calls a function of the library for HTTP.
    pub fn call(&self, function: &str, options: Value) -> Value {
        let mut step = Map::from_iter([
            ("call".to_owned(), json!(function)),
            ("our".to_owned(), json!(self.subject.at(""))),
        ]);
        if let Value::Object(options) = options {
            step.extend(options);
        }
        json!({ "http": step })
    }

    /// A step that asks the server, with the blob if it is not null.
    pub fn ask(&self, body: Value, blob: Value) -> Value {
        json!({"await": {"to": self.server(), "expects": 5, "body": body, "blob": blob}})
    }

    /// The same of the client.
    pub fn ask_client(&self, body: Value, blob: Value) -> Value {
        json!({"await": {"to": self.client(), "expects": 20, "body": body, "blob": blob}})
    }

    /// The address of the server as the edition spells it.
    pub fn server(&self) -> String {
        self.subject.module(self.subject.column.server)
    }

    /// That of the client.
    pub fn client(&self) -> String {
        self.subject.module(self.subject.column.client())
    }

    /// The path of what A has bound as `rest`.
    pub fn path(&self, rest: &str) -> String {
        format!("/{}{rest}", self.subject.id(""))
    }

    /// What came of A's steps.
    pub async fn run(&self, steps: Value) -> Result<Vec<Value>, String> {
        self.subject.run(steps).await
    }

    /// Whether `function`, which changes what a path is bound to, says that
    /// nothing is bound to `path`.
    pub async fn finds_no_path(&self, function: &str, path: &str) -> Verdict {
        let result = self.one(self.call(function, json!({"path": path}))).await?;
        if result == "absent" {
            return Ok(ABSENT);
        }
        let old = json!({"PathBindError": {"error": "path not found"}});
        let wanted = either(&self.subject, old, json!("MalformedRequest"));
        exactly(&result, &err(wanted))?;
        Ok(Cell::Conforms)
    }

    /// What came of one step of A's.
    pub async fn one(&self, step: Value) -> Result<Value, String> {
        let mut results = self.run(json!([step])).await?;
        results.pop().ok_or_else(|| "nothing came of it".to_owned())
    }

    /// Has A call functions that give nothing and must go well; whether the
    /// library has them all.
    pub async fn does(&self, steps: Vec<Value>) -> Result<bool, String> {
        let results = self.run(json!(steps)).await?;
        for (step, result) in steps.iter().zip(&results) {
            if result == "absent" {
                return Ok(false);
            }
            if *result != done() {
                return Err(format!("{step}: {result}"));
            }
        }
        Ok(true)
    }

    /// From here on A does these steps with what arrives and begins with the
    /// word `kind`, and with nothing else; its log is empty.
    pub async fn on(&self, kind: &str, steps: Value) -> Result<(), String> {
        self.run(json!([{"on": {kind: steps}}, "log"])).await?;
        Ok(())
    }

    /// From here on A answers requests with 200 and this text.
    pub async fn says(&self, text: &str) -> Result<(), String> {
        let answer = self.call("send_response", json!({"status": 200, "text": text}));
        self.on("Http", json!([answer])).await
    }

    /// What has arrived at A since it was asked last.
    pub async fn log(&self) -> Result<Vec<Value>, String> {
        let log = self.one(json!("log")).await?;
        Ok(log.as_array().cloned().unwrap_or_default())
    }

    /// Waits until so many messages of a kind have arrived at A; what else has is
    /// forgotten.
    pub async fn arrived(
        &self,
        count: usize,
        which: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>, String> {
        let end = tokio::time::Instant::now() + PATIENCE;
        let mut arrived = Vec::new();
        loop {
            arrived.extend(self.log().await?.into_iter().filter(|told| which(told)));
            if arrived.len() >= count {
                return Ok(arrived);
            }
            if tokio::time::Instant::now() > end {
                return Err(format!("only {} of {count}: {arrived:?}", arrived.len()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The same of messages of one channel, of either module.
    pub async fn heard(&self, channel: u64, count: usize) -> Result<Vec<Value>, String> {
        self.arrived(count, |told| {
            let body = &told["body"];
            body["WebSocketPush"]["channel_id"] == channel
                || body["WebSocketClose"] == channel
                || body["WebSocketClose"]["channel_id"] == channel
        })
        .await
    }

    /// GET of what A has bound, which must have this status.
    pub async fn get(&self, by: By, rest: &str, status: u16) -> Result<Answer, String> {
        let answer = self.site.get(by, &self.path(rest)).await?;
        answer.has_status(status)?;
        Ok(answer)
    }

    /// The same with 200 and a text.
    pub async fn reads(&self, by: By, rest: &str, text: &str) -> Result<(), String> {
        let answer = self.get(by, rest, 200).await?;
        equal(rest, answer.text(), text)
    }

    /// Has A ask the server, and compares what it says, to the letter.
    pub async fn answered(&self, asked: Vec<(Value, Value, Value)>) -> Verdict {
        let steps: Vec<Value> = asked
            .iter()
            .map(|(body, blob, _)| self.ask(body.clone(), blob.clone()))
            .collect();
        self.compare(steps, asked).await
    }

    /// The same of the client.
    pub async fn client_answered(&self, asked: Vec<(Value, Value, Value)>) -> Verdict {
        let steps: Vec<Value> = asked
            .iter()
            .map(|(body, blob, _)| self.ask_client(body.clone(), blob.clone()))
            .collect();
        self.site.turn(steps.len()).await;
        self.compare(steps, asked).await
    }

    async fn compare(&self, steps: Vec<Value>, asked: Vec<(Value, Value, Value)>) -> Verdict {
        let results = self.run(json!(steps)).await?;
        for ((body, _, wanted), result) in asked.iter().zip(&results) {
            if result["is"] != "response" || !same(&result["body"], wanted) {
                return Err(format!("{body}: {result} where {wanted} was expected"));
            }
        }
        Ok(Cell::Conforms)
    }
}

/// Whether two things are equal; `what` they are, if not.
pub fn equal<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    what: &str,
    got: T,
    wanted: U,
) -> Result<(), String> {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {got:?} where {wanted:?} was expected"))
    }
}

/// Whether a message is what is wanted, with nothing more.
pub fn exactly(got: &Value, wanted: &Value) -> Result<(), String> {
    if same(got, wanted) {
        Ok(())
    } else {
        Err(format!("{got} where {wanted} was expected"))
    }
}
