//! Accessibility: the rules of axe-core on the page that is open.

use std::path::Path;

use serde_json::Value;

use super::chromium::Chromium;

/// Fails if the page has a finding that axe-core calls serious or critical.
pub async fn check(browser: &Chromium, page: &str) {
    let script = std::fs::read_to_string(script()).expect("axe-core is installed by infra/setup");
    browser.client.execute(&script, Vec::new()).await.unwrap();
    let found = browser
        .promised("return (await axe.run(document, {resultTypes: ['violations']})).violations")
        .await;
    let found = found
        .as_array()
        .unwrap_or_else(|| panic!("{page}: {found}"));
    let serious: Vec<String> = found
        .iter()
        .filter(|finding| matches!(finding["impact"].as_str(), Some("serious" | "critical")))
        .map(|finding| {
            let nodes = finding["nodes"].as_array().into_iter().flatten();
            let places: Vec<&Value> = nodes.map(|node| &node["html"]).collect();
            format!("{}: {} at {places:?}", finding["id"], finding["help"])
        })
        .collect();
    assert!(serious.is_empty(), "{page}: {serious:#?}");
}

/// Where `infra/setup test` put it: in the target directory of the build.
fn script() -> std::path::PathBuf {
    let berth = Path::new(env!("CARGO_BIN_EXE_berth"));
    let target = berth.ancestors().nth(2).unwrap();
    target.join("test-tools/node_modules/axe-core/axe.min.js")
}
