//! Lists of the admin interface, which come in pages.

use comfy_table::Cell;
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::CliError;
use super::output::Show;
use super::table::{Look, fields, state};
use super::target::Target;

/// One page of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Page<T> {
    /// What is on it, in the server's order.
    pub(super) items: Vec<T>,
    /// Where the next page begins; none after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A sentence on how to read on, below a table; nothing after the last page.
    pub(super) fn rest(&self) -> String {
        match &self.next_cursor {
            Some(cursor) => format!("\nThere are more: --cursor {cursor}\n"),
            None => String::new(),
        }
    }
}

impl<T: DeserializeOwned> Page<T> {
    /// The page of `path` that `filters` describe; those without a value are left out.
    ///
    /// # Errors
    /// What the server refuses, or that it cannot be reached.
    pub(super) async fn get(target: &Target, path: &str, filters: &[(&str, Option<&str>)]) -> Result<Self, CliError> {
        target.get(&with_query(path, filters)).await
    }

    /// Every item of `path`, for lists that stay small.
    ///
    /// # Errors
    /// As [`Page::get`].
    pub(super) async fn all(target: &Target, path: &str) -> Result<Self, CliError> {
        let mut whole = Self {
            items: Vec::new(),
            next_cursor: None,
        };
        loop {
            let cursor = whole.next_cursor.take();
            let page = Self::get(target, path, &[("limit", Some("100")), ("cursor", cursor.as_deref())]).await?;
            whole.items.extend(page.items);
            // A cursor that does not move would never end.
            if page.next_cursor.is_none() || page.next_cursor == cursor {
                return Ok(whole);
            }
            whole.next_cursor = page.next_cursor;
        }
    }
}

/// `path` with a query made of the filters that have a value, percent-encoded.
pub(super) fn with_query(path: &str, filters: &[(&str, Option<&str>)]) -> String {
    let filters: Vec<_> = filters
        .iter()
        .filter_map(|(name, value)| value.map(|value| (*name, value)))
        .collect();
    let Ok(url) = Url::parse_with_params("http://tollgate", &filters) else {
        return path.to_owned();
    };
    match url.query() {
        Some(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// The path of what is called `name` below `path`, percent-encoded: a model's name may hold slashes.
pub(super) fn below(path: &str, name: &str) -> String {
    let Ok(mut url) = Url::parse("http://tollgate") else {
        return path.to_owned();
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(name);
    }
    format!("{path}{}", url.path())
}

/// Something that was removed just now.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Removed {
    id: String,
    status: String,
}

impl Show for Removed {
    fn text(&self, look: Look) -> String {
        fields(vec![("id", Cell::new(&self.id)), ("status", state(&self.status))], look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_slashes_is_one_segment_of_a_path() {
        assert_eq!(
            below("/admin/models", "qwen/qwen3 80b"),
            "/admin/models/qwen%2Fqwen3%2080b"
        );
    }

    #[test]
    fn a_query_holds_the_given_filters_encoded() {
        assert_eq!(
            with_query("/x", &[("a", Some("1 2&=")), ("b", None), ("c", Some("é"))]),
            "/x?a=1+2%26%3D&c=%C3%A9"
        );
        assert_eq!(with_query("/x", &[("b", None)]), "/x");
    }
}
