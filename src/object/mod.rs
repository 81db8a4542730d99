//! Places where objects are kept: a folder, or a prefix in an S3-compatible bucket.

mod error;
mod upload;

use std::fmt;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use tokio_util::task::TaskTracker;

pub use error::ObjectError;
pub use upload::Upload;

use crate::config::{Addressing, Aws};
use crate::model::clock::Timestamp;
use crate::model::object_url::ObjectUrl;

/// A place where objects are kept. Cloning it is cheap.
///
/// An object is written whole or not at all: until [`Upload::finish`] nothing has its name. Names are one segment: no
/// slash, and no dot at the beginning.
#[derive(Clone)]
pub struct ObjectStorage {
    url: ObjectUrl,
    store: Arc<dyn ObjectStore>,
    cleaning: TaskTracker,
}

/// An object that a place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name in its place.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was last written, by the clock of whoever keeps it.
    pub modified: Timestamp,
}

impl ObjectStorage {
    /// Opens a place. A folder that is not there is made, readable by us alone, if the one above it is. Of a bucket
    /// nothing is asked yet.
    ///
    /// # Errors
    /// [`ObjectError`] where the folder cannot be had or credentials are missing.
    pub async fn open(url: &ObjectUrl, aws: &Aws) -> Result<Self, ObjectError> {
        if let ObjectUrl::Folder(path) = url {
            make_folder(url, path.clone()).await?;
        }
        Self::find(url, aws)
    }

    /// Opens a place that is there already.
    ///
    /// # Errors
    /// [`ObjectError`] where there is no such folder or credentials are missing.
    pub fn find(url: &ObjectUrl, aws: &Aws) -> Result<Self, ObjectError> {
        let store: Arc<dyn ObjectStore> = match url {
            ObjectUrl::Folder(path) => {
                let folder = LocalFileSystem::new_with_prefix(path);
                Arc::new(folder.map_err(|error| ObjectError::of_store(url.to_string(), &error))?)
            }
            ObjectUrl::Bucket { bucket, .. } => Arc::new(s3(url, bucket, aws)?),
        };
        Ok(Self {
            url: url.clone(),
            store,
            cleaning: TaskTracker::new(),
        })
    }

    /// The same place. Objects that are given up are cleaned away among these tasks, which who ends the process waits
    /// for.
    #[must_use]
    pub fn cleaning_in(self, cleaning: &TaskTracker) -> Self {
        Self {
            cleaning: cleaning.clone(),
            ..self
        }
    }

    /// Writes a small object at once, replacing one that has its name.
    ///
    /// # Errors
    /// [`ObjectError`]; the name is then as it was.
    pub async fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError> {
        match &self.url {
            ObjectUrl::Folder(_) => {
                let mut upload = self.upload(name).await?;
                upload.write(content).await?;
                upload.finish().await
            }
            ObjectUrl::Bucket { .. } => {
                let put = self.store.put(&self.key(name), content.into()).await;
                put.map(drop).map_err(|error| self.error(name, &error))
            }
        }
    }

    /// Begins to write an object of any size.
    ///
    /// # Errors
    /// [`ObjectError`]
    pub async fn upload(&self, name: &str) -> Result<Upload, ObjectError> {
        let shown = self.shown(name);
        match &self.url {
            ObjectUrl::Folder(folder) => {
                let (staging, target) = (folder.clone(), folder.join(name));
                let prefix = format!(".{name}.");
                let stage = move || {
                    tempfile::Builder::new()
                        .prefix(&prefix)
                        .suffix(".part")
                        .tempfile_in(staging)
                };
                let staged = upload::blocking(&shown, stage).await?;
                Ok(Upload::file(shown, staged, target))
            }
            ObjectUrl::Bucket { .. } => {
                let begun = self.store.put_multipart(&self.key(name)).await;
                let begun = begun.map_err(|error| self.error(name, &error))?;
                let parts = WriteMultipart::new_with_chunk_size(begun, upload::PART_BYTES);
                Ok(Upload::parts(shown, parts, self.cleaning.clone()))
            }
        }
    }

