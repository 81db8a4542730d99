//! Fetching what a task made from where the provider keeps it.
//!
//! A URL out of a provider's reply is still a stranger's word. We go only where the provider keeps its media, over
//! TLS, to the public internet, and hand on nothing but pictures and films.

mod body;
mod hosts;
mod kind;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, LOCATION, RANGE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub use self::body::MediaBody;
pub use self::hosts::{MediaHosts, Place};
pub use self::kind::MediaKind;

use super::error::UpstreamError;
use super::transport::{Network, Opened};
use crate::model::address::is_public;

/// Fetches media.
pub struct MediaSource {
    network: Network,
    lookup: Lookup,
}

/// Tells the addresses of a name: the system's resolver, or a test's.
pub type Lookup = Box<dyn Fn(String, u16) -> Looking + Send + Sync>;

/// A look-up on its way.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// What is to be fetched.
#[derive(Clone, Debug)]
pub struct MediaRequest<'a> {
    /// Where, as the provider told it.
    pub url: &'a str,
    /// What it has to be.
    pub kind: MediaKind,
    /// A `Range` header to pass on.
    pub range: Option<&'a HeaderValue>,
    /// The most bytes.
    pub max_bytes: u64,
}

/// Media whose head has come and was found good.
#[derive(Debug)]
pub struct Media {
    /// 200, or 206 where a range was asked for.
    pub status: StatusCode,
    /// Type, length, range and validators; nothing else of the provider's.
    pub headers: HeaderMap,
    /// The bytes, as they come.
    pub body: MediaBody,
}

/// Why media cannot be handed on. None of these tells the URL, which is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The URL cannot be read, names a user, or is longer than any provider's.
    #[error("the provider's URL cannot be read")]
    BadUrl,
    /// The URL is not at one of the provider's own hosts, or not over TLS.
    #[error("the provider's URL is not at a host of its own")]
    ForeignHost,
    /// The name leads into a private network.
    #[error("the provider's host does not resolve to the public internet")]
    NotPublic,
    /// The name has no address, or the resolver failed.
    #[error("the provider's host cannot be resolved")]
    Unresolved,
    /// It was led to more than one other place.
    #[error("the provider redirects too often")]
    Redirects,
    /// The URL died (403, 404, 410): ask the task for a fresh one.
    #[error("the provider's URL has expired")]
    Gone,
    /// The range lies outside of what there is (416).
    #[error("the range lies outside of what there is")]
    Range,
    /// Any other status.
    #[error("the provider answered {0}")]
    Status(StatusCode),
    /// It is not the kind of media that it should be.
    #[error("what the provider sent is not the media that it should be")]
    NotMedia,
    /// It is larger than may be passed on.
    #[error("the media is larger than may be passed on")]
    TooLarge,
    /// The connection failed or stalled.
    #[error(transparent)]
    Transport(#[from] UpstreamError),
}

impl MediaSource {
    /// The most bytes of a film, unless the caller says otherwise.
    pub const MAX_VIDEO_BYTES: u64 = 512 * 1024 * 1024;

    /// The most bytes of a picture, unless the caller says otherwise.
    pub const MAX_IMAGE_BYTES: u64 = 32 * 1024 * 1024;

    /// Fetches over `network`, which may be shared with calls: media takes no place of theirs.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self::with_lookup(network, Box::new(|host, port| Box::pin(system_lookup(host, port))))
    }

    /// The same, with another resolver.
    ///
    /// The connection is made by name after the look-up, so this is a second lock, not the first: the name has already
    /// been found to be the provider's own.
    #[must_use]
    pub fn with_lookup(network: Network, lookup: Lookup) -> Self {
        Self { network, lookup }
    }

    /// Asks for media and checks what comes: where from, its status, type and length. At most one redirect is
    /// followed, and only to where a URL may lead in the first place.
    ///
    /// Dropping the future or the body closes the connection; nothing here costs anything.
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn fetch(&self, hosts: &MediaHosts, request: MediaRequest<'_>) -> Result<Media, MediaError> {
        let mut place = hosts.place(request.url)?;
        for _ in 0..=MAX_REDIRECTS {
            self.check_address(&place).await?;
            let opened = self
                .network
                .get(place.uri.clone(), headers(&request), FIRST_BYTE)
                .await?;
            match opened.status.as_u16() {
                301 | 302 | 303 | 307 | 308 => {
                    let location = opened.headers.get(LOCATION).and_then(|value| value.to_str().ok());
                    place = hosts.place(location.ok_or(MediaError::BadUrl)?)?;
                }
                _ => return examine(opened, &request).await,
            }
        }
        Err(MediaError::Redirects)
    }

    /// The operator's own address needs no look-up: he has said where it is.
    async fn check_address(&self, place: &Place) -> Result<(), MediaError> {
        let Some((host, port)) = &place.look_up else {
            return Ok(());
        };
        let looking = (self.lookup)(host.clone(), *port);
        let addresses = match tokio::time::timeout(LOOKUP, looking).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => addresses,
            _ => return Err(MediaError::Unresolved),
        };
        if addresses.into_iter().all(is_public) {
            return Ok(());
        }
        Err(MediaError::NotPublic)
    }
}

impl fmt::Debug for MediaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaSource").finish_non_exhaustive()
    }
}

async fn system_lookup(host: String, port: u16) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

fn headers(request: &MediaRequest<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(ACCEPT, HeaderValue::from_static(request.kind.accept()));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let agent = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if let Some(range) = request.range {
        headers.insert(RANGE, range.clone());
    }
    headers
}

async fn examine(opened: Opened, request: &MediaRequest<'_>) -> Result<Media, MediaError> {
    let status = opened.status;
    match status {
        StatusCode::OK => {}
        StatusCode::PARTIAL_CONTENT if request.range.is_some() => {}
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => return Err(MediaError::Gone),
        StatusCode::RANGE_NOT_SATISFIABLE => return Err(MediaError::Range),
        other => return Err(MediaError::Status(other)),
    }
    let is_encoded = opened
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| value != "identity");
    if is_encoded {
        return Err(MediaError::NotMedia);
    }
    if length(&opened.headers).is_some_and(|length| length > request.max_bytes) {
        return Err(MediaError::TooLarge);
    }
    let declared = opened.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_from_the_middle = opened
        .headers
        .get(CONTENT_RANGE)
        .is_some_and(|range| !range.as_bytes().starts_with(b"bytes 0-"));
    let mut headers = HeaderMap::with_capacity(PASSING.len() + 1);
    for name in PASSING {
        if let Some(value) = opened.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let mut body = MediaBody::new(opened.body, request.max_bytes);
    let content_type = match kind::declared(declared)? {
        Some(named) if named.kind == request.kind => named.name,
        Some(_) => return Err(MediaError::NotMedia),
        // Its beginning, which tells what it is, is not in it. Nothing runs bytes of no type.
        None if is_from_the_middle => kind::OCTETS,
        None => match kind::of_bytes(&body.beginning().await?) {
            Some(found) if found.kind == request.kind => found.name,
            _ => return Err(MediaError::NotMedia),
        },
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(Media { status, headers, body })
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What of a head is handed on, beside the type.
const PASSING: [HeaderName; 5] = [CONTENT_LENGTH, CONTENT_RANGE, ACCEPT_RANGES, ETAG, LAST_MODIFIED];

/// A CDN may send us on to another of its machines; a chain of them leads somewhere else.
const MAX_REDIRECTS: usize = 1;

const FIRST_BYTE: Duration = Duration::from_secs(20);

const LOOKUP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
