//! A store that no server holds, opened for a command: the same routes, without a listener.

use std::time::Duration;

use bytes::Bytes;
use poem::endpoint::{BoxEndpoint, EndpointExt};
use poem::{Body, Endpoint, Request};

use super::error::StartError;
use super::{App, Outside, StoreSource, master_keys, moving};
use crate::config::Config;
use crate::model::origin::Origin;
use crate::store::{Inspection, Store};

/// A store opened for a command.
pub struct Offline {
    app: App,
    endpoint: BoxEndpoint<'static>,
}

/// Opens the store of `config`, if no other process holds it.
///
/// # Errors
/// [`StartError`]; [`StartError::busy`] tells whether another process holds it.
pub async fn offline(config: Config) -> Result<Offline, StartError> {
    let app = App::open(&config, &Outside::real()?, StoreSource::File, Box::new(|| 0)).await?;
    let endpoint = app.endpoint().boxed();
    Ok(Offline { app, endpoint })
}

/// Looks at the store of `config` without changing it, if no other process holds it. Blocks.
///
/// # Errors
/// As [`offline`].
pub fn inspect(config: &Config) -> Result<Inspection, StartError> {
    let place = moving::place(&config.store.location)?;
    Ok(Store::inspect(&place.store, &|id| master_keys(config, id))?)
}

impl Offline {
    /// Answers one request as the control socket would: its caller may administer everything.
    pub async fn call(&self, request: http::Request<Bytes>) -> http::Response<Body> {
        let (head, body) = request.into_parts();
        let mut request = Request::builder()
            .method(head.method)
            .uri(head.uri)
            .extension(Origin::Control {
                uid: nix::unistd::getuid().as_raw(),
            })
            .body(body);
        *request.headers_mut() = head.headers;
        let (head, body) = self.endpoint.get_response(request).await.into_parts();
        let mut response = http::Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
    }

    /// Closes the store in order.
    pub async fn close(self) {
        drop(self.endpoint);
        self.app.close(Duration::ZERO).await;
    }
}
