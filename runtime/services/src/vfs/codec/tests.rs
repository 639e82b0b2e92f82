use node_types::Edition;

use super::super::action::{DirEntry, FileType};
use super::super::path::PathError;
use super::*;
use crate::quota::QuotaExceeded;

fn decoded(action: &str) -> (Action, bool) {
    let asked = decode(format!(r#"{{"path":"/a:b/d","action":{action}}}"#).as_bytes()).unwrap();
    assert_eq!(asked.path, "/a:b/d");
    (asked.action, asked.old_shape)
}

#[test]
fn every_generation_is_understood() {
    let new_path = || "/a:b/e".to_owned();
    for (text, action, old) in [
        (r#""CreateDrive""#, Action::CreateDrive, false),
        (
            r#"{"OpenFile":{"create":true}}"#,
            Action::OpenFile { create: true },
            false,
        ),
        (r#""WriteAll""#, Action::WriteAll, false),
        (r#"{"ReadExact":7}"#, Action::ReadExact(7), true),
        (r#"{"ReadExact":{"length":7}}"#, Action::ReadExact(7), false),
        (
            r#"{"Seek":{"seek_from":{"End":-1}}}"#,
            Action::Seek(Seek::End(-1)),
            true,
        ),
        (
            r#"{"Seek":{"Current":-2}}"#,
            Action::Seek(Seek::Current(-2)),
            false,
        ),
        (
            r#"{"Seek":{"Start":3}}"#,
            Action::Seek(Seek::Start(3)),
            false,
        ),
        (
            r#"{"Rename":{"new_path":"/a:b/e"}}"#,
            Action::Rename {
                new_path: new_path(),
            },
            false,
        ),
        (
            r#"{"CopyFile":{"new_path":"/a:b/e"}}"#,
            Action::CopyFile {
                new_path: new_path(),
            },
            false,
        ),
        (r#"{"SetLen":9}"#, Action::SetLen(9), false),
        (r#""AddZip""#, Action::AddZip, false),
    ] {
        assert_eq!(decoded(text), (action, old), "{text}");
    }
    for bad in [
        r#"{"path":"/a:b/d"}"#,
        "",
        "[]",
        r#"{"path":"x","action":"Fly"}"#,
    ] {
        assert!(matches!(
            decode(bad.as_bytes()),
            Err(VfsError::Malformed(_))
        ));
    }
}

fn shape(dialect: Dialect, action: Action, outcome: Result<Outcome, VfsError>) -> String {
    let asked = Asked {
        path: "/a:b/d/x".to_owned(),
        action,
        old_shape: false,
    };
    String::from_utf8(encode(dialect, Some(&asked), outcome).0).unwrap()
}

#[test]
fn answers_have_the_shapes_of_their_generation() {
    let both = |outcome: Outcome| {
        let old = shape(Dialect::Old, Action::Len, Ok(outcome.clone()));
        let new = shape(Dialect::New, Action::Len, Ok(outcome));
        (old, new)
    };
    let same = |outcome: Outcome, wanted: &str| {
        let (old, new) = both(outcome);
        assert_eq!((old.as_str(), new.as_str()), (wanted, wanted));
    };
    same(Outcome::Done, r#""Ok""#);
    same(Outcome::Bytes("x".into()), r#""Read""#);
    same(Outcome::Text("hi".to_owned()), r#"{"ReadToString":"hi"}"#);
    same(Outcome::Len(4), r#"{"Len":4}"#);
    let metadata = Outcome::Metadata {
        file_type: FileType::Directory,
        len: 2,
    };
    same(
        metadata,
        r#"{"Metadata":{"file_type":"Directory","len":2}}"#,
    );
    let entry = DirEntry {
        path: "a:b/d".to_owned(),
        file_type: FileType::File,
    };
    same(
        Outcome::Entries(vec![entry]),
        r#"{"ReadDir":[{"file_type":"File","path":"a:b/d"}]}"#,
    );
    let (old, new) = both(Outcome::Offset(9));
    assert_eq!(old, r#"{"SeekFrom":9}"#);
    assert_eq!(new, r#"{"SeekFrom":{"new_offset":9}}"#);
    let (hash, _) = both(Outcome::Hash([1; 32]));
    assert!(hash.starts_with(r#"{"Hash":[1,1,"#));
}

#[test]
fn errors_have_the_shapes_of_their_generation() {
    let quota = QuotaExceeded { wanted: 5, left: 1 };
    for (error, new, old) in [
        (
            VfsError::NoReadCap,
            r#"{"Err":"NoReadCap"}"#,
            r#"{"Err":{"NoCap":{"action":"Read","path":"/a:b/d/x"}}}"#,
        ),
        (
            VfsError::NoWriteCap,
            r#"{"Err":"NoWriteCap"}"#,
            r#"{"Err":{"NoCap":{"action":"Read","path":"/a:b/d/x"}}}"#,
        ),
        (
            VfsError::NoBlob,
            r#"{"Err":"NoBlob"}"#,
            r#"{"Err":{"BadBytes":{"action":"Read","path":"/a:b/d/x"}}}"#,
        ),
        (
            VfsError::NotFound,
            r#"{"Err":{"IOError":"no such file or directory"}}"#,
            r#"{"Err":{"NotFound":{"path":"/a:b/d/x"}}}"#,
        ),
        (
            VfsError::Malformed("bad".to_owned()),
            r#"{"Err":"MalformedRequest"}"#,
            r#"{"Err":{"BadJson":{"error":"bad"}}}"#,
        ),
    ] {
        let again = match &error {
            VfsError::NoReadCap => VfsError::NoReadCap,
            VfsError::NoWriteCap => VfsError::NoWriteCap,
            VfsError::NoBlob => VfsError::NoBlob,
            VfsError::NotFound => VfsError::NotFound,
            _ => VfsError::Malformed("bad".to_owned()),
        };
        assert_eq!(shape(Dialect::New, Action::Read, Err(error)), new);
        assert_eq!(shape(Dialect::Old, Action::Read, Err(again)), old);
    }
    let text = shape(Dialect::New, Action::Write, Err(quota.into()));
    assert!(
        text.starts_with(r#"{"Err":{"IOError":"disk limit reached: the node's disk quota"#),
        "{text}"
    );
    let zip = shape(
        Dialect::New,
        Action::AddZip,
        Err(VfsError::Zip("x".to_owned())),
    );
    assert_eq!(zip, r#"{"Err":"UnzipError"}"#);
    let made = shape(Dialect::Old, Action::CreateDir, Err(VfsError::ReadOnly));
    assert!(made.starts_with(r#"{"Err":{"CreateDirError":"#), "{made}");
    let path: PathError = super::super::path::Target::parse("/..").unwrap_err();
    let text = shape(Dialect::New, Action::Read, Err(path.into()));
    assert!(
        text.starts_with(r#"{"Err":{"ParseError":{"error":"#),
        "{text}"
    );
}

#[test]
fn the_receivers_edition_decides_unless_the_request_is_old() {
    for (edition, old_shape, wanted) in [
        (Some(Edition::V0_7), false, Dialect::Old),
        (Some(Edition::V0_8), false, Dialect::Old),
        (Some(Edition::V1_0), false, Dialect::New),
        (Some(Edition::Hyperware), false, Dialect::New),
        (None, false, Dialect::New),
        (None, true, Dialect::Old),
        (Some(Edition::V1_0), true, Dialect::Old),
    ] {
        assert_eq!(Dialect::of(edition, old_shape), wanted);
    }
}
