//! `m ADDRESS 'BODY' [-a SECONDS]`: sends a message by hand.

use distro_logic::line;
use guest::lib::{self, Address, Message, Request, SendErrorKind};
use guest::print;

guest::script!(m);

/// How long a message without `-a` is given to fail.
const SILENT_SECONDS: u64 = 5;

fn m(our: &Address, arguments: &str) -> String {
    let send = match line::parse_send(arguments) {
        Ok(send) => send,
        Err(usage) => return usage,
    };
    let full = line::full_address(send.target, our.node());
    let Ok(target) = full.parse::<Address>() else {
        return format!(
            "'{}' is no address: write NODE@PROCESS:PACKAGE:PUBLISHER; `our` is this node",
            send.target
        );
    };
    if let Some(seconds) = send.wait {
        print(&format!("m: awaiting response for {seconds}s"));
    }
    // Whoever types at the terminal acts with all its rights, on this node:
    // signed for another one they would be that one's for good.
    let rights = if target.node() == our.node() {
        lib::our_capabilities()
    } else {
        Vec::new()
    };
    let answer = Request::to(&target)
        .body(send.body)
        .capabilities(rights)
        .send_and_await_response(send.wait.unwrap_or(SILENT_SECONDS));
    match answer {
        Ok(Ok(answer)) if send.wait.is_some() => show(&answer),
        Ok(Ok(_)) => String::new(),
        Ok(Err(error)) => match error.kind() {
            SendErrorKind::Offline => {
                format!("m: {} is offline or does not exist", target.node())
            }
            SendErrorKind::Timeout => format!("m: message to {target} timed out"),
        },
        Err(error) => format!("m: {error}"),
    }
}

fn show(answer: &Message) -> String {
    let body = match std::str::from_utf8(answer.body()) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{} bytes: {:?}", answer.body().len(), answer.body()),
    };
    match answer.blob() {
        Some(blob) => format!("{body}\n(and a blob of {} bytes)", blob.bytes.len()),
        None => body,
    }
}
