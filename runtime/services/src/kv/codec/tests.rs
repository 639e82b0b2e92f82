use proptest::prelude::*;

use super::*;

fn body(action: &str) -> String {
    format!(
        r#"{{"package_id":{{"package_name":"p","publisher_node":"g"}},"db":"d","action":{action}}}"#
    )
}

fn key(bytes: &[u8]) -> Key {
    Key {
        bytes: Bytes::copy_from_slice(bytes),
        length: bytes.len(),
    }
}

#[test]
fn requests_of_every_generation_are_understood() {
    let set = |tx_id| Action::Set {
        key: key(&[1, 255]),
        tx_id,
    };
    let delete = |tx_id| Action::Delete {
        key: key(&[0]),
        tx_id,
    };
    for (text, action, old_shape) in [
        (r#""Open""#, Action::Open, false),
        (r#""RemoveDb""#, Action::RemoveDb, false),
        (r#"{"Set":{"key":[1,255],"tx_id":null}}"#, set(None), false),
        (r#"{"Set":{"tx_id":7,"key":[1,255]}}"#, set(Some(7)), false),
        (r#"{"Set":{"key":[1,255]}}"#, set(None), false),
        (
            r#"{"Delete":{"key":[0],"tx_id":null}}"#,
            delete(None),
            false,
        ),
        (
            r#"{"Delete":{"key":[0],"tx_id":18446744073709551615}}"#,
            delete(Some(u64::MAX)),
            false,
        ),
        (r#"{"Get":[1,2]}"#, Action::Get(key(&[1, 2])), false),
        (r#"{"Get":{"key":[1,2]}}"#, Action::Get(key(&[1, 2])), true),
        (r#"{"Get":[]}"#, Action::Get(key(&[])), false),
        (r#""BeginTx""#, Action::BeginTx, false),
        (
            r#"{"Commit":{"tx_id":9}}"#,
            Action::Commit { tx_id: 9 },
            false,
        ),
        (r#""Backup""#, Action::Backup, true),
    ] {
        let asked = decode(body(text).as_bytes()).unwrap();
        assert_eq!(asked.action, action, "{text}");
        assert_eq!(asked.old_shape, old_shape, "{text}");
        assert_eq!(
            (asked.package.to_string().as_str(), &*asked.db),
            ("p:g", "d")
        );
    }
}

#[test]
fn what_is_no_request_is_said_to_be_none() {
    for text in [
        r#""Fly""#,
        r#"{"Get":"key"}"#,
        r#"{"Get":[256]}"#,
        r#"{"Get":{"name":[1]}}"#,
        r#"{"Set":{"key":[-1]}}"#,
        r#"{"Commit":{}}"#,
        "null",
    ] {
        let refused = decode(body(text).as_bytes());
        assert!(
            matches!(refused, Err(KvError::Refused(Refusal::Malformed(_)))),
            "{text}: {refused:?}"
        );
    }
    for text in ["", "[]", r#"{"db":"d","action":"Open"}"#] {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn of_a_key_that_is_too_long_only_the_length_is_kept() {
    let longest = vec![7_u8; MAX_KEY_BYTES];
    let text = format!(r#"{{"Get":{}}}"#, serde_json::to_string(&longest).unwrap());
    let asked = decode(body(&text).as_bytes()).unwrap();
    assert_eq!(asked.action, Action::Get(key(&longest)));

    let long = vec![7_u8; 100_000];
    let text = format!(r#"{{"Get":{}}}"#, serde_json::to_string(&long).unwrap());
    let Action::Get(key) = decode(body(&text).as_bytes()).unwrap().action else {
        panic!("not a get");
    };
    assert_eq!((key.bytes.len(), key.length), (MAX_KEY_BYTES, 100_000));
    let error = key.checked().unwrap_err().to_string();
    assert!(error.contains("100000 bytes, more than 1024"), "{error}");
}

proptest! {
    #[test]
    fn no_request_makes_the_decoder_fail_otherwise(text in any::<String>(), action in "[\\[\\]{}\":,a-zA-Z0-9]{0,40}") {
        let _ = decode(text.as_bytes());
        if let Ok(asked) = decode(body(&action).as_bytes()) {
            prop_assert_eq!(asked.db, "d");
        }
    }

    #[test]
    fn keys_come_back_as_they_were_asked(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let numbers = serde_json::to_string(&bytes).unwrap();
        for (dialect, shape) in [
            (Dialect::Old, format!(r#"{{"Get":{{"key":{numbers}}}}}"#)),
            (Dialect::New, format!(r#"{{"Get":{numbers}}}"#)),
        ] {
            let asked = decode(body(&shape).as_bytes()).unwrap();
            let value = Ok(Outcome::Value(Bytes::from_static(b"v")));
            let (answer, blob) = encode(dialect, Some(&asked), value);
            prop_assert_eq!(String::from_utf8(answer).unwrap(), shape);
            prop_assert_eq!(blob.unwrap(), "v");
        }
    }
}
