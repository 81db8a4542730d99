//! Upstreams: whether this machine reaches them, and what time it is there.

use std::time::Duration;

use futures_util::future::join_all;
use http::header::DATE;
use jiff::fmt::rfc2822::DateTimeParser;

use super::finding::{Check, Finding};
use crate::cli::error::{CliError, innermost};
use crate::cli::target::client;
use crate::model::clock::{Clock, Timestamp};

/// An upstream to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) base_url: String,
}

/// Connects to every upstream, all at once, and reads the head of one answer. No credential is sent, so whatever comes
/// back costs nothing.
///
/// # Errors
/// [`CliError::System`] where this machine's certificates cannot be read.
pub(super) async fn check(upstreams: &[Upstream], clock: &dyn Clock) -> Result<Vec<Finding>, CliError> {
    if upstreams.is_empty() {
        return Ok(vec![Finding::warning(
            Check::Upstream,
            "no upstream is defined, so no call can be served",
            "set VOLC_ACCESSKEY and VOLC_SECRETKEY or OPENAI_API_KEY, or use `tollgate upstream add`",
        )]);
    }
    let client = client()?;
    let asked = upstreams.iter().map(|upstream| ask(&client, upstream, clock));
    let (reached, skews): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().unzip();
    Ok(reached.into_iter().chain(skews.into_iter().flatten()).collect())
}

/// Whether an upstream answers, and what is wrong with our clock by its own.
async fn ask(client: &reqwest::Client, upstream: &Upstream, clock: &dyn Clock) -> (Finding, Option<Finding>) {
    let Upstream { name, base_url } = upstream;
    let begun = clock.monotonic();
    let answer = match client.get(base_url).timeout(PATIENCE).send().await {
        Ok(answer) => answer,
        Err(error) => return (unreachable(upstream, &error), None),
    };
    let took = clock.monotonic().saturating_duration_since(begun).as_millis();
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    let skew = date
        .and_then(moment)
        .and_then(|theirs| skew(name, theirs, clock.wall()));
    let reached = format!("{name} answers at {base_url} within {took} ms");
    (Finding::ok(Check::Upstream, reached), skew)
}

fn unreachable(Upstream { name, base_url }: &Upstream, error: &reqwest::Error) -> Finding {
    let reason = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        innermost(error)
    };
    let fix = if reason.contains("certificate") {
        "install the certificate of its authority (ca-certificates), or correct the address"
    } else {
        "correct its address, or let this machine reach it: name server, firewall, route; proxies of the environment are not used"
    };
    let message = format!("{name} cannot be reached at {base_url}: {reason}");
    Finding::problem(Check::Upstream, message, fix)
}

fn skew(name: &str, theirs: Timestamp, ours: Timestamp) -> Option<Finding> {
    let apart = ours.distance(theirs);
    (apart > TOLERANCE).then(|| {
        let (seconds, side) = (apart.as_secs(), if ours > theirs { "ahead of" } else { "behind" });
        Finding::problem(
            Check::Clock,
            format!("this clock is {seconds} s {side} that of {name}; signatures are refused when it is 15 minutes"),
            "let NTP set this machine's clock, for example with `timedatectl set-ntp true`",
        )
    })
}

/// The moment of a `Date` header (RFC 9110, section 5.6.7), to the second.
fn moment(text: &str) -> Option<Timestamp> {
    let moment = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_seconds(moment.as_second()))
}

/// How long an upstream may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A `Date` is of the second, and may have waited in a cache of the upstream's own.
const TOLERANCE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::cli::doctor::finding::Status;
    use crate::model::clock::SystemClock;

    fn upstream(base_url: String) -> Upstream {
        Upstream {
            name: "openai".to_owned(),
            base_url,
        }
    }

    /// What is found of an upstream that answers one request with `head`.
    async fn found(head: &'static str) -> Vec<Finding> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).to_ascii_lowercase()
        };
        let upstreams = [upstream(format!("http://{address}/v1"))];
        let (request, findings) = tokio::join!(answering, check(&upstreams, &SystemClock));
        assert!(request.starts_with("get /v1 "), "{request}");
        assert!(!request.contains("authorization"), "{request}");
        findings.unwrap()
    }

    #[tokio::test]
    async fn an_upstream_that_refuses_strangers_is_reached() {
        let findings = found("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].check, findings[0].status), (Check::Upstream, Status::Ok));
    }

    #[tokio::test]
    async fn a_clock_that_is_years_off_an_upstreams_is_a_problem() {
        let head = "HTTP/1.1 404 Not Found\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n";
        let findings = found(head).await;
        let clock = &findings[1];
        assert_eq!((clock.check, clock.status), (Check::Clock, Status::Problem));
        assert!(clock.message.contains("ahead of that of openai"), "{clock:?}");
    }

    #[tokio::test]
    async fn an_upstream_that_nobody_answers_for_is_a_problem_with_its_cause() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let findings = check(&[upstream(format!("http://{address}"))], &SystemClock)
            .await
            .unwrap();
        assert_eq!(findings[0].status, Status::Problem);
        assert!(findings[0].message.contains("refused"), "{findings:?}");
    }

    #[tokio::test]
    async fn a_relay_without_upstreams_is_warned_of() {
        let findings = check(&[], &SystemClock).await.unwrap();
        assert_eq!(findings[0].status, Status::Warning);
    }

    #[test]
    fn a_minute_is_no_skew() {
        let at = Timestamp::from_seconds;
        assert_eq!(skew("x", at(1000), at(1060)), None);
        let behind = skew("x", at(1061), at(1000)).unwrap();
        assert!(behind.message.contains("61 s behind"), "{behind:?}");
    }
}
