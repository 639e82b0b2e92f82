//! The exported entry point, which is the same in every generation.

wit_bindgen::generate!({
    inline: r#"
        package berth:editions;
        world process {
            export init: func(our: string);
        }
    "#,
});

struct Process;

impl Guest for Process {
    fn init(our: String) {
        // The probe has a package of its own. Elsewhere ids may be such that
        // newer libraries do not parse them.
        match our.parse() {
            Ok(address) if our.contains(":editions:") => {
                crate::probe::run(address, crate::EDITION);
            }
            _ => crate::script::run(&our),
        }
    }
}

export!(Process);
