//! Remote file storage: a script on the imported API of another package.

use super::super::support::Host;
use super::content;

const CLIENT: &str = "client:client:template.os";

#[tokio::test]
async fn a_script_has_files_kept_on_another_node() {
    let host = Host::start();
    let (alice, bob) = super::two_nodes(&host).await;
    alice.install("server:template.os").await;
    alice.printed("begin").await;
    bob.install("client:template.os").await;

    let none = bob.run(&format!("{CLIENT} list-files alice.dev"));
    assert_eq!(none, "error: bob.dev has no files here");
    let put = |file: &str| {
        let path = format!("client:template.os/pkg/{file}");
        bob.run(&format!("{CLIENT} put-file alice.dev -p {path} -n {file}"))
    };
    assert_eq!(
        put("manifest.json"),
        "Successfully PutFile client:template.os/pkg/manifest.json to host alice.dev."
    );
    let list = |names: &[&str]| format!("{names:#?}");
    assert_eq!(
        bob.run(&format!("{CLIENT} list-files alice.dev")),
        list(&["manifest.json"])
    );
    put("scripts.json");
    assert_eq!(
        bob.run(&format!("{CLIENT} list-files alice.dev")),
        list(&["manifest.json", "scripts.json"])
    );
    let got = bob.run(&format!("{CLIENT} get-file alice.dev -n scripts.json"));
    let scripts = bob.file("client:template.os/pkg/scripts.json");
    let scripts = std::fs::read_to_string(scripts).unwrap();
    let head = "Successfully GetFile scripts.json from host alice.dev:\n\n";
    assert_eq!(got, format!("{head}{}", scripts.trim()));

    // One of several MiB, whose name is that of its path.
    let large = content((6 << 20) + 5);
    bob.put("client:template.os/pkg/large.bin", &large);
    let put = format!("{CLIENT} put-file alice.dev -p client:template.os/pkg/large.bin");
    assert!(bob.run(&put).starts_with("Successfully PutFile"));
    alice
        .has_file("server:template.os/bob.dev/large.bin", &large)
        .await;
    let got = bob.run(&format!("{CLIENT} get-file alice.dev -n large.bin"));
    assert_eq!(got, "Successfully GetFile large.bin from host alice.dev.");

    // What goes wrong is told to whoever asked.
    for (line, told) in [
        (
            "get-file alice.dev -n x",
            "error: bob.dev has no file x here",
        ),
        (
            "put-file alice.dev -p nothing/here",
            "error: could not find file at nothing/here",
        ),
        (
            "list-files carol.dev",
            "error: carol.dev does not answer: Offline",
        ),
        (
            "put-file alice.dev -p client:template.os/pkg/manifest.json -n a/b",
            r#"error: "a/b" is not the name of a file"#,
        ),
    ] {
        assert_eq!(bob.run(&format!("{CLIENT} {line}")), told);
    }
    assert!(bob.run(CLIENT).starts_with("error: usage:"));
    // Nobody sees what is kept for others, and a server that sleeps keeps it.
    alice.install("client:template.os").await;
    alice.hibernate().await;
    assert_eq!(
        bob.run(&format!("{CLIENT} list-files alice.dev")),
        list(&["large.bin", "manifest.json", "scripts.json"])
    );
    bob.install("server:template.os").await;
    assert_eq!(
        alice.run(&format!("{CLIENT} list-files bob.dev")),
        "error: alice.dev has no files here"
    );
}
