//! An endpoint that can be replaced while the server runs.

use arc_swap::ArcSwap;
use poem::endpoint::{BoxEndpoint, EndpointExt};
use poem::{Endpoint, Request, Response, Result};

/// Answers with the endpoint last put in.
///
/// The port is bound before the store is opened, so the first endpoint answers health checks and "starting", and the
/// real one follows. A request stays with the endpoint it began on.
pub struct LiveEndpoint {
    current: ArcSwap<BoxEndpoint<'static>>,
}

impl LiveEndpoint {
    /// Answers with `first` until it is replaced.
    #[must_use]
    pub fn new(first: impl Endpoint<Output = Response> + 'static) -> Self {
        Self {
            current: ArcSwap::from_pointee(first.boxed()),
        }
    }

    /// From now on answers with `next`. The previous endpoint is dropped when its last request ends.
    pub fn replace(&self, next: impl Endpoint<Output = Response> + 'static) {
        self.current.store(std::sync::Arc::new(next.boxed()));
    }
}

impl Endpoint for LiveEndpoint {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let current = self.current.load_full();
        current.call(request).await
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make_sync;

    use super::*;

    #[tokio::test]
    async fn a_replaced_endpoint_answers_the_next_request() {
        let live = LiveEndpoint::new(make_sync(|_| Response::from("starting")));
        live.replace(make_sync(|_| Response::from("started")));

        let response = live.get_response(Request::default()).await;

        assert_eq!(response.into_body().into_string().await.unwrap(), "started");
    }
}
