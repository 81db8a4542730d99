//! What paths there are: their labels in metrics, and their methods for `Allow`.

use poem_openapi::registry::MetaApi;

/// Every path, with its methods as `Allow` lists them.
#[derive(Debug)]
pub struct Routes(Vec<Route>);

#[derive(Debug)]
struct Route {
    label: &'static str,
    segments: Vec<&'static str>,
    methods: String,
}

impl Routes {
    /// The operations of the document, and the plain routes beside them.
    #[must_use]
    pub fn new(operations: Vec<MetaApi>, plain: &[&'static str]) -> Self {
        let mut routes: Vec<Route> = plain
            .iter()
            .map(|path| Route::new(path, "GET, HEAD".to_owned()))
            .collect();
        for path in operations.into_iter().flat_map(|api| api.paths) {
            let mut methods: Vec<String> = path
                .operations
                .iter()
                .map(|op| op.method.to_string().to_uppercase())
                .collect();
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            // Paths live as long as the process: one small leak a route, at start.
            routes.push(Route::new(String::leak(path.path), methods.join(", ")));
        }
        // As poem does it: `/admin/keys/import` is not an `{id}`.
        routes.sort_by_key(|route| route.label.contains('{'));
        Self(routes)
    }

    /// The route's pattern, or `unmatched`.
    #[must_use]
    pub fn label(&self, path: &str) -> &'static str {
        self.find(path).map_or("unmatched", |route| route.label)
    }

    /// The methods of the path, as `Allow` lists them.
    #[must_use]
    pub fn methods(&self, path: &str) -> &str {
        self.find(path).map_or("", |route| &route.methods)
    }

    fn find(&self, path: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.matches(path))
    }
}

impl Route {
    fn new(label: &'static str, methods: String) -> Self {
        Self {
            label,
            segments: label.split('/').collect(),
            methods,
        }
    }

    fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let same = self.segments.iter().all(|segment| {
            parts
                .next()
                .is_some_and(|part| segment.starts_with('{') && !part.is_empty() || *segment == part)
        });
        same && parts.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_labelled_by_its_pattern() {
        let routes = Routes::new(Vec::new(), &["/", "/health", "/admin/keys/{id}", "/admin/keys/import"]);
        assert_eq!(routes.label("/"), "/");
        assert_eq!(routes.label("/admin/keys/key_1"), "/admin/keys/{id}");
        assert_eq!(routes.label("/admin/keys/import"), "/admin/keys/import");
        assert_eq!(routes.label("/admin/keys/"), "unmatched");
        assert_eq!(routes.label("/health/x"), "unmatched");
        assert_eq!(routes.methods("/health"), "GET, HEAD");
    }
}
