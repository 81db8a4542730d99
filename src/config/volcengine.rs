//! The `volcengine` upstream that the environment defines.

use std::collections::BTreeSet;
use std::time::Duration;

use http::uri::{Authority, Scheme};

use super::reader::Reader;
use super::value::{self, Wrong};
use crate::model::secret::Secret;

/// The `volcengine` upstream that the environment defines.
#[derive(Debug, Clone)]
pub struct Volcengine {
    /// Its accounts, at least one, in the order of the variables. They are never written to disk.
    pub accounts: Vec<Credential>,
    /// The region that requests are signed for.
    pub region: String,
    /// Host, and port where it is not the scheme's own.
    pub host: Authority,
    /// `https`, or `http` for a sandbox.
    pub scheme: Scheme,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// The longest that a call may take: queue, attempts and back-off. Clients of jimeng-relay give up at 30 s.
    pub deadline: Duration,
}

/// One account's pair of keys, as Volcengine's console shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The access key, which names the account in signatures.
    pub access_key: Secret,
    /// The secret key, which signs.
    pub secret_key: Secret,
}

impl Volcengine {
    /// No submit starts with less than this left before its deadline.
    pub const LEAST_TIME_TO_SUBMIT: Duration = Duration::from_secs(5);

    /// Where signatures are for, unless `VOLC_REGION` says otherwise.
    pub const DEFAULT_REGION: &str = "cn-north-1";

    /// From the head of a request to its answer, unless `VOLC_DEADLINE` says otherwise.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(28);

    /// Below which names Volcengine keeps what its tasks made, unless `VOLC_MEDIA_HOSTS` says otherwise:
    ///
    /// - `byteimg.com`: pictures, e.g. `p3-aiop-sign.byteimg.com`;
    /// - `aigc-cloud.com`: films, e.g. `v26-aiop.aigc-cloud.com`;
    /// - `vlabvod.com`: films of Jimeng's own, e.g. `v26-artist.vlabvod.com`;
    /// - `volccdn.com`: Volcengine's CDN;
    /// - `volces.com`: Volcengine's object store (TOS), whose buckets may be anybody's. What comes from there is still
    ///   only fetched where a reply of the provider names it, and only media passes.
    pub const DEFAULT_MEDIA_HOSTS: [&str; 5] = [
        "byteimg.com",
        "aigc-cloud.com",
        "vlabvod.com",
        "volccdn.com",
        "volces.com",
    ];

    /// The names below which media is fetched. They hold for upstreams of the store too, so they stand apart.
    pub(super) fn read_media_hosts(reader: &mut Reader<'_>) -> Vec<String> {
        let default = Self::DEFAULT_MEDIA_HOSTS.map(str::to_owned).to_vec();
        reader.value_or("VOLC_MEDIA_HOSTS", default, media_hosts)
    }

    /// `None` where no keys are set; the other variables are checked all the same.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let accounts = accounts(reader);
        let volcengine = Self {
            region: reader.value_or("VOLC_REGION", Self::DEFAULT_REGION.to_owned(), region),
            host: reader.value_or("VOLC_HOST", Authority::from_static("visual.volcengineapi.com"), host),
            scheme: reader.value_or("VOLC_SCHEME", Scheme::HTTPS, scheme),
            timeout: reader.value_or("VOLC_TIMEOUT", Duration::from_secs(30), value::timeout),
            deadline: reader.value_or("VOLC_DEADLINE", Self::DEFAULT_DEADLINE, deadline),
            accounts,
        };
        (!volcengine.accounts.is_empty()).then_some(volcengine)
    }
}

/// The pairs of the two lists; empty where they are not set or cannot be paired.
fn accounts(reader: &mut Reader<'_>) -> Vec<Credential> {
    for (set, unset) in [(ACCESS, SECRET), (SECRET, ACCESS)] {
        if reader.text(set).is_some() && reader.text(unset).is_none() {
            reader.mistake(unset, format!("is not set, but {set} is"), "set both, or neither");
        }
    }
    let access = reader.secret(ACCESS, |text| keys(&text));
    let secret = reader.secret(SECRET, |text| keys(&text));
    let (Some(access), Some(secret)) = (access, secret) else {
        return Vec::new();
    };
    if access.len() != secret.len() {
        reader.mistake(
            SECRET,
            format!("has {} items, but {ACCESS} has {}", secret.len(), access.len()),
            "give both lists the same length: each pair is one account",
        );
        return Vec::new();
    }
    let distinct: BTreeSet<&str> = access.iter().map(Secret::expose).collect();
    if distinct.len() != access.len() {
        reader.mistake(ACCESS, "names an account twice", "list each access key once");
    }
    access
        .into_iter()
        .zip(secret)
        .map(|(access_key, secret_key)| Credential { access_key, secret_key })
        .collect()
}

fn keys(text: &str) -> Result<Vec<Secret>, Wrong> {
    value::list(text)?
        .into_iter()
        .map(Secret::new)
        .map(value::visible)
        .collect()
}

fn region(text: &str) -> Result<String, Wrong> {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("is not a region", "set one such as cn-north-1"))
}

