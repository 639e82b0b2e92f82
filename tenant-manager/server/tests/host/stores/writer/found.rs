//! What a writer has in its store, as the store says.

use serde_json::{Value, json};

use super::super::history::Entries;
use super::super::steps::{self, failure, kv, rows, sqlite, vfs, with};
use super::{DB, KEYS, Kind, RECORD, Writer, is_sealed};

impl Writer {
    /// Steps that read all that it has.
    pub fn reading(&self) -> Vec<Value> {
        let keys = (0..KEYS).map(Self::key);
        match self.kind {
            Kind::KeyValue => keys
                .map(|key| kv(DB, &steps::get(&self.in_db(&key))))
                .collect(),
            Kind::Sqlite => {
                let query = steps::query("SELECT k, v FROM entries WHERE w = ?1");
                vec![with(sqlite(DB, &query), &json!([self.name]).to_string())]
            }
            Kind::State => vec![json!({"state": null})],
            Kind::Files => {
                let list = vfs(&self.directory(), &json!("ReadDir"));
                let read = |key: String| vfs(&self.file(&key), &json!("Read"));
                std::iter::once(list).chain(keys.map(read)).collect()
            }
            Kind::Journal => vec![vfs(&self.journal(), &json!("Read"))],
        }
    }

    /// What it has, by what came of [`Writer::reading`].
    ///
    /// # Errors
    /// What no store may answer, half a value among it.
    pub fn found(&self, told: &[Value]) -> Result<Entries, String> {
        let entries = match self.kind {
            Kind::KeyValue => self.found_keys(told),
            Kind::Sqlite => Ok(found_rows(&told[0])),
            Kind::State => Ok(found_state(&told[0])),
            Kind::Files => self.found_files(told),
            Kind::Journal => found_records(&told[0]),
        }?;
        match entries.values().find(|value| !is_sealed(value)) {
            Some(value) => Err(format!("{} has a broken value: {value:?}", self.name)),
            None => Ok(entries),
        }
    }

    fn found_keys(&self, told: &[Value]) -> Result<Entries, String> {
        let mut entries = Entries::new();
        for (number, answer) in told.iter().enumerate() {
            match (failure(answer), answer["blob"].as_str()) {
                (None, Some(value)) => {
                    entries.insert(Self::key(number), value.to_owned());
                }
                (Some(error), _) if *error == json!("KeyNotFound") => {}
                _ => return Err(format!("{}: {answer}", self.name)),
            }
        }
        Ok(entries)
    }

    fn found_files(&self, told: &[Value]) -> Result<Entries, String> {
        let (list, contents) = told.split_first().unwrap();
        let Some(list) = list.pointer("/body/ReadDir").and_then(Value::as_array) else {
            return Err(format!("{}: {list}", self.name));
        };
        let paths = list.iter().filter_map(|entry| entry["path"].as_str());
        let mut listed: Vec<&str> = paths.filter_map(|path| path.rsplit('/').next()).collect();
        listed.sort_unstable();
        let mut entries = Entries::new();
        for (number, answer) in contents.iter().enumerate() {
            let key = Self::key(number);
            if failure(answer).is_some() {
                continue;
            }
            let value = answer["blob"].as_str().unwrap_or_default();
            // A new file whose name reached the disk before its content, when
            // the power was cut before it was synced, is as good as none.
            if value.is_empty() && self.sync {
                listed.retain(|name| *name != key);
            } else {
                entries.insert(key, value.to_owned());
            }
        }
        // Nothing that is there cannot be read, and nothing else is there.
        if !entries.keys().eq(listed.iter()) {
            return Err(format!(
                "{}: {listed:?} listed, {entries:?} read",
                self.name
            ));
        }
        Ok(entries)
    }
}

fn found_rows(answer: &Value) -> Entries {
    let text = |row: &Value, column: &str| row[column].as_str().unwrap().to_owned();
    let rows = rows(answer);
    rows.iter()
        .map(|row| (text(row, "k"), text(row, "v")))
        .collect()
}

fn found_state(answer: &Value) -> Entries {
    let state = answer["state"].as_str();
    let entry = state.map(|state| ("state".to_owned(), state.to_owned()));
    entry.into_iter().collect()
}

fn found_records(answer: &Value) -> Result<Entries, String> {
    if answer["body"] != "Read" {
        return Err(answer.to_string());
    }
    // Nothing may come as no blob.
    let text = answer["blob"].as_str().unwrap_or_default();
    let mut entries = Entries::new();
    for record in text.split_inclusive('\n') {
        let whole = record.strip_suffix('\n').filter(|_| record.len() == RECORD);
        let sequence = whole.and_then(|record| record.split('.').nth(1));
        let (Some(record), Some(sequence)) = (whole, sequence) else {
            return Err(format!("half a record: {record:?}"));
        };
        entries.insert(sequence.to_owned(), record.to_owned());
    }
    Ok(entries)
}
