//! Who may come in: every operation but the open ones takes an [`Authorized`] first.
//!
//! It does the cheap checks, reads the body, and only then verifies the credential over it, so that no handler ever sees
//! an unauthenticated body and no stranger makes us read one.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use poem::{Request, RequestBody};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, MetaSecurityScheme, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::edge::Arrival;
use super::error::{ApiError, Code};
use super::{Services, strict};
use crate::auth::{Parts, Plane};
use crate::crypto::digest::sha256;
use crate::model::caller::{Caller, Identity};
use crate::model::key::Scope;
use crate::model::origin::Origin;
use crate::telemetry::fields;

/// What an operation demands of its caller.
pub trait Demand: Send + Sync + 'static {
    /// The scope.
    const SCOPE: Scope;
    /// The plane it lies in.
    const PLANE: Plane;
}

/// The data plane.
#[derive(Debug)]
pub struct ToRelay;

impl Demand for ToRelay {
    const SCOPE: Scope = Scope::Relay;
    const PLANE: Plane = Plane::Data;
}

/// Durable jobs, in the data plane.
#[derive(Debug)]
pub struct ToJobs;

impl Demand for ToJobs {
    const SCOPE: Scope = Scope::Jobs;
    const PLANE: Plane = Plane::Data;
}

/// The admin plane.
#[derive(Debug)]
pub struct ToAdmin;

impl Demand for ToAdmin {
    const SCOPE: Scope = Scope::Admin;
    const PLANE: Plane = Plane::Admin;
}

/// What kind of body an operation takes.
pub trait TakesBody: Sized + Send {
    /// What the extractor stands for in the document.
    const TYPES: &'static [ApiExtractorType];

    /// Its place in the document.
    fn meta() -> Option<MetaRequest>;

    /// Registers its schema.
    fn register(registry: &mut Registry);

    /// Out of the bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    fn parse(request: &Request, bytes: Bytes) -> Result<Self, ApiError>;
}

/// No body: whatever comes is read, bounded, and covered by a signature, and otherwise ignored.
#[derive(Debug)]
pub struct NoBody;

impl TakesBody for NoBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    fn meta() -> Option<MetaRequest> {
        None
    }

    fn register(_registry: &mut Registry) {}

    fn parse(_request: &Request, _bytes: Bytes) -> Result<Self, ApiError> {
        Ok(Self)
    }
}

/// A relayed body as it came, of any content type, or none.
impl TakesBody for Bytes {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::RequestObject];

    fn meta() -> Option<MetaRequest> {
        None
    }

    fn register(_registry: &mut Registry) {}

    fn parse(_request: &Request, bytes: Bytes) -> Result<Self, ApiError> {
        Ok(bytes)
    }
}

/// The same, with the schema that the document gives it.
#[derive(Debug)]
pub struct Raw<S> {
    bytes: Bytes,
    schema: PhantomData<fn() -> S>,
}

impl<S> From<Raw<S>> for Bytes {
    fn from(raw: Raw<S>) -> Self {
        raw.bytes
    }
}

impl<S: Type> TakesBody for Raw<S> {
    const TYPES: &'static [ApiExtractorType] = <Bytes as TakesBody>::TYPES;

    fn meta() -> Option<MetaRequest> {
        let content = MetaMediaType {
            content_type: "application/json",
            schema: S::schema_ref(),
        };
        Some(MetaRequest {
            description: None,
            content: vec![content],
            required: true,
        })
    }

    fn register(registry: &mut Registry) {
        S::register(registry);
    }

    fn parse(_request: &Request, bytes: Bytes) -> Result<Self, ApiError> {
        Ok(Self {
            bytes,
            schema: PhantomData,
        })
    }
}

impl<T: ParseFromJSON + Send> TakesBody for Json<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::RequestObject];

    fn meta() -> Option<MetaRequest> {
        let schema: MetaSchemaRef = <Self as Payload>::schema_ref();
        let content = MetaMediaType {
            content_type: "application/json",
            schema,
        };
        Some(MetaRequest {
            description: None,
            content: vec![content],
            required: T::IS_REQUIRED,
        })
    }

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn parse(request: &Request, bytes: Bytes) -> Result<Self, ApiError> {
        let value = if bytes.is_empty() {
            serde_json::Value::Object(serde_json::Map::new())
        } else {
            let named = request
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok());
            if !named.is_some_and(<Self as Payload>::check_content_type) {
                return Err(ApiError::new(
                    Code::UnsupportedMediaType,
                    "the body must be application/json",
                ));
            }
            serde_json::from_slice(&bytes)
                .map_err(|error| ApiError::validation(format!("the body is no JSON: {error}")))?
        };
        strict::check::<T>(&value)?;
        T::parse_from_json(Some(value))
            .map(Json)
            .map_err(|error| ApiError::validation(error.into_message()))
    }
}

