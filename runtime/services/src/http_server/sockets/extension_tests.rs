use serde::Serialize;

use super::*;

/// The same in the words of the libraries that extensions are written with.
#[derive(Serialize)]
enum Known {
    WebSocketExtPushData {
        id: u64,
        kinode_message_type: &'static str,
        blob: Vec<u8>,
    },
}

fn push(id: u64, reply: Kind, blob: &[u8]) -> Push {
    Push {
        id,
        reply,
        edition: Some(Edition::V0_8),
        blob: Bytes::copy_from_slice(blob),
    }
}

fn message(id: u64, kind: Kind, blob: &[u8]) -> Frame {
    Frame::Message {
        id,
        kind,
        blob: Bytes::copy_from_slice(blob),
    }
}

fn read(frame: &[u8]) -> Frame {
    decode(&Bytes::copy_from_slice(frame))
}

#[test]
fn what_is_sent_is_exact() {
    let mut wanted = b"\x81\xb4WebSocketExtPushData\x83\xa2id\xcd\x01\x2c".to_vec();
    wanted.extend(b"\xb3kinode_message_type\xa8Response\xa4blob\x93\x00\x7f\xcc\x80");
    let mut sent = push(300, Kind::Response, &[0, 127, 128]);
    assert_eq!(sent.encode(), wanted);
    sent.edition = Some(Edition::Hyperware);
    sent.reply = Kind::Request;
    let mut wanted = b"\x81\xb4WebSocketExtPushData\x83\xa2id\xcd\x01\x2c".to_vec();
    wanted.extend(b"\xb6hyperware_message_type\xa7Request\xa4blob\x93\x00\x7f\xcc\x80");
    assert_eq!(sent.encode(), wanted);
}

#[test]
fn what_is_sent_is_what_the_libraries_would_send() {
    let ids = [0, 127, 128, 255, 256, 65_535, 65_536, u64::from(u32::MAX)];
    let ids = ids.into_iter().chain([1 << 32, u64::MAX]);
    let lengths = [0, 1, 15, 16, 255, 256, 65_535, 65_536, 70_000];
    for (id, length) in ids.zip(lengths.into_iter().cycle()) {
        let blob: Vec<u8> = (0..length).map(|at| (at % 256) as u8).collect();
        let known = Known::WebSocketExtPushData {
            id,
            kinode_message_type: "Response",
            blob: blob.clone(),
        };
        let sent = push(id, Kind::Response, &blob).encode();
        assert!(
            sent == rmp_serde::to_vec_named(&known).unwrap(),
            "{id} {length}"
        );
        assert!(read(&sent) == message(id, Kind::Response, &blob));
    }
}

#[test]
fn answers_are_read_in_every_form() {
    let head = b"\x81\xb4WebSocketExtPushData";
    let named = |id: &[u8], name: &[u8], blob: &[u8]| {
        let parts: [&[u8]; 7] = [
            head,
            b"\x83\xa2id",
            id,
            name,
            b"\xa8Response",
            b"\xa4blob",
            blob,
        ];
        parts.concat()
    };
    let (kinode, hyperware) = (
        &b"\xb3kinode_message_type"[..],
        &b"\xb6hyperware_message_type"[..],
    );
    let wanted = message(7, Kind::Response, b"\x01\xff");
    for id in [
        &b"\x07"[..],
        b"\xcc\x07",
        b"\xcd\x00\x07",
        b"\xce\x00\x00\x00\x07",
        b"\xcf\x00\x00\x00\x00\x00\x00\x00\x07",
        b"\xd0\x07",
        b"\xd3\x00\x00\x00\x00\x00\x00\x00\x07",
    ] {
        assert_eq!(read(&named(id, kinode, b"\xc4\x02\x01\xff")), wanted);
    }
    for blob in [
        &b"\xc4\x02\x01\xff"[..],
        b"\xc5\x00\x02\x01\xff",
        b"\xc6\x00\x00\x00\x02\x01\xff",
        b"\x92\x01\xcc\xff",
        b"\xdc\x00\x02\x01\xcd\x00\xff",
        b"\xdd\x00\x00\x00\x02\x01\xcf\x00\x00\x00\x00\x00\x00\x00\xff",
        // As libraries write bytes that know no binary.
        b"\xa2\x01\xff",
    ] {
        assert_eq!(read(&named(b"\x07", hyperware, blob)), wanted, "{blob:?}");
    }
    // A list instead of names, and fields in another order with one more.
    let list = [&head[..], b"\x93\x07\xa8Response\xc4\x02\x01\xff"].concat();
    assert_eq!(read(&list), wanted);
    let parts: [&[u8]; 5] = [
        head,
        b"\x84\xa4blob\xc4\x02\x01\xff",
        kinode,
        b"\xa8Response\xa4more\x92\x01\x80",
        b"\xa2id\x07",
    ];
    assert_eq!(read(&parts.concat()), wanted);
}

#[test]
fn everything_else_is_plain_or_unexpected() {
    let head = b"\x81\xb4WebSocketExtPushData";
    let whole = push(1, Kind::Request, b"abc").encode();
    for cut in 0..whole.len() {
        assert_eq!(read(&whole[..cut]), Frame::Plain, "{cut}");
    }
    let endless = [0x91; 100_000];
    for frame in [
        &b"\xacHello from c"[..],
        b"\x80",
        b"\xc0",
        b"\x05",
        b"{\"json\":1}",
        b"\x81\xa5Other\x01",
        &[&head[..], b"\x01"].concat(),
        // A negative id, one that is a fraction, a kind that there is not.
        &[&head[..], b"\x93\xff\xa8Response\xc4\x00"].concat(),
        &[
            &head[..],
            b"\x93\xcb\x40\x1c\x00\x00\x00\x00\x00\x00\xa8Response\xc4\x00",
        ]
        .concat(),
        &[&head[..], b"\x93\x01\xa5Other\xc4\x00"].concat(),
        // No byte, and more of them than there are.
        &[&head[..], b"\x93\x01\xa8Response\x91\xcd\x01\x00"].concat(),
        &[&head[..], b"\x93\x01\xa8Response\xdd\xff\xff\xff\xff\x01"].concat(),
        &[&head[..], b"\x93\x01\xa8Response\xc6\xff\xff\xff\xff\x01"].concat(),
        &endless,
        &[&b"\x81\xa4Bind"[..], &endless].concat(),
    ] {
        assert_eq!(read(frame), Frame::Plain, "{:?}", frame.get(..40));
    }
    for frame in [
        &b"\x81\xaeWebSocketClose\x07"[..],
        b"\x81\xa4Bind\x81\xa4path\xa1/",
        b"\x81\xadWebSocketPush\x92\x07\xa6Binary",
    ] {
        assert_eq!(read(frame), Frame::Unexpected);
    }
}
