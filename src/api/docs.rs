//! `/docs`: Swagger UI in one page that loads nothing but the document, and nothing from elsewhere.

use bytes::Bytes;
use data_encoding::BASE64;
use http::HeaderValue;
use http::header::CONTENT_SECURITY_POLICY;
use poem::Response;

use crate::crypto::digest::sha256;

/// The page with its policy, made once.
#[derive(Clone, Debug)]
pub struct Docs {
    html: Bytes,
    policy: HeaderValue,
}

impl Docs {
    /// The page that poem-openapi makes, with a head of our own. `groups` are the tags in the order to show them.
    #[must_use]
    pub fn new(swagger_ui: &str, groups: &[&str]) -> Self {
        let style = between(swagger_ui, "<style charset=\"UTF-8\">", "</style>");
        let bundle = between(swagger_ui, "<script charset=\"UTF-8\">", "</script>");
        let setup = SETUP.replace("{groups}", &serde_json::Value::from(groups).to_string());
        let html = format!("{HEAD}<style>{style}</style>\n{BODY}<script>{bundle}</script>\n<script>{setup}</script>\n");
        let policy = format!(
            "default-src 'none'; script-src {} {}; style-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            source(bundle),
            source(&setup),
        );
        Self {
            html: Bytes::from(html),
            // Base64 and our own words: always a header value, and without one nothing at all may run.
            policy: HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }

    /// The page as an answer.
    #[must_use]
    pub fn response(&self) -> Response {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(CONTENT_SECURITY_POLICY, self.policy.clone())
            .body(self.html.clone())
    }
}

/// What stands between the first `begin` and the next `end`; nothing where they do not occur.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let rest = text.split_once(begin).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(inside, _)| inside)
}

/// An inline script as a policy names it.
fn source(script: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(&sha256(script.as_bytes())))
}

/// The icon is inline, as browsers ask for `/favicon.ico` where a page names none.
const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tollgate API</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%23173647' d='M2 2h3v12H2z'/%3E%3Cpath fill='%2349cc90' d='M5 4h10v3H5z'/%3E%3C/svg%3E">
"#;

const BODY: &str = "<div id=\"ui\"></div>\n";

/// The key that a person authorises with is kept in the page only, never in the browser's storage.
const SETUP: &str = r##"
const groups = {groups};
SwaggerUIBundle({
  dom_id: "#ui",
  url: "openapi.json",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  tagsSorter: (one, other) => groups.indexOf(one) - groups.indexOf(other),
});
"##;

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let docs = Docs::new(&super::super::service().swagger_ui_html(), &["Keys", "Audit"]);
        String::from_utf8(docs.html.to_vec()).unwrap()
    }

    #[test]
    fn the_page_holds_the_style_and_the_bundle_that_poem_openapi_ships() {
        let page = page();
        assert!(between(&page, "<style>", "</style>").contains(".swagger-ui"));
        assert!(between(&page, "<script>", "</script>").contains("SwaggerUIBundle"));
        assert!(page.contains(r#"const groups = ["Keys","Audit"];"#));
    }

    #[test]
    fn the_policy_allows_the_two_scripts_of_the_page_and_no_host() {
        let docs = Docs::new(&super::super::service().swagger_ui_html(), &[]);
        let policy = docs.policy.to_str().unwrap();
        assert_eq!(policy.matches("'sha256-").count(), 2);
        assert!(!policy.contains("://"), "{policy}");
    }
}