    /// An object's bytes, as they come.
    ///
    /// # Errors
    /// [`ObjectError`], here or in the stream.
    pub async fn read(
        &self,
        name: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, ObjectError>> + Send + Unpin + 'static, ObjectError> {
        let found = self.store.get(&self.key(name)).await;
        let found = found.map_err(|error| self.error(name, &error))?;
        let shown = self.shown(name);
        Ok(found
            .into_stream()
            .map_err(move |error| ObjectError::of_store(shown.clone(), &error)))
    }

    /// What is known of one object.
    ///
    /// # Errors
    /// [`ObjectError`], with [`ObjectError::Missing`] where there is none of this name.
    pub async fn head(&self, name: &str) -> Result<Object, ObjectError> {
        let found = self.store.head(&self.key(name)).await;
        let found = found.map_err(|error| self.error(name, &error))?;
        Ok(Object {
            name: name.to_owned(),
            bytes: found.size,
            modified: Timestamp::from_micros(found.last_modified.timestamp_micros()),
        })
    }

    /// The objects whose names begin with `prefix`, by name. What lies in deeper folders, and files whose names begin
    /// with a dot, are left out.
    ///
    /// # Errors
    /// [`ObjectError`]
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>, ObjectError> {
        let within = self.prefix();
        let found = self.store.list_with_delimiter(Some(&within)).await;
        let found = found.map_err(|error| ObjectError::of_store(self.to_string(), &error))?;
        let mut objects: Vec<Object> = Vec::new();
        for meta in found.objects {
            let Some(name) = meta.location.filename() else { continue };
            if name.starts_with(prefix) && !name.starts_with('.') {
                objects.push(Object {
                    name: name.to_owned(),
                    bytes: meta.size,
                    modified: Timestamp::from_micros(meta.last_modified.timestamp_micros()),
                });
            }
        }
        objects.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(objects)
    }

    /// Deletes an object. One that is not there is deleted already.
    ///
    /// # Errors
    /// [`ObjectError`]
    pub async fn delete(&self, name: &str) -> Result<(), ObjectError> {
        match self.store.delete(&self.key(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(name, &error)),
        }
    }

    fn prefix(&self) -> Key {
        match &self.url {
            ObjectUrl::Folder(_) => Key::default(),
            ObjectUrl::Bucket { prefix, .. } => Key::from(prefix.as_str()),
        }
    }

    fn key(&self, name: &str) -> Key {
        self.prefix().join(name)
    }

    fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn error(&self, name: &str, error: &object_store::Error) -> ObjectError {
        ObjectError::of_store(self.shown(name), error)
    }
}

/// The place's URL, which holds no secret.
impl fmt::Display for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStorage({self})")
    }
}

async fn make_folder(url: &ObjectUrl, path: PathBuf) -> Result<(), ObjectError> {
    let make = move || match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    upload::blocking(&url.to_string(), make).await
}

fn s3(url: &ObjectUrl, bucket: &str, aws: &Aws) -> Result<AmazonS3, ObjectError> {
    let no_credentials = || ObjectError::NoCredentials { place: url.to_string() };
    let credentials = aws.credentials.as_ref().ok_or_else(no_credentials)?;
    // An error says that a provider is there already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let retries = RetryConfig {
        max_retries: MOST_RETRIES,
        retry_timeout: PART_TIMEOUT,
        ..RetryConfig::default()
    };
    let endpoint = aws.endpoint.as_deref();
    let options = ClientOptions::new()
        .with_timeout(PART_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&aws.region)
        .with_access_key_id(&credentials.access_key_id)
        .with_secret_access_key(credentials.secret_access_key.expose())
        .with_virtual_hosted_style_request(aws.addressing == Addressing::VirtualHost)
        .with_retry(retries)
        .with_client_options(options);
    if let Some(token) = &credentials.session_token {
        builder = builder.with_token(token.expose());
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(match aws.addressing {
            Addressing::Path => endpoint.to_owned(),
            Addressing::VirtualHost => endpoint.replacen("://", &format!("://{bucket}."), 1),
        });
    }
    builder
        .build()
        .map_err(|error| ObjectError::of_store(url.to_string(), &error))
}

/// The longest that one part may take with all its attempts: 8 MiB at half a megabit a second.
const PART_TIMEOUT: Duration = Duration::from_secs(150);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_RETRIES: usize = 5;

#[cfg(test)]
mod tests;
