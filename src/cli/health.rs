//! `tollgate health`: whether the server of this machine answers, for a container's health check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::error::{CliError, innermost};
use super::target::client;
use crate::config::Server;

/// Asks the server that `server` configures. Silent when it is well, so that check logs stay empty.
///
/// # Errors
/// [`CliError::Unreachable`] where it does not answer well within 3 s.
pub(super) async fn run(server: &Server) -> Result<(), CliError> {
    let address = SocketAddr::new(reachable(server.host), server.port);
    let unreachable = |reason| CliError::Unreachable {
        server: address.to_string(),
        reason,
    };
    let request = client()?.get(format!("http://{address}/health")).timeout(PATIENCE);
    let response = request.send().await.map_err(|error| unreachable(innermost(&error)))?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(unreachable(format!("its health is {status}"))),
    }
}

/// An address at which a listener on `host` can be reached from this machine. Where all addresses are listened on, that
/// is IPv4's loopback, which machines without IPv6 have too.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) | IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        host => host,
    }
}

/// Less than the usual interval of health checks.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_asked_on_loopback() {
        for (host, asked) in [
            ("::", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1"),
            ("::1", "::1"),
            ("10.1.2.3", "10.1.2.3"),
        ] {
            assert_eq!(
                reachable(host.parse().unwrap()),
                asked.parse::<IpAddr>().unwrap(),
                "{host}"
            );
        }
    }
}
