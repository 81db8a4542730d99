//! Names of models in paths: they may hold slashes, which poem's routes take for the end of a segment.

use http::Uri;
use http::uri::PathAndQuery;

/// The same address with the slashes of a model's name written `%2F`, so that the name is one segment.
///
/// `None` where nothing needs to be rewritten. Signatures are checked over the address as it came.
pub(super) fn escape(uri: &Uri) -> Option<Uri> {
    let path = match uri.path().strip_prefix(SHOWN) {
        Some(rest) => match rest.strip_suffix(INFO) {
            Some(name) => format!("{SHOWN}{}{INFO}", one_segment(name)?),
            None => format!("{SHOWN}{}", one_segment(rest)?),
        },
        None => format!("{REGISTERED}{}", one_segment(uri.path().strip_prefix(REGISTERED)?)?),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path + &query).ok();
    Uri::from_parts(parts).ok()
}

/// The name with its slashes escaped, if it has any.
fn one_segment(name: &str) -> Option<String> {
    name.contains('/').then(|| name.replace('/', "%2F"))
}

/// Where clients look a model up.
const SHOWN: &str = "/v1/models/";
/// What follows the name where its limits are asked for. No name ends so: `/info` is then this.
const INFO: &str = "/info";
/// Where the operator changes one.
const REGISTERED: &str = "/admin/models/";

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(uri: &str) -> Option<String> {
        escape(&uri.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn the_slashes_of_a_name_are_escaped_and_its_query_stays() {
        for (plain, expected) in [
            ("/v1/models/a/b", "/v1/models/a%2Fb"),
            ("/v1/models/a/b/c?x=/y", "/v1/models/a%2Fb%2Fc?x=/y"),
            ("/v1/models/a/b/info", "/v1/models/a%2Fb/info"),
            ("/v1/models/a%2Fb/c", "/v1/models/a%2Fb%2Fc"),
            ("/admin/models/a/b", "/admin/models/a%2Fb"),
            ("/admin/models/a/info", "/admin/models/a%2Finfo"),
            (
                "http://relay.example/v1/models/a/b",
                "http://relay.example/v1/models/a%2Fb",
            ),
        ] {
            assert_eq!(escaped(plain).as_deref(), Some(expected), "{plain}");
        }
    }

    #[test]
    fn what_needs_no_escape_stays_as_it_came() {
        for path in [
            "/v1/models",
            "/v1/models/",
            "/v1/models/a",
            "/v1/models/a/info",
            "/v1/models/a%2Fb/info",
            "/v1/models//info",
            "/admin/models/a",
            "/v1/chat/completions",
            "/v2/v1/models/a/b",
            "*",
        ] {
            assert_eq!(escaped(path), None, "{path}");
        }
    }
}
