//! What all pages share: the frame around them, and fields of forms.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use tenant_model::Role;

use super::assets;
use super::token::FormToken;
use super::visitor::Visitor;

/// Seconds between two looks at something in transition, without a script.
const REFRESH_SECONDS: u32 = 2;

/// The frame around a page.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) title: String,
    /// Who is signed in.
    pub(super) person: Option<Person>,
    /// Offers to sign in and up.
    pub(super) doors: bool,
    /// Which part of the menu this page belongs to.
    pub(super) here: Here,
    /// Where this page is read again; an action's answer has another address.
    pub(super) page: String,
    /// Without a script it is read again after so many seconds.
    pub(super) refresh: Option<u32>,
    /// Something is wrong in the form on it.
    pub(super) wrong: bool,
    pub(super) style: String,
    pub(super) script: String,
}

/// Somebody signed in, as the frame shows them.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) email: String,
    pub(super) token: FormToken,
    /// Whether the menu leads to the pages for operators.
    pub(super) operator: bool,
}

/// Parts of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    Nowhere,
    Nodes,
    Account,
    Operator,
}

impl Layout {
    /// A page for somebody signed in.
    pub(super) fn signed_in(title: impl Into<String>, visitor: &Visitor, here: Here) -> Self {
        Self {
            person: Some(Person {
                email: visitor.principal.email().to_string(),
                token: visitor.token.clone(),
                operator: visitor.principal.role() == Role::Operator,
            }),
            here,
            ..Self::bare(title)
        }
    }

    /// A page for somebody who is not.
    pub(super) fn signed_out(title: impl Into<String>) -> Self {
        Self {
            doors: true,
            ..Self::bare(title)
        }
    }

    /// A page for somebody about whom nothing is known.
    pub(super) fn bare(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            person: None,
            doors: false,
            here: Here::Nowhere,
            page: String::new(),
            refresh: None,
            wrong: false,
            style: assets::STYLE.url(),
            script: assets::SCRIPT.url(),
        }
    }

    /// Read again at `page`: soon while something is `moving`.
    pub(super) fn refreshed(self, page: impl Into<String>, moving: bool) -> Self {
        Self {
            page: page.into(),
            refresh: moving.then_some(REFRESH_SECONDS),
            ..self
        }
    }

    pub(super) fn is_at_nodes(&self) -> bool {
        self.here == Here::Nodes
    }

    pub(super) fn is_at_account(&self) -> bool {
        self.here == Here::Account
    }

    pub(super) fn is_at_operator(&self) -> bool {
        self.here == Here::Operator
    }

    /// With something `wrong` in its form.
    pub(super) fn wrong(self, wrong: bool) -> Self {
        Self { wrong, ..self }
    }
}

/// One line of a form, with what is wrong with it beside it.
#[derive(Debug, Template)]
#[template(path = "dashboard/field.html")]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    /// What the browser may fill in.
    pub(super) autocomplete: &'static str,
    pub(super) hint: &'static str,
    pub(super) value: String,
    pub(super) error: Option<String>,
    /// Where the cursor stands at first.
    pub(super) focus: bool,
}

/// What is typed into a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Email,
    Password,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Email => "email",
            Self::Password => "password",
        }
    }
}

/// The template escapes what it inserts, so its text is not escaped again.
impl askama::filters::HtmlSafe for Field {}

impl Field {
    /// An empty field.
    pub(super) fn new(name: &'static str, label: &'static str, kind: Kind) -> Self {
        Self {
            name,
            label,
            kind,
            autocomplete: "off",
            hint: "",
            value: String::new(),
            error: None,
            focus: false,
        }
    }

    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    pub(super) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self {
            autocomplete,
            ..self
        }
    }

    pub(super) fn value(self, value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            ..self
        }
    }

    pub(super) fn error(self, error: Option<String>) -> Self {
        Self { error, ..self }
    }

    pub(super) fn focus(self, focus: bool) -> Self {
        Self { focus, ..self }
    }

    /// Ids of the texts that describe the field, for screen readers.
    pub(super) fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if self.error.is_some() {
            ids.push(format!("{}-error", self.name));
        }
        if !self.hint.is_empty() {
            ids.push(format!("{}-hint", self.name));
        }
        ids.join(" ")
    }
}

/// Moves the cursor to the first of `fields` with an error, else to the first.
pub(super) fn focus_first<const N: usize>(mut fields: [Field; N]) -> [Field; N] {
    let wrong = fields.iter().position(|field| field.error.is_some());
    if let Some(field) = fields.get_mut(wrong.unwrap_or(0)) {
        field.focus = true;
    }
    fields
}

/// A page. Nothing here is kept by browsers or proxies: what a session shows
/// must be gone after signing out, whatever button is pressed.
pub(super) fn respond(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = (status, html).into_response();
            let headers = response.headers_mut();
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            headers.insert(CONTENT_TYPE, html);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => {
            tracing::error!("failed to render a page: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page in the ordinary case.
pub(super) fn ok(template: &impl Template) -> Response {
    respond(StatusCode::OK, template)
}

/// `text` as a sentence: refusals are written to stand after a colon.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let mut sentence: String = first.to_uppercase().chain(chars).collect();
    if !sentence.ends_with(['.', '!', '?', ')']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_become_sentences() {
        assert_eq!(sentence("the label is taken"), "The label is taken.");
        assert_eq!(sentence("Ärger!"), "Ärger!");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn fields_escape_what_was_typed() {
        let field = Field::new("label", "Name", Kind::Text)
            .value("\"><script>alert(1)</script>")
            .error(Some("<b>no</b>".to_owned()));
        let html = field.render().unwrap();
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("aria-invalid=\"true\""), "{html}");
        assert!(html.contains("aria-describedby=\"label-error\""), "{html}");
    }

    #[test]
    fn passwords_are_never_shown_again() {
        let field = Field::new("password", "Password", Kind::Password).value("hunter2hunter2");
        assert!(!field.render().unwrap().contains("hunter2"));
    }
}
