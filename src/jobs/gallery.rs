//! What finished items made, brought from where the provider keeps it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;

use super::refresh::RefreshError;
use super::{ItemReport, JobError, Jobs, Results, Viewer};
use crate::model::clock::Clock;
use crate::model::job::{ItemRef, ItemState};
use crate::model::media::{NoOutput, Output};
use crate::upstream::media::{MediaHosts, MediaRequest, MediaSource};

pub use crate::upstream::media::{Media, MediaBody, MediaError, MediaKind};

/// Brings what finished items made. Where a URL has died, its task is asked for a fresh one.
pub struct Gallery {
    jobs: Arc<Jobs>,
    source: Arc<MediaSource>,
    /// Where the provider keeps its media; `None` where there is no such provider any more.
    hosts: Option<MediaHosts>,
    clock: Arc<dyn Clock>,
}

/// Why there is nothing to bring.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// The job is not there, or cannot be read.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The item has made nothing, or not yet.
    #[error("there is nothing to fetch of what is {0}")]
    NotMade(&'static str),
    /// What the item was answered holds nothing of this kind.
    #[error(transparent)]
    NoOutput(#[from] NoOutput),
    /// The provider keeps it no longer.
    #[error("the provider no longer keeps what was made")]
    Gone,
    /// There is no provider of media now.
    #[error("the provider that made it is not configured any more")]
    NoProvider,
    /// The provider could not be asked for a fresh URL.
    #[error(transparent)]
    NotAsked(RefreshError),
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(MediaError),
}

impl Gallery {
    /// One for what jobs made, kept at `hosts`.
    #[must_use]
    pub fn new(jobs: Arc<Jobs>, source: Arc<MediaSource>, hosts: Option<MediaHosts>, clock: Arc<dyn Clock>) -> Self {
        Self {
            jobs,
            source,
            hosts,
            clock,
        }
    }

    /// Opens what an item made, of at most [`MediaSource::MAX_VIDEO_BYTES`] or [`MediaSource::MAX_IMAGE_BYTES`].
    ///
    /// Dropping the future or the body closes the connection.
    ///
    /// # Errors
    /// [`GalleryError`].
    pub async fn open(
        &self,
        viewer: Viewer,
        at: ItemRef,
        kind: MediaKind,
        range: Option<&HeaderValue>,
    ) -> Result<Media, GalleryError> {
        let ItemReport { item, result, .. } = self.report(viewer, at).await?;
        let result = result.ok_or(GalleryError::NotMade(item.state.label()))?;
        if item.state != ItemState::Succeeded {
            return Err(GalleryError::NotMade(item.state.label()));
        }
        if item.expires_at.is_none_or(|moment| moment > self.clock.wall()) {
            match self.fetch(&url(&result.body, kind)?, kind, range).await {
                Err(GalleryError::Gone) => {}
                fetched => return fetched,
            }
        }
        let fresh = self.jobs.refresh(viewer, at).await.map_err(|error| match error {
            RefreshError::Gone => GalleryError::Gone,
            RefreshError::Job(error) => GalleryError::Job(error),
            RefreshError::Unanswered(_) => GalleryError::NotAsked(error),
        })?;
        self.fetch(&url(&fresh.body, kind)?, kind, range).await
    }

    /// Reads the whole picture that an item made.
    ///
    /// # Errors
    /// As [`Gallery::open`].
    pub async fn picture(&self, viewer: Viewer, at: ItemRef) -> Result<Bytes, GalleryError> {
        let mut media = self.open(viewer, at, MediaKind::Image, None).await?;
        let mut whole = BytesMut::new();
        while let Some(bytes) = media.body.next().await.map_err(GalleryError::Fetch)? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    async fn report(&self, viewer: Viewer, at: ItemRef) -> Result<ItemReport, GalleryError> {
        let reports = self.jobs.items(viewer, at.job, at.index, 1, Results::Included).await?;
        let report = reports.into_iter().find(|report| report.index == at.index);
        report.ok_or(GalleryError::Job(JobError::NotFound))
    }

    async fn fetch(&self, url: &str, kind: MediaKind, range: Option<&HeaderValue>) -> Result<Media, GalleryError> {
        let hosts = self.hosts.as_ref().ok_or(GalleryError::NoProvider)?;
        let max_bytes = match kind {
            MediaKind::Image => MediaSource::MAX_IMAGE_BYTES,
            MediaKind::Video => MediaSource::MAX_VIDEO_BYTES,
        };
        let request = MediaRequest {
            url,
            kind,
            range,
            max_bytes,
        };
        self.source.fetch(hosts, request).await.map_err(|error| match error {
            MediaError::Gone => GalleryError::Gone,
            error => GalleryError::Fetch(error),
        })
    }
}

/// The first URL of a kind that an answer tells.
fn url(answer: &[u8], kind: MediaKind) -> Result<String, NoOutput> {
    let output = Output::read(answer)?;
    let url = match kind {
        MediaKind::Image => output.image_urls.into_iter().next(),
        MediaKind::Video => output.video_url,
    };
    url.ok_or(NoOutput::Empty)
}
