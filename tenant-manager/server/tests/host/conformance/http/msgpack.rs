//! MessagePack as a program that is an extension has it: what it reads as JSON,
//! and what it writes.

use serde_json::{Map, Value, json};

/// Reads one value; bytes become an array of numbers.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = Reader(bytes);
    let value = reader.value()?;
    if reader.0.is_empty() {
        Ok(value)
    } else {
        Err(format!("{} bytes too many", reader.0.len()))
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        if count > self.0.len() {
            return Err("it ends too early".to_owned());
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    /// A number of so many bytes.
    fn number(&mut self, count: usize) -> Result<u64, String> {
        let bytes = self.take(count)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The same as a length.
    fn length(&mut self, count: usize) -> Result<usize, String> {
        usize::try_from(self.number(count)?).map_err(|error| error.to_string())
    }

    fn value(&mut self) -> Result<Value, String> {
        let kind = self.take(1)?[0];
        match kind {
            0x00..=0x7f => Ok(json!(kind)),
            0x80..=0x8f => self.map(usize::from(kind & 0x0f)),
            0x90..=0x9f => self.array(usize::from(kind & 0x0f)),
            0xa0..=0xbf => self.text(usize::from(kind & 0x1f)),
            0xc0 => Ok(Value::Null),
            0xc2 => Ok(json!(false)),
            0xc3 => Ok(json!(true)),
            0xc4..=0xc6 => {
                let length = self.length(1 << (kind - 0xc4))?;
                Ok(json!(self.take(length)?))
            }
            0xcc..=0xcf => Ok(json!(self.number(1 << (kind - 0xcc))?)),
            0xd9..=0xdb => {
                let length = self.length(1 << (kind - 0xd9))?;
                self.text(length)
            }
            0xdc | 0xdd => {
                let length = self.length(2 << (kind - 0xdc))?;
                self.array(length)
            }
            0xde | 0xdf => {
                let length = self.length(2 << (kind - 0xde))?;
                self.map(length)
            }
            other => Err(format!("{other:#x} is not expected here")),
        }
    }

    fn text(&mut self, length: usize) -> Result<Value, String> {
        let bytes = self.take(length)?.to_vec();
        let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
        Ok(json!(text))
    }

    fn array(&mut self, length: usize) -> Result<Value, String> {
        (0..length).map(|_| self.value()).collect()
    }

    fn map(&mut self, length: usize) -> Result<Value, String> {
        let mut map = Map::new();
        for _ in 0..length {
            let name = self.value()?;
            let name = name.as_str().ok_or("a name is no text")?.to_owned();
            map.insert(name, self.value()?);
        }
        Ok(Value::Object(map))
    }
}

/// Writes a value. Numbers are natural.
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

/// The head of bytes, for what a program sends as `bin`.
pub fn bin(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0xc5];
    out.extend(length(bytes.len()));
    out.extend(bytes);
    out
}

/// In two bytes.
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(yes) => out.push(if *yes { 0xc3 } else { 0xc2 }),
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            match u8::try_from(number) {
                Ok(small @ 0..=0x7f) => out.push(small),
                Ok(byte) => out.extend([0xcc, byte]),
                Err(_) => {
                    out.push(0xcf);
                    out.extend(number.to_be_bytes());
                }
            }
        }
        Value::String(text) => {
            out.push(0xda);
            out.extend(length(text.len()));
            out.extend(text.as_bytes());
        }
        Value::Array(items) => {
            out.push(0xdc);
            out.extend(length(items.len()));
            for item in items {
                put(out, item);
            }
        }
        Value::Object(fields) => {
            out.push(0xde);
            out.extend(length(fields.len()));
            for (name, value) in fields {
                put(out, &json!(name));
                put(out, value);
            }
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    let value = json!({
        "null": null,
        "flags": [true, false],
        "numbers": [0, 127, 128, 255, 256, u64::MAX],
        "text": "a longer text than thirty-two bytes hold",
        "none": {},
    });
    assert_eq!(read(&write(&value)).unwrap(), value);
    assert_eq!(read(&bin(&[1, 0, 255])).unwrap(), json!([1, 0, 255]));
}
