//! The page that asks for a node's password. No script, nothing external.

/// What the page may do: show itself and post its form.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// In the colours of the host's own pages.
const STYLE: &str = ":root{color-scheme:light dark;--paper:#f6f4ee;--card:#fffefb;--ink:#13232b;\
     --line:#7d8a8f;--sea:#0a5c66;--on-sea:#fff;--bad:#b23a0e}\
     @media(prefers-color-scheme:dark){:root{--paper:#0c161b;--card:#13212a;--ink:#e8eff1;\
     --line:#6c808a;--sea:#63c7cd;--on-sea:#08161b;--bad:#ff9b74}}\
     body{font:16px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink);\
     display:grid;place-items:center;min-height:100vh;margin:0}\
     main{background:var(--card);padding:2rem;border-radius:.75rem;width:min(20rem,80vw);\
     box-shadow:0 1px 6px #0003}h1{font-size:1.25rem;margin:0 0 1rem;overflow-wrap:anywhere}\
     label{display:block;margin-bottom:.25rem}\
     input,button{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border-radius:.4rem}\
     input{border:1px solid var(--line);margin-bottom:1rem;background:var(--paper);color:inherit}\
     button{border:0;background:var(--sea);color:var(--on-sea);font-weight:600;cursor:pointer}\
     :focus-visible{outline:3px solid var(--sea);outline-offset:2px}.problem{color:var(--bad)}";

/// The page of node `node`; every argument may come from a stranger.
pub(super) fn render(node: &str, subdomain: &str, target: &str, problem: Option<&str>) -> String {
    let [node, subdomain, target] = [node, subdomain, target].map(escape);
    let problem = problem.map_or_else(String::new, |text| {
        format!("<p class=\"problem\" role=\"alert\">{}</p>", escape(text))
    });
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Sign in to {node}</title><style>{STYLE}</style></head><body><main>\
         <h1>Sign in to {node}</h1>{problem}<form method=\"post\" action=\"/login\">\
         <input type=\"hidden\" name=\"subdomain\" value=\"{subdomain}\">\
         <input type=\"hidden\" name=\"redirect\" value=\"{target}\">\
         <label for=\"password\">Node password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" required autofocus>\
         <button type=\"submit\">Sign in</button></form></main></body></html>"
    )
}

/// Makes `text` safe between tags and inside quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_leaves_its_place() {
        let evil = "\"'><script>alert(1)</script>&";
        let html = render(evil, evil, evil, Some(evil));
        assert!(!html.contains("<script"));
        assert_eq!(html.matches("&lt;script&gt;").count(), 5);
        assert!(html.contains("value=\"&quot;&#39;&gt;"));
    }
}
