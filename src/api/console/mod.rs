//! `/console`: the operator's page. It is a client of the admin interface like any other, and served from the binary.
//!
//! Nothing in it knows more than its reader: the page is open to everybody, what it shows comes from `/admin/*` with the
//! key that somebody signs in with. The browser keeps that key in memory only.

use std::collections::HashMap;

use data_encoding::BASE64URL_NOPAD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, StatusCode};
use poem::{Endpoint, Request, Response};

use super::error::{ApiError, Code};
use crate::crypto::digest::sha256;

/// The page and what it is made of, by path.
#[derive(Debug)]
pub struct Console(HashMap<String, Asset>);

/// One file, as it is served.
#[derive(Debug)]
struct Asset {
    content_type: &'static str,
    text: &'static str,
    /// Of what it holds, so that a browser asks again and is sent nothing while it stays the same.
    etag: String,
}

impl Console {
    /// The page of this version.
    #[must_use]
    pub fn new() -> Self {
        let asset = |(name, text): &(&str, &'static str)| (path(name), Asset::new(name, text));
        Self(FILES.iter().map(asset).collect())
    }

    /// Every path that is served.
    pub fn paths() -> impl Iterator<Item = String> {
        FILES.iter().map(|(name, _)| path(name))
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Endpoint for Console {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let missing = || ApiError::new(Code::NotFound, "the console has no such file");
        let asset = self.0.get(request.uri().path()).ok_or_else(missing)?;
        Ok(asset.answer(request.headers()))
    }
}

impl Asset {
    fn new(name: &str, text: &'static str) -> Self {
        let content_type = match extension(name) {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        };
        let digest = BASE64URL_NOPAD.encode(&sha256(text.as_bytes()));
        Self {
            content_type,
            text,
            etag: format!("\"{digest}\""),
        }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let known = asked.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let response = Response::builder()
            .header(ETAG, &self.etag)
            .header(CACHE_CONTROL, "no-cache")
            .header(CONTENT_SECURITY_POLICY, POLICY)
            .header(OPENER_POLICY, "same-origin");
        if known.is_some_and(|tags| tags.contains(&self.etag)) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response.content_type(self.content_type).body(self.text)
    }
}

/// Where a file is served: the page itself at the top.
fn path(name: &str) -> String {
    match name {
        "index.html" => "/console".to_owned(),
        _ => format!("/console/{name}"),
    }
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Files of `page/`, each with what it holds.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("page/", $name)))),+]
    };
}

const FILES: &[(&str, &str)] = files![
    "index.html",
    "base.css",
    "parts.css",
    "tables.css",
    "dialogs.css",
    "chart.css",
    "views.css",
    "console.js",
    "accounts.js",
    "book.js",
    "chart.js",
    "dialog.js",
    "dom.js",
    "format.js",
    "job.js",
    "jobs.js",
    "keyform.js",
    "keys.js",
    "live.js",
    "overview.js",
    "parts.js",
    "queues.js",
    "relay.js",
    "table.js",
    "usage.js",
];

/// Only what comes from here runs, and it talks to nobody else. Nothing inline: what an upstream or a client has named can
/// never become a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_names_no_other_host() {
        let bytes: usize = FILES.iter().map(|(_, text)| text.len()).sum();
        assert!(bytes < 150_000, "{bytes}");
        for (name, text) in FILES {
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("://"), "{name} names a host");
        }
    }

    #[test]
    fn whatever_a_file_loads_is_served() {
        let served: Vec<_> = Console::paths().collect();
        for (name, text) in FILES {
            let quoted = text.split('"').filter(|word| !word.contains(char::is_whitespace));
            for file in quoted.filter(|word| matches!(extension(word), "js" | "css")) {
                let plain = file.trim_start_matches("./").trim_start_matches("console/");
                assert!(served.contains(&path(plain)), "{name} loads {file}");
            }
        }
    }

    #[test]
    fn nothing_is_written_as_markup() {
        for (name, text) in FILES.iter().filter(|(name, _)| extension(name) == "js") {
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(way), "{name} uses {way}");
            }
            for store in ["localStorage", "sessionStorage", "indexedDB", "document.cookie"] {
                assert!(!text.contains(store), "{name} uses {store}");
            }
        }
    }

    #[test]
    fn a_browser_that_has_a_file_is_not_sent_it_again() {
        let console = Console::new();
        let page = &console.0["/console"];
        let mut asked = HeaderMap::new();
        assert_eq!(page.answer(&asked).status(), StatusCode::OK);
        asked.insert(IF_NONE_MATCH, page.etag.parse().unwrap());
        assert_eq!(page.answer(&asked).status(), StatusCode::NOT_MODIFIED);
    }
}