/// An authenticated request with its body.
pub struct Authorized<D, B> {
    /// Who asks.
    pub caller: Caller,
    /// With what.
    pub body: B,
    /// How it came.
    pub arrival: Arrival,
    /// Whom to ask.
    pub services: Arc<Services>,
    demand: PhantomData<D>,
}

impl<'a, D: Demand, B: TakesBody> ApiExtractor<'a> for Authorized<D, B> {
    const TYPES: &'static [ApiExtractorType] = B::TYPES;

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        B::register(registry);
        for (name, scheme) in SCHEMES {
            registry.create_security_scheme(name, scheme());
        }
    }

    fn security_schemes() -> Vec<&'static str> {
        SCHEMES.iter().map(|(name, _)| *name).collect()
    }

    fn request_meta() -> Option<MetaRequest> {
        B::meta()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(authorize::<D, B>(request, body).await?)
    }
}

/// A request that anybody may make.
pub struct Anybody(pub Arc<Services>);

impl<'a> poem::FromRequest<'a> for Anybody {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(services(request).map(Arc::clone).map(Self)?)
    }
}

fn services(request: &Request) -> Result<&Arc<Services>, ApiError> {
    request
        .data()
        .ok_or_else(|| ApiError::new(Code::InternalError, "the request reached no service"))
}

/// Does the cheap checks, reads the body, verifies the credential over it, and reads the body's content.
///
/// # Errors
/// [`ApiError`], with nothing read where the cheap checks fail.
pub(super) async fn authorize<D: Demand, B: TakesBody>(
    request: &Request,
    body: &mut RequestBody,
) -> Result<Authorized<D, B>, ApiError> {
    let services = services(request)?;
    let arrival = Arrival::of(request)?;
    let body = body.take().unwrap_or_else(|_| poem::Body::empty());
    if D::PLANE == Plane::Admin && matches!(request.extensions().get::<Origin>(), Some(Origin::Control { .. })) {
        let bytes = services.bodies.read(request, body).await?;
        let caller = Caller::administrator(Identity::ControlSocket);
        let body = B::parse(request, bytes)?;
        return Ok(Authorized {
            caller,
            body,
            arrival,
            services: Arc::clone(services),
            demand: PhantomData,
        });
    }
    let parts = Parts {
        method: request.method(),
        uri: request.original_uri(),
        headers: request.headers(),
    };
    let refuse = |error: crate::auth::AuthError| {
        if let Some(refusal) = error.refusal() {
            services.recorder.refuse(refusal);
        }
        ApiError::from(error)
    };
    let presented = services.authenticator.inspect(&parts, D::PLANE).map_err(refuse)?;
    let bytes = services.bodies.read(request, body).await?;
    let hash = if presented.needs_body_hash() {
        sha256(&bytes)
    } else {
        [0; 32]
    };
    let caller = services
        .authenticator
        .verify(&presented, &parts, &hash, D::SCOPE)
        .map_err(refuse)?;
    if D::PLANE == Plane::Admin {
        // A relayed call names its key together with its operation.
        tracing::Span::current().record(fields::KEY_ID, tracing::field::display(caller.identity));
    }
    let body = B::parse(request, bytes)?;
    Ok(Authorized {
        caller,
        body,
        arrival,
        services: Arc::clone(services),
        demand: PhantomData,
    })
}

/// Describes a way to prove a key.
type Describe = fn() -> MetaSecurityScheme;

/// The three ways to prove a key, any of which is enough.
const SCHEMES: [(&str, Describe); 3] = [
    ("Bearer", || MetaSecurityScheme {
        scheme: Some("bearer"),
        bearer_format: Some("sk_…"),
        ..scheme(
            "http",
            "The secret key of a client key, or `ADMIN_TOKEN`, as `Authorization: Bearer …`.",
        )
    }),
    ("ApiKey", || MetaSecurityScheme {
        name: Some("X-Api-Key"),
        key_in: Some("header"),
        ..scheme("apiKey", "The secret key of a client key as `X-Api-Key`.")
    }),
    ("Signature", || MetaSecurityScheme {
        name: Some("Authorization"),
        key_in: Some("header"),
        ..scheme(
            "apiKey",
            "Volcengine's HMAC-SHA256 (or AWS SigV4) over method, path, query, headers and body, with `X-Date`: what Volcengine's SDKs send.",
        )
    }),
];

const fn scheme(ty: &'static str, description: &'static str) -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty,
        description: Some(description),
        name: None,
        key_in: None,
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    }
}
