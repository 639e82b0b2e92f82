//! `pong:bench:tester.dev`: sends every message back, with its blob.

use guest::lib::{self, Address};

guest::process!(run);

fn run(_our: Address) {
    loop {
        // The raw interface: this is what is being measured.
        let Ok((_, lib::kinode::process::standard::Message::Request(request))) = lib::receive()
        else {
            continue;
        };
        lib::send_response(
            &lib::kinode::process::standard::Response {
                inherit: lib::has_blob(),
                body: request.body,
                metadata: None,
                capabilities: Vec::new(),
            },
            None,
        );
    }
}
