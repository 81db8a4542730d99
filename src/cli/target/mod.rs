//! The admin interface as commands see it, wherever it is: one piece of code serves a store at rest, a store that a
//! server holds, and a server elsewhere.

mod answer;
mod remote;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use self::remote::RemoteServer;
use super::error::{CliError, innermost};
use super::reach::Remote;
use crate::app::{self, Offline};
use crate::config::Config;
use crate::server::control;

pub(super) use self::answer::Answer;
pub(super) use self::remote::client;

/// A way to the admin interface.
pub(super) enum Target {
    /// No server runs: the store is open in this process.
    InProcess(Box<Offline>),
    /// A server of this machine, or of another container on the same volume, holds the store.
    Socket {
        /// The store, beside which the socket is.
        database: PathBuf,
    },
    /// A server elsewhere.
    Remote(RemoteServer),
}

impl Target {
    /// The store of `config`: opened here where it is free, else through the control socket of its holder.
    ///
    /// # Errors
    /// [`CliError::Start`] where the store cannot be opened, [`CliError::Held`] where its holder does not answer.
    pub(super) async fn local(config: &Config) -> Result<Self, CliError> {
        let opened = choose(
            || async {
                match app::offline(config.clone()).await {
                    Ok(offline) => Ok(Found::Free(Box::new(offline))),
                    Err(error) => match error.busy() {
                        Some(database) => Ok(Found::Held(database.to_owned())),
                        None => Err(error.into()),
                    },
                }
            },
            async |database| control::call(database, probe()).await.map(drop),
        );
        Ok(match opened.await? {
            Found::Free(offline) => Self::InProcess(offline),
            Found::Held(database) => Self::Socket { database },
        })
    }

    /// A server elsewhere.
    ///
    /// # Errors
    /// [`CliError::System`] where the machine's certificates cannot be read.
    pub(super) fn remote(remote: Remote) -> Result<Self, CliError> {
        RemoteServer::new(remote).map(Self::Remote)
    }

    /// Reads what stands at `path`.
    ///
    /// # Errors
    /// As [`Target::send`].
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.send(Method::GET, path, Bytes::new()).await?.json().await
    }

    /// Reads what stands at `path`, piece by piece.
    ///
    /// # Errors
    /// As [`Target::send`].
    pub(super) async fn stream(&self, path: &str) -> Result<Answer, CliError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Posts nothing to `path`.
    ///
    /// # Errors
    /// As [`Target::send`].
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.send(Method::POST, path, Bytes::new()).await?.json().await
    }

    /// Removes what stands at `path`.
    ///
    /// # Errors
    /// As [`Target::send`].
    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.send(Method::DELETE, path, Bytes::new()).await?.json().await
    }

    /// Sends `body` as JSON to `path`.
    ///
    /// # Errors
    /// As [`Target::send`].
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        let body = super::output::compact(body);
        self.send(method, path, body.into()).await?.json().await
    }

    /// Sends one request.
    ///
    /// # Errors
    /// [`CliError::Refused`] with the server's own words, [`CliError::Foreign`] for an answer that is not Tollgate's,
    /// [`CliError::Unreachable`] where none came.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, CliError> {
        let response = match self {
            Self::InProcess(offline) => {
                let response = offline.call(request(method, path, body)?).await;
                Answer::new(response.map(BoxBody::from), "the store")
            }
            Self::Socket { database } => {
                let request = request(method, path, body)?.map(Full::new);
                let response = control::call(database, request)
                    .await
                    .map_err(|error| CliError::Unreachable {
                        server: "the server that holds the store".to_owned(),
                        reason: innermost(&error),
                    })?;
                Answer::new(response, "the server that holds the store")
            }
            Self::Remote(server) => server.send(method, path, body).await?,
        };
        response.accepted().await
    }

    /// Whether this process alone holds the store, so that nothing can be added to it meanwhile.
    pub(super) const fn is_at_rest(&self) -> bool {
        matches!(self, Self::InProcess(_))
    }

    /// Closes the store if this process has opened it.
    pub(super) async fn close(self) {
        if let Self::InProcess(offline) = self {
            offline.close().await;
        }
    }
}

fn request(method: Method, path: &str, body: Bytes) -> Result<Request<Bytes>, CliError> {
    let has_body = !body.is_empty();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(body)
        .map_err(|error| CliError::Usage(format!("{path} cannot be asked for: {error}")))?;
    if has_body {
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(request)
}

/// What a server answers whatever its state.
fn probe() -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::from_static("/health");
    request
}

