//! nginx as a plain reverse proxy with keep-alive on both sides: what the relay is measured against.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::Result;
use super::process::{Process, folder, free_address, until_listening};

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it before `upstream`; `None` where it is not installed.
    pub(crate) async fn start(upstream: SocketAddr) -> Result<Option<Self>> {
        let Some(program) = PLACES.iter().find(|place| std::path::Path::new(place).exists()) else {
            return Ok(None);
        };
        let (folder, address) = (folder()?, free_address()?);
        let place = folder.path().join("nginx.conf");
        std::fs::write(&place, configuration(address, upstream))?;
        let process = Process::start(
            Command::new(program)
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(&place)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        until_listening(address).await?;
        Ok(Some(Self {
            address,
            process,
            _folder: folder,
        }))
    }
}

fn configuration(address: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "daemon off; worker_processes auto; pid nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  upstream imitation {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen {address};
    location / {{ proxy_pass http://imitation; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
  }}
}}
"
    )
}

/// Where distributions put it.
const PLACES: [&str; 4] = [
    "/usr/sbin/nginx",
    "/usr/bin/nginx",
    "/usr/local/bin/nginx",
    "/opt/homebrew/bin/nginx",
];