fn host(text: &str) -> Result<Authority, Wrong> {
    let wrong = || {
        Wrong::new(
            "is not a host",
            "set a name such as visual.volcengineapi.com, without scheme or path",
        )
    };
    let host: Authority = text.parse().map_err(|_| wrong())?;
    if host.host().is_empty() || text.contains('@') {
        return Err(wrong());
    }
    Ok(host)
}

/// Names of at least two labels; an address is none, and `com` would let everybody in.
fn media_hosts(text: &str) -> Result<Vec<String>, Wrong> {
    let name = |host: String| {
        let host = host.to_ascii_lowercase();
        let is_label = |label: &str| {
            let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            !label.is_empty() && plain
        };
        let ends_in_letters = host
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|c: char| c.is_ascii_alphabetic()));
        let is_name = host.contains('.') && host.split('.').all(is_label) && ends_in_letters;
        is_name.then_some(host).ok_or_else(|| {
            Wrong::new(
                "is not a list of host names",
                "write names such as byteimg.com,aigc-cloud.com",
            )
        })
    };
    value::list(text)?.into_iter().map(name).collect()
}

fn scheme(text: &str) -> Result<Scheme, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "https" => Ok(Scheme::HTTPS),
        "http" => Ok(Scheme::HTTP),
        _ => Err(Wrong::new("is not a scheme", "set https, or http for a sandbox")),
    }
}

fn deadline(text: &str) -> Result<Duration, Wrong> {
    let deadline = value::timeout(text)?;
    if deadline <= Volcengine::LEAST_TIME_TO_SUBMIT {
        return Err(Wrong::new(
            "leaves no time: no submit starts with less than 5 s left",
            "set more than 5s, such as 28s",
        ));
    }
    Ok(deadline)
}

const ACCESS: &str = "VOLC_ACCESSKEY";
const SECRET: &str = "VOLC_SECRETKEY";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::vars::MapVars;

    fn mistakes(vars: &MapVars) -> Vec<String> {
        let mut reader = Reader::new(vars);
        Volcengine::read(&mut reader);
        reader.mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_pair_of_the_two_lists_is_an_account() {
        let vars = MapVars::default()
            .with(ACCESS, "AK1,AK2")
            .with(SECRET, r#"["SK1==","SK2=="]"#);
        let volcengine = Volcengine::read(&mut Reader::new(&vars)).unwrap();
        let pairs: Vec<_> = volcengine
            .accounts
            .iter()
            .map(|pair| (pair.access_key.expose(), pair.secret_key.expose()))
            .collect();
        assert_eq!(pairs, [("AK1", "SK1=="), ("AK2", "SK2==")]);
    }

    #[test]
    fn half_a_pair_is_a_mistake() {
        let half = mistakes(&MapVars::default().with(ACCESS, "AK1"));
        assert_eq!(
            half,
            ["VOLC_SECRETKEY: is not set, but VOLC_ACCESSKEY is; set both, or neither"]
        );
        let uneven = mistakes(&MapVars::default().with(ACCESS, "AK1,AK2").with(SECRET, "SK1"));
        assert_eq!(uneven.len(), 1);
        assert!(
            uneven[0].contains("has 1 items, but VOLC_ACCESSKEY has 2"),
            "{uneven:?}"
        );
    }

    #[test]
    fn an_account_named_twice_is_a_mistake() {
        assert_eq!(
            mistakes(&MapVars::default().with(ACCESS, "AK,AK").with(SECRET, "a,b")).len(),
            1
        );
    }

    #[test]
    fn a_host_has_neither_scheme_nor_path_nor_credentials() {
        assert!(host("127.0.0.1:8081").is_ok());
        assert!(host("[::1]:8081").is_ok());
        for text in [
            "https://visual.volcengineapi.com",
            "host/path",
            "user:password@host",
            "two words",
            ":80",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn media_hosts_are_names_and_replace_ours() {
        let of = |vars: &MapVars| Volcengine::read_media_hosts(&mut Reader::new(vars));
        assert_eq!(of(&MapVars::default()), Volcengine::DEFAULT_MEDIA_HOSTS);
        let own = MapVars::default().with("VOLC_MEDIA_HOSTS", "CDN.example.com, example.org");
        assert_eq!(of(&own), ["cdn.example.com", "example.org"]);
        for text in [
            "com",
            "127.0.0.1",
            ".byteimg.com",
            "a..com",
            "https://byteimg.com",
            "a.com:443",
            "*.a.com",
            "[::1]",
        ] {
            assert!(media_hosts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_deadline_must_leave_time_to_submit() {
        assert!(deadline("5s").is_err());
        assert!(deadline("5001ms").is_ok());
    }

    #[test]
    fn without_keys_there_is_no_upstream_but_its_variables_are_checked() {
        let vars = MapVars::default().with("VOLC_SCHEME", "ftp");
        let mut reader = Reader::new(&vars);
        assert!(Volcengine::read(&mut reader).is_none());
        assert_eq!(reader.mistakes.len(), 1);
    }
}
