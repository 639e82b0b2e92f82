//! `peer:storebench:tester.dev`: answers every request with its own body, for
//! the round trip that the stores are compared with. It never stops.

use guest::lib::{self, Address, Message};
use guest::respond;

guest::process!(run);

fn run(_our: Address) {
    loop {
        if let Ok(Message::Request { body, .. }) = lib::await_message() {
            respond(body);
        }
    }
}
