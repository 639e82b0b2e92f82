//! Strings that are scripts wherever they are not taken for text.

use serde_json::{json, Value};

/// What goes into every field of an entry, one line an entry. Each sets
/// `__xss` on the page that runs it.
const CORPUS: [&str; 12] = [
    "<script>top.__xss=1</script>",
    "\"><img src=x onerror=\"top.__xss=2\">",
    "'><svg onload='top.__xss=3'>",
    "</script><script>top.__xss=4</script>",
    "</title></style></textarea><svg/onload=top.__xss=5>",
    "javascript:top.__xss=6",
    "{{constructor.constructor('top.__xss=7')()}}${top.__xss=7}",
    "\" onmouseover=\"top.__xss=8\" autofocus onfocus=\"top.__xss=8",
    "<iframe srcdoc=\"<script>top.__xss=9</script>\">",
    "&lt;img src=x onerror=top.__xss=10&gt;&#60;script&#62;top.__xss=10&#60;/script&#62;",
    "\u{202e}<a href=\"jav&#x09;ascript:top.__xss=11\">click</a>\u{0}\r\nSet-Cookie: xss=11",
    "<math><mtext></p><style><!--</style><img title=\"--></style><img src onerror=top.__xss=12>\">",
];

/// Icons, of which each should be refused or shown as an inert image.
const ICONS: [&str; 12] = [
    "javascript:top.__xss=21",
    "data:text/html,<script>top.__xss=22</script>",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='top.__xss=23'><script>top.__xss=23</script></svg>",
    "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0idG9wLl9feHNzPTI0Ii8+",
    "data:image/png;base64,\" onerror=\"top.__xss=25",
    "data:image/png;base64,AAAA'><script>top.__xss=26</script>",
    "data:text/html;base64,PHNjcmlwdD50b3AuX194c3M9Mjc8L3NjcmlwdD4=",
    "x\" onerror=\"top.__xss=28",
    "//evil.example/icon.png",
    "data:image/svg+xml;charset=utf-8,%3Csvg%20xmlns=%22http://www.w3.org/2000/svg%22%20onload=%22top.__xss=30%22/%3E",
    "data:image/png,<script>top.__xss=31</script>",
    "vbscript:top.__xss=32",
];

/// Paths, of which none may lead out of the process' own.
const PATHS: [&str; 12] = [
    "javascript:top.__xss=41",
    "//evil.example/",
    "/../../other:other:test.dev",
    "\\\\evil.example\\",
    "/%2e%2e/%2e%2e/login",
    "https://evil.example/",
    "/\"><script>top.__xss=47</script>",
    "/ok?next=//evil.example",
    "@evil.example/",
    ":pass@evil.example",
    "/\r\nLocation: https://evil.example",
    "/./../:x/../..//evil.example",
];

/// Entry number `at` of the corpus, as the homepage takes it.
pub fn entry(at: usize) -> Value {
    let pick = |list: &[&str; 12]| list.get(at).copied().unwrap_or_default().to_owned();
    let string = pick(&CORPUS);
    json!({
        "label": string,
        "icon": pick(&ICONS),
        "path": pick(&PATHS),
        "widget": format!(
            "{string}<script>try{{top.__xss=60}}catch(e){{}}try{{parent.document.title='xss'}}\
             catch(e){{}}try{{top.location='/login'}}catch(e){{}}try{{alert(1)}}catch(e){{}}\
             try{{document.cookie='xss=1'}}catch(e){{}}\
             fetch('/apps').then(a=>a.text()).then(t=>parent.postMessage(t,'*'))</script>"
        ),
    })
}

/// A page with the whole corpus as text.
pub fn page() -> String {
    let all = CORPUS.iter().chain(&ICONS).chain(&PATHS);
    let items: String = all
        .map(|string| format!("<li><code>{}</code></li>", escaped(string)))
        .collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Hostile strings\
         </title></head><body><h1>Hostile strings</h1><ol>{items}</ol></body></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