/// What an attempt to open the store found.
#[derive(Debug, PartialEq, Eq)]
enum Found<T> {
    /// Nobody held it; it is open now.
    Free(T),
    /// Another process holds it.
    Held(PathBuf),
}

/// Tries the store, then its holder's socket, and both again for a moment where neither answers: a server that starts
/// or ends, or another command, holds the store only briefly without a socket.
async fn choose<T>(
    open: impl AsyncFn() -> Result<Found<T>, CliError>,
    probe: impl AsyncFn(&Path) -> io::Result<()>,
) -> Result<Found<T>, CliError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let database = match open().await? {
            Found::Held(database) => database,
            free @ Found::Free(_) => return Ok(free),
        };
        match probe(&database).await {
            Ok(()) => return Ok(Found::Held(database)),
            Err(error) if is_passing(&error) && Instant::now() < deadline => sleep(PAUSE).await,
            Err(reason) => return Err(CliError::Held { database, reason }),
        }
    }
}

/// Whether the socket may answer, or the store be free, a moment later.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::UnexpectedEof
    )
}

/// How long a held store without a socket is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use poem::{Endpoint, Response};
    use serde_json::{Value, json};

    use super::*;
    use crate::model::secret::Secret;
    use crate::server::control::ControlSocket;
    use crate::server::{Limits, Server};

    /// A server whose only answer is how it was asked.
    fn echo() -> Server<impl Endpoint<Output = Response>> {
        let endpoint = poem::endpoint::make_sync(|request: poem::Request| {
            let authorization = request.header("authorization").unwrap_or("none").to_owned();
            Response::builder()
                .body(json!([request.method().as_str(), request.uri().path(), authorization]).to_string())
        });
        Server::new(Arc::new(endpoint), Limits::default())
    }

    #[tokio::test]
    async fn a_command_speaks_to_the_server_that_holds_the_store_through_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("t.redb");
        let server = echo();
        server.listen_control(ControlSocket::bind(&database).unwrap());

        let target = Target::Socket { database };
        let answer: Value = target.get("/admin/keys").await.unwrap();

        assert_eq!(answer, json!(["GET", "/admin/keys", "none"]));
    }

    #[tokio::test]
    async fn a_command_speaks_to_a_server_elsewhere_with_its_token_and_under_its_path() {
        let server = echo();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/relay/", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        server.listen(listener).unwrap();

        let target = Target::remote(Remote {
            url: url.parse().unwrap(),
            token: Secret::new("sk_1".to_owned()),
        });
        let answer: Value = target
            .unwrap()
            .put(Method::POST, "/admin/keys", &json!({}))
            .await
            .unwrap();

        assert_eq!(answer, json!(["POST", "/relay/admin/keys", "Bearer sk_1"]));
    }

    fn held() -> Found<()> {
        Found::Held(PathBuf::from("t.redb"))
    }

    #[tokio::test]
    async fn a_free_store_is_opened_here() {
        let chosen = choose(async || Ok(Found::Free(7)), async |_| panic!("nobody holds it")).await;
        assert_eq!(chosen.unwrap(), Found::Free(7));
    }

    #[tokio::test]
    async fn a_held_store_is_reached_through_its_holders_socket() {
        let chosen = choose(
            async || Ok(held()),
            async |database| {
                assert_eq!(database, Path::new("t.redb"));
                Ok(())
            },
        );
        assert_eq!(chosen.await.unwrap(), Found::Held("t.redb".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_without_a_socket_is_waited_for() {
        let attempts = Cell::new(0);
        let chosen = choose(
            async || {
                attempts.set(attempts.get() + 1);
                Ok(if attempts.get() < 5 { held() } else { Found::Free(()) })
            },
            async |_| Err(io::ErrorKind::NotFound.into()),
        );
        assert_eq!(chosen.await.unwrap(), Found::Free(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_never_answers_is_named_in_a_sentence() {
        let error = choose(
            async || Ok(held()),
            async |_| Err(io::ErrorKind::ConnectionRefused.into()),
        )
        .await
        .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("another process holds t.redb and answers on no control socket"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn another_users_socket_is_not_waited_for() {
        let error = choose(
            async || Ok(held()),
            async |_| Err(io::ErrorKind::PermissionDenied.into()),
        )
        .await;
        assert!(matches!(error, Err(CliError::Held { .. })));
    }
}
