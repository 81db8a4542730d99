use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use nix::unistd::Uid;
use poem::endpoint::make_sync;
use poem::{Request, Response};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::socket::admits;
use super::*;
use crate::server::{Drained, Limits, Origin, Server};

fn database() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let database = home.path().join("tollgate.redb");
    (home, database)
}

fn socket_of(database: &Path) -> PathBuf {
    directory_of(database).join(SOCKET_NAME)
}

async fn ask(database: &Path) -> io::Result<String> {
    let request = http::Request::get("/admin/info")
        .body(Full::<Bytes>::default())
        .unwrap();
    let body = call(database, request).await?.into_body().collect().await?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

/// Serves the control socket of `database`, asks it once, drains, and gives the answer.
async fn one_exchange(database: &Path) -> String {
    let endpoint = make_sync(|request: Request| {
        let origin = request.extensions().get::<Origin>().copied();
        Response::from(format!("{} {origin:?}", request.uri().path()))
    });
    let server = Server::new(Arc::new(endpoint), Limits::default());
    server.listen_control(ControlSocket::bind(database).unwrap());
    let answer = ask(database).await.unwrap();
    assert_eq!(
        server.drain(Duration::from_mins(1), &CancellationToken::new()).await,
        Drained::Finished
    );
    answer
}

#[tokio::test]
async fn a_command_of_our_own_user_is_answered_and_known_as_such() {
    let (_home, database) = database();

    let answer = one_exchange(&database).await;

    let uid = Uid::effective().as_raw();
    assert_eq!(answer, format!("/admin/info Some(Control {{ uid: {uid} }})"));
}

#[test]
fn only_our_user_and_root_are_admitted() {
    assert!(admits(1000, 1000));
    assert!(admits(1000, 0));
    assert!(!admits(1000, 1001));
    assert!(!admits(0, 1000));
}

#[tokio::test]
async fn the_directory_is_private_and_the_socket_goes_with_its_guard() {
    let (_home, database) = database();
    fs::create_dir(directory_of(&database)).unwrap();

    let socket = ControlSocket::bind(&database).unwrap();
    assert_eq!(fs::metadata(directory_of(&database)).unwrap().mode() & 0o777, 0o700);
    assert!(fs::metadata(socket_of(&database)).unwrap().file_type().is_socket());
    drop(socket);

    assert!(!socket_of(&database).exists());
    assert_eq!(ask(&database).await.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn the_drain_removes_the_socket() {
    let (_home, database) = database();

    one_exchange(&database).await;

    assert!(!socket_of(&database).exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let (_home, database) = database();
    fs::create_dir(directory_of(&database)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(socket_of(&database)).unwrap());
    assert_eq!(
        ask(&database).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );

    assert!(one_exchange(&database).await.starts_with("/admin/info"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_path_longer_than_a_socket_address_works() {
    let (home, _) = database();
    let deep = home.path().join("d".repeat(120));
    fs::create_dir(&deep).unwrap();

    assert!(
        one_exchange(&deep.join("tollgate.redb"))
            .await
            .starts_with("/admin/info")
    );
}

#[tokio::test]
async fn a_link_in_place_of_the_directory_is_refused_by_both_sides() {
    let (home, database) = database();
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, directory_of(&database)).unwrap();

    let refused = ControlSocket::bind(&database).err().unwrap();

    assert!(refused.to_string().contains("not a symbolic link"), "{refused}");
    assert!(ask(&database).await.is_err());
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[tokio::test]
async fn a_link_or_file_in_place_of_the_socket_is_refused_and_left_alone() {
    let (home, database) = database();
    let precious = home.path().join("precious");
    fs::write(&precious, "kept").unwrap();
    fs::create_dir(directory_of(&database)).unwrap();
    symlink(&precious, socket_of(&database)).unwrap();

    assert!(ControlSocket::bind(&database).is_err());

    assert_eq!(fs::read_to_string(precious).unwrap(), "kept");
    assert!(fs::symlink_metadata(socket_of(&database)).unwrap().is_symlink());
}
