//! Both kinds of place do the same, and say the same of what goes wrong.

mod s3_server;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use futures_util::FutureExt;
use http::StatusCode;

use super::*;
use crate::config::AwsCredentials;
use crate::model::secret::Secret;
use s3_server::{Refused, S3Server};

#[tokio::test]
async fn a_folder_keeps_objects() {
    let folder = tempfile::tempdir().unwrap();
    keeps_objects(&in_folder(&folder.path().join("new")).await).await;
}

#[tokio::test]
async fn a_bucket_keeps_objects() {
    let server = S3Server::start().await;
    let place = open_bucket(&server, "s3://bucket/some/prefix").await;
    keeps_objects(&place).await;
    assert!(server.keys().iter().all(|key| key.starts_with("some/prefix/")));
}

async fn keeps_objects(place: &ObjectStorage) {
    place.put("b-small", Bytes::from_static(b"small")).await.unwrap();
    let large = Bytes::from(vec![7; 3 * upload::PART_BYTES + 1]);
    let mut upload = place.upload("a-large").await.unwrap();
    for piece in large.chunks(1 << 20) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert_eq!(
        names(place, "").await,
        ["b-small"],
        "an object has its name when it is whole"
    );
    upload.finish().await.unwrap();

    assert_eq!(names(place, "").await, ["a-large", "b-small"]);
    assert_eq!(names(place, "b-").await, ["b-small"]);
    assert_eq!(place.head("a-large").await.unwrap().bytes, large.len() as u64);
    assert_eq!(content(place, "a-large").await, large);
    assert_eq!(content(place, "b-small").await, "small");

    place.put("b-small", Bytes::from_static(b"another")).await.unwrap();
    assert_eq!(content(place, "b-small").await, "another");

    place.delete("b-small").await.unwrap();
    place.delete("b-small").await.unwrap();
    assert_eq!(names(place, "").await, ["a-large"]);
    let missing = place.read("b-small").await.err().unwrap();
    assert_eq!(missing.to_string(), format!("{place}/b-small does not exist"));
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing_and_the_old_object_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3Server::start().await;
    for place in [
        in_folder(folder.path()).await,
        open_bucket(&server, "s3://bucket").await,
    ] {
        place.put("x", Bytes::from_static(b"old")).await.unwrap();
        let mut upload = place.upload("x").await.unwrap();
        upload.write(Bytes::from_static(b"new")).await.unwrap();
        upload.abort().await.unwrap();

        assert_eq!(content(&place, "x").await, "old");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(server.uploads_under_way(), 0);
}

/// Writes four parts of an object and finishes it.
async fn write_four_parts(place: &ObjectStorage) -> Result<(), ObjectError> {
    let mut upload = place.upload("x").await?;
    for _ in 0..4 {
        upload.write(Bytes::from(vec![7; upload::PART_BYTES])).await?;
    }
    upload.finish().await
}

#[tokio::test]
async fn an_upload_that_fails_midway_leaves_no_parts() {
    for refused in [Refused::PartsFrom(1), Refused::PartsFrom(4), Refused::Completion] {
        let server = S3Server::start().await;
        let place = open_bucket(&server, "s3://bucket").await;
        server.refuse(refused);

        let error = write_four_parts(&place).await.unwrap_err();

        assert!(matches!(error, ObjectError::Denied { .. }), "{refused:?}: {error}");
        cleaned(&place).await;
        assert_eq!((server.uploads_under_way(), server.keys().len()), (0, 0), "{refused:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_cancelled_leaves_no_parts() {
    let server = S3Server::start().await;
    let place = open_bucket(&server, "s3://bucket").await;
    let mut upload = place.upload("x").await.unwrap();
    for _ in 0..4 {
        upload.write(Bytes::from(vec![7; upload::PART_BYTES])).await.unwrap();
    }
    assert_eq!(server.uploads_under_way(), 1);

    drop(upload);
    cleaned(&place).await;

    assert_eq!((server.uploads_under_way(), server.keys().len()), (0, 0));
}

#[tokio::test]
async fn an_upload_that_is_cancelled_while_it_is_finished_is_whole_or_gone() {
    let server = S3Server::start().await;
    let place = open_bucket(&server, "s3://bucket").await;
    let mut upload = place.upload("x").await.unwrap();
    upload.write(Bytes::from_static(b"small")).await.unwrap();

    let finished = upload.finish().now_or_never();
    assert!(finished.is_none(), "it takes two requests");
    cleaned(&place).await;

    assert_eq!(server.uploads_under_way(), 0);
    assert_eq!(content(&place, "x").await, "small");
}

/// Waits until nothing is cleaned away any more.
async fn cleaned(place: &ObjectStorage) {
    place.cleaning.close();
    place.cleaning.wait().await;
}

#[tokio::test]
async fn what_is_kept_in_a_folder_is_ours_alone_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    in_folder(&path).await.put("x", Bytes::from_static(b"x")).await.unwrap();

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("x"))), (0o700, 0o600));
}

