//! The document: what it says of the service as a whole.

use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService, Tags};

/// The groups of operations: each is a class of the generated clients, so its name is one word, and the ids of its
/// operations begin with that word.
#[derive(Tags)]
pub enum Tag {
    /// OpenAI's API, relayed byte for byte.
    #[oai(rename = "OpenAI")]
    OpenAi,
    /// The models that a key may use, and where the operator has them served.
    Models,
    /// Volcengine's visual API, relayed byte for byte.
    Volcengine,
    /// Questions about images.
    Vision,
    /// Films, made in the background, in OpenAI's shape.
    Videos,
    /// Work that is done in the background.
    Jobs,
    /// What a key sees of itself.
    Me,
    /// Client keys.
    Keys,
    /// Upstreams: the providers' addresses.
    Upstreams,
    /// The accounts of the upstreams.
    Accounts,
    /// The log book.
    Audit,
    /// The queues of jobs, the gates of accounts, and dead letters.
    Queues,
    /// Every owner's jobs and submits, and the process.
    Operator,
    /// Health, readiness, metrics.
    Probes,
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
