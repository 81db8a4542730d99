//! URLs of places where objects are kept: a folder, or a prefix in an S3-compatible bucket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A place where objects are kept, or one object there: which of the two, its user knows.
///
/// Written `s3://bucket/prefix`, `file:///folder` or as a plain path, which may be relative. Nothing is unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectUrl {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A prefix in a bucket of an S3-compatible object store.
    Bucket {
        /// The bucket's name.
        bucket: String,
        /// What the keys begin with, without a slash at either end; empty for the whole bucket.
        prefix: String,
    },
}

/// Why a text is no such URL. Each is a sentence without its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectUrlError {
    /// There is no text.
    #[error("is empty")]
    Empty,
    /// It begins with another scheme.
    #[error("is neither a path nor begins with file:/// or s3://")]
    Scheme,
    /// `file:` is followed by something else than an absolute path.
    #[error("must have three slashes and a path after file:")]
    Host,
    /// Its bucket's name is not 3 to 63 lower-case letters, digits, hyphens and dots, which S3 demands.
    #[error("has a bucket that is not 3 to 63 lower-case letters, digits, hyphens and dots")]
    Bucket,
    /// A part of its prefix is empty, `.` or `..`, or holds a control character.
    #[error("has a prefix with an empty part, a part of dots or a control character")]
    Prefix,
}

impl ObjectUrl {
    /// The place that holds this, and its name there; `None` where this is a whole bucket or names nothing in a folder.
    #[must_use]
    pub fn split_name(&self) -> Option<(Self, String)> {
        match self {
            Self::Folder(path) => {
                let name = path.file_name()?.to_str()?.to_owned();
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                Some((Self::Folder(folder.unwrap_or(Path::new(".")).to_owned()), name))
            }
            Self::Bucket { prefix, .. } if prefix.is_empty() => None,
            Self::Bucket { bucket, prefix } => {
                let (folder, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
                let place = Self::Bucket {
                    bucket: bucket.clone(),
                    prefix: folder.to_owned(),
                };
                Some((place, name.to_owned()))
            }
        }
    }
}

impl FromStr for ObjectUrl {
    type Err = ObjectUrlError;

    fn from_str(text: &str) -> Result<Self, ObjectUrlError> {
        if text.is_empty() {
            return Err(ObjectUrlError::Empty);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return bucket(rest);
        }
        if let Some(rest) = text.strip_prefix("file:") {
            let path = rest.strip_prefix("//").filter(|path| path.starts_with('/'));
            return path.map(|path| Self::Folder(path.into())).ok_or(ObjectUrlError::Host);
        }
        if text.contains("://") {
            return Err(ObjectUrlError::Scheme);
        }
        Ok(Self::Folder(text.into()))
    }
}

fn bucket(text: &str) -> Result<ObjectUrl, ObjectUrlError> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(is_plain) {
        return Err(ObjectUrlError::Bucket);
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    if !prefix.is_empty() && !prefix.split('/').all(is_part) {
        return Err(ObjectUrlError::Prefix);
    }
    Ok(ObjectUrl::Bucket {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// A plain path for a folder, `s3://…` for a bucket. Neither holds a secret.
impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_bucket(bucket: &str, prefix: &str) -> ObjectUrl {
        ObjectUrl::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn a_place_is_a_path_a_file_url_or_a_bucket_with_a_prefix() {
        for (text, place) in [
            ("backups", ObjectUrl::Folder("backups".into())),
            ("./a:b", ObjectUrl::Folder("./a:b".into())),
            ("file:///data/backups", ObjectUrl::Folder("/data/backups".into())),
            ("s3://my-bucket", in_bucket("my-bucket", "")),
            ("s3://my-bucket/", in_bucket("my-bucket", "")),
            ("s3://my-bucket/a/b/", in_bucket("my-bucket", "a/b")),
        ] {
            assert_eq!(text.parse(), Ok(place), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused_by_name() {
        for (text, error) in [
            ("", ObjectUrlError::Empty),
            ("http://host/x", ObjectUrlError::Scheme),
            ("gs://bucket", ObjectUrlError::Scheme),
            ("file://host/x", ObjectUrlError::Host),
            ("file:x", ObjectUrlError::Host),
            ("s3://", ObjectUrlError::Bucket),
            ("s3://key:secret@bucket", ObjectUrlError::Bucket),
            ("s3://Bucket", ObjectUrlError::Bucket),
            ("s3://bucket//x", ObjectUrlError::Prefix),
            ("s3://bucket/a/../b", ObjectUrlError::Prefix),
        ] {
            assert_eq!(text.parse::<ObjectUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_last_part_may_be_the_name_of_an_object() {
        for (text, place, name) in [
            ("x.backup", ObjectUrl::Folder(".".into()), "x.backup"),
            ("/data/x.backup", ObjectUrl::Folder("/data".into()), "x.backup"),
            ("s3://bucket/x", in_bucket("bucket", ""), "x"),
            ("s3://bucket/a/b/x", in_bucket("bucket", "a/b"), "x"),
        ] {
            let url: ObjectUrl = text.parse().unwrap();
            assert_eq!(url.split_name(), Some((place, name.to_owned())), "{text}");
        }
        assert_eq!(in_bucket("bucket", "").split_name(), None);
        assert_eq!(ObjectUrl::Folder("/".into()).split_name(), None);
    }

    #[test]
    fn a_place_is_shown_as_it_can_be_read_again() {
        for text in ["backups", "/data/backups", "s3://bucket", "s3://bucket/a/b"] {
            assert_eq!(text.parse::<ObjectUrl>().unwrap().to_string(), text);
        }
    }
}
