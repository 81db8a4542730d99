//! One request to a receiver.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use super::egress::Judged;
use crate::model::http_url::{Host, Scheme};
use crate::model::webhook::{Failure, WebhookUrl};

/// Posts to receivers: over a connection of its own each time, to an address that was judged, without a proxy and
/// without following where the receiver points.
#[derive(Default)]
pub(super) struct Sender {
    /// Made with the first delivery that needs it: most servers send none, and certificates take memory.
    tls: OnceLock<ClientConfig>,
}

impl Sender {
    /// Posts JSON to `url` at the first of its judged addresses that takes a connection. Of the answer only the status
    /// is read.
    ///
    /// # Errors
    /// [`Failure`] when there is no answer.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the receiver may have read the request.
    pub(super) async fn post(
        &self,
        url: &WebhookUrl,
        to: &Judged,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<StatusCode, Failure> {
        let posting = async {
            let patience = CONNECT_TIMEOUT / u32::try_from(to.addresses().len()).unwrap_or(1).max(1);
            for address in to.addresses() {
                let client = self.client(url, patience)?;
                let request = request(url, *address, headers.clone(), body.clone()).ok_or(Failure::Unsendable)?;
                match client.request(request).await {
                    // The body is not waited for: it would change nothing, and may never end.
                    Ok(response) => return Ok(response.status()),
                    Err(error) if error.is_connect() => {}
                    Err(_) => return Err(Failure::Broken),
                }
            }
            Err(Failure::Connect)
        };
        timeout(TIMEOUT, posting).await.unwrap_or(Err(Failure::Timeout))
    }

    /// A client for one connection. It is given addresses only, so it has nothing to resolve; the receiver's
    /// certificate must be for the name in the URL all the same.
    fn client(
        &self,
        url: &WebhookUrl,
        patience: Duration,
    ) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, Failure> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(patience));
        tcp.enforce_http(false);
        let name = match url.host() {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Failure::Unsendable)?,
            Host::Address(address) => ServerName::from(*address),
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls(url.scheme())?)
            .https_or_http()
            .with_server_name_resolver(FixedServerNameResolver::new(name))
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(connector))
    }

    fn tls(&self, scheme: Scheme) -> Result<ClientConfig, Failure> {
        if let Some(made) = self.tls.get() {
            return Ok(made.clone());
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| Failure::Unsendable)?;
        if scheme == Scheme::Http {
            let no_roots = rustls::RootCertStore::empty();
            return Ok(builder.with_root_certificates(no_roots).with_no_client_auth());
        }
        let with_roots = builder.with_native_roots().map_err(|error| {
            tracing::error!(error = %error, "the machine's certificates cannot be read, so no webhook can be sent");
            Failure::Unsendable
        })?;
        Ok(self.tls.get_or_init(|| with_roots.with_no_client_auth()).clone())
    }
}

/// The request as it goes to one address: the URL names the address, `host` the host.
fn request(url: &WebhookUrl, address: SocketAddr, headers: HeaderMap, body: Bytes) -> Option<Request<Full<Bytes>>> {
    let scheme = match url.scheme() {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let path = url
        .uri()
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    let uri: Uri = format!("{scheme}://{address}{path}").parse().ok()?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let host = HeaderValue::from_str(url.uri().authority()?.as_str()).ok()?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    Some(request)
}

const AGENT: &str = concat!("Tollgate/", env!("CARGO_PKG_VERSION"));

/// For all addresses of a name together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// From the first connection to the status.
const TIMEOUT: Duration = Duration::from_secs(15);
