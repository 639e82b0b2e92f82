//! Actions that name their place, as WASI needs them.

use super::super::*;
use super::bench::Bench;

const MIB: u64 = 1 << 20;

const CREATE: OpenHow = OpenHow {
    create: true,
    exclusive: false,
    truncate: false,
};

fn bytes(outcome: Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Bytes(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_read_and_written_and_no_cursor_moves() {
    let bench = Bench::new(MIB).await;
    let act = |action, blob| bench.app("f", action, blob);
    let file = |len| Outcome::Metadata {
        file_type: FileType::File,
        len,
    };
    let missing = act(Action::Open(OpenHow::default()), None).await;
    assert!(matches!(missing, Err(VfsError::NotFound)));
    assert_eq!(act(Action::Open(CREATE), None).await.unwrap(), file(0));
    let write = |offset, text: &'static [u8]| act(Action::WriteAt { offset }, Some(text));
    write(Some(3), b"def").await.unwrap();
    write(None, b"ghi").await.unwrap();
    write(Some(0), b"abc").await.unwrap();
    let read = |offset, len| act(Action::ReadAt { offset, len }, None);
    assert_eq!(bytes(read(2, 3).await.unwrap()), b"cde");
    assert_eq!(bytes(read(7, 100).await.unwrap()), b"hi");
    assert_eq!(bytes(read(9, 1).await.unwrap()), b"");
    assert_eq!(bytes(read(u64::MAX, u64::MAX).await.unwrap()), b"");
    // Another's cursor is where it was.
    assert_eq!(
        bytes(act(Action::ReadExact(3), None).await.unwrap()),
        b"abc"
    );
    assert_eq!(act(Action::Open(CREATE), None).await.unwrap(), file(9));
    assert_eq!(
        bytes(act(Action::ReadExact(3), None).await.unwrap()),
        b"def"
    );

    let exclusive = OpenHow {
        exclusive: true,
        ..CREATE
    };
    assert!(act(Action::Open(exclusive), None).await.is_err());
    let truncate = OpenHow {
        truncate: true,
        ..OpenHow::default()
    };
    assert_eq!(act(Action::Open(truncate), None).await.unwrap(), file(0));
    assert_eq!(bench.quota.used(), bench.weighed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_is_charged_before_a_place_is_written() {
    let bench = Bench::new(64 << 10).await;
    let act = |action, blob| bench.app("f", action, blob);
    act(Action::Open(CREATE), None).await.unwrap();
    let used = bench.quota.used();
    for offset in [Some(1 << 20), Some(u64::MAX - 1)] {
        let full = act(Action::WriteAt { offset }, Some(b"x")).await;
        assert!(matches!(full, Err(VfsError::Quota(_))), "{full:?}");
    }
    assert_eq!(bench.quota.used(), used);
    act(Action::WriteAt { offset: None }, Some(b"fits"))
        .await
        .unwrap();
    assert_eq!(bench.quota.used(), bench.weighed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_told_from_a_file() {
    let bench = Bench::new(MIB).await;
    bench.app("d", Action::CreateDir, None).await.unwrap();
    let opened = bench.app("d", Action::Open(CREATE), None).await.unwrap();
    assert!(matches!(
        opened,
        Outcome::Metadata {
            file_type: FileType::Directory,
            ..
        }
    ));
    let written = bench
        .app("d", Action::WriteAt { offset: None }, Some(b"x"))
        .await;
    assert!(written.is_err(), "{written:?}");
}
