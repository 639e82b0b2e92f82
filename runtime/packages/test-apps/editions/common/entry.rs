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
        if let Ok(our) = our.parse() {
            crate::probe::run(our, crate::EDITION);
        }
    }
}

export!(Process);