#[tokio::test]
async fn a_folder_is_made_only_in_one_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unmounted/backups");
    let error = ObjectStorage::open(&ObjectUrl::Folder(path.clone()), &aws(None))
        .await
        .err()
        .unwrap();
    assert_eq!(error.to_string(), format!("{} does not exist", path.display()));
}

#[tokio::test]
async fn a_full_disk_is_called_full() {
    let error = ObjectError::of_io("/data/x".to_owned(), &std::io::Error::from(ErrorKind::StorageFull));
    assert_eq!(error.to_string(), "/data/x is full");
    let wrapped = object_store::Error::Generic {
        store: "test",
        source: Box::new(std::io::Error::from(ErrorKind::StorageFull)),
    };
    let error = ObjectError::of_store("/data/x".to_owned(), &wrapped);
    assert_eq!(error.to_string(), "/data/x is full");
}

#[tokio::test]
async fn a_bucket_needs_credentials() {
    let url = "s3://bucket/x".parse().unwrap();
    let error = ObjectStorage::open(&url, &aws(None)).await.err().unwrap();
    assert!(matches!(error, ObjectError::NoCredentials { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_or_does_not_know_the_bucket_is_quoted_without_our_secret() {
    let server = S3Server::start().await;
    let place = open_bucket(&server, "s3://bucket/x").await;

    server.refuse_with(StatusCode::FORBIDDEN, "AccessDenied");
    let denied = place.put("x", Bytes::new()).await.unwrap_err();
    assert!(matches!(denied, ObjectError::Denied { .. }), "{denied}");
    assert!(denied.to_string().contains("AccessDenied"), "{denied}");

    server.refuse_with(StatusCode::NOT_FOUND, "NoSuchBucket");
    let missing = place.upload("x").await.unwrap_err();
    assert!(matches!(missing, ObjectError::Missing { .. }), "{missing}");
    for error in [denied, missing] {
        assert!(!format!("{error:?}").contains(SECRET));
    }
}

#[tokio::test]
async fn requests_are_signed_for_the_region_and_name_the_bucket_in_the_path() {
    let server = S3Server::start().await;
    open_bucket(&server, "s3://bucket/x")
        .await
        .put("y", Bytes::new())
        .await
        .unwrap();

    let (path, authorization) = server.last_seen();
    assert_eq!(path, "/bucket/x/y");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDTEST/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/test-region/s3/aws4_request"),
        "{authorization}"
    );
}

async fn in_folder(path: &Path) -> ObjectStorage {
    ObjectStorage::open(&ObjectUrl::Folder(path.to_owned()), &aws(None))
        .await
        .unwrap()
}

async fn open_bucket(server: &S3Server, url: &str) -> ObjectStorage {
    let aws = aws(Some(server.endpoint()));
    ObjectStorage::open(&url.parse().unwrap(), &aws).await.unwrap()
}

fn aws(endpoint: Option<String>) -> Aws {
    let credentials = endpoint.is_some().then(|| AwsCredentials {
        access_key_id: "AKIDTEST".to_owned(),
        secret_access_key: Secret::new(SECRET.to_owned()),
        session_token: None,
    });
    Aws {
        credentials,
        region: "test-region".to_owned(),
        endpoint,
        addressing: Addressing::Path,
    }
}

async fn names(place: &ObjectStorage, prefix: &str) -> Vec<String> {
    let objects = place.list(prefix).await.unwrap();
    objects.into_iter().map(|object| object.name).collect()
}

async fn content(place: &ObjectStorage, name: &str) -> Bytes {
    let pieces: Vec<Bytes> = place.read(name).await.unwrap().try_collect().await.unwrap();
    pieces.concat().into()
}

const SECRET: &str = "canary-of-a-secret-access-key";
