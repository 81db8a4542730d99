//! The document: what it says of the service as a whole.

use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService, Tags};

/// The groups of operations.
#[derive(Tags)]
pub enum Tag {
    /// Volcengine's visual API, relayed byte for byte.
    Volcengine,
    /// OpenAI's API, relayed byte for byte.
    #[oai(rename = "OpenAI")]
    OpenAi,
    /// Films, made in the background, in OpenAI's shape.
    Videos,
    /// Work that is done in the background.
    Jobs,
    /// The models that a key may use.
    Models,
    /// What a key sees of itself.
    Own,
    /// Client keys.
    Keys,
    /// Upstreams, their accounts, and the models.
    Upstreams,
    /// Every owner's submits.
    Tasks,
    /// What was used, and what it cost.
    Usage,
    /// The log book.
    Audit,
    /// Queues, every owner's jobs, and the process.
    Operator,
    /// Health, readiness, metrics.
    Operations,
    /// Questions about images.
    Vision,
}

/// The service with its title, version and licence.
pub(super) fn service<T: OpenApi>(api: T) -> OpenApiService<T, ()> {
    OpenApiService::new(api, "Tollgate", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .contact(ContactObject::new().name("Tollgate").url(env!("CARGO_PKG_REPOSITORY")))
        .license(LicenseObject::new("MIT").url("https://opensource.org/license/mit"))
        .server("/")
}

const DESCRIPTION: &str = "A relay for paid AI APIs: clients hold keys that Tollgate issued, and Tollgate alone holds the \
    provider's credentials. Every paid call is authenticated, admitted, written down durably, sent, and settled.\n\n\
    Errors have one envelope on every route. `X-Request-Id` is in every answer. Another method of a path is \
    answered with 405 and `Allow`.";
