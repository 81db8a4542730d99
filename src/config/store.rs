//! Where the store is and how long it keeps what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::Reader;
use super::value::{self, MEBIBYTE, Wrong};

/// Where the store is and how long it keeps what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The path of the redb file. Whether it can be used is found out by whoever opens it.
    pub location: Location,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl: Duration,
    /// How long settled audit records are kept.
    pub audit_retention: Duration,
    /// At this many bytes of audit records the oldest settled ones go early.
    pub audit_max_bytes: u64,
    /// The size of the ballast file beside the store, in bytes; 0 means none.
    pub reserve_bytes: u64,
    /// The most memory that redb may use as its cache, in bytes.
    pub cache_bytes: usize,
}

/// The path of the store, and whether somebody chose it: only beside the default path is an old `./jimeng-relay.db`
/// looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `DATABASE_URL` is not set.
    Default,
    /// The path that `DATABASE_URL` names. It may hold a SQLite file of jimeng-relay.
    Named(PathBuf),
}

impl Location {
    /// The path, relative to the working directory unless it begins with a slash.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Default => Path::new("./tollgate.redb"),
            Self::Named(path) => path,
        }
    }
}

impl StoreSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            location: location(reader),
            idempotency_ttl: reader.value_or("IDEMPOTENCY_TTL", Duration::from_hours(24), value::timeout),
            audit_retention: reader.value_or("AUDIT_RETENTION", Duration::from_hours(90 * 24), value::timeout),
            audit_max_bytes: reader.value_or("AUDIT_MAX_BYTES", 1 << 30, value::size_from::<MEBIBYTE>),
            reserve_bytes: reader.value_or("STORE_RESERVE_BYTES", 64 << 20, value::size),
            cache_bytes: reader.value_or("STORE_CACHE_BYTES", 32 << 20, value::memory_from::<MEBIBYTE>),
        }
    }
}

fn location(reader: &mut Reader<'_>) -> Location {
    if let Some(kind) = reader.value("DATABASE_TYPE", database_type) {
        reader.warn(format!(
            "DATABASE_TYPE={kind} has no effect: the store is one redb file; remove the variable"
        ));
    }
    let Some(Found { path, reading }) = reader.secret("DATABASE_URL", |text| database_path(&text)) else {
        return Location::Default;
    };
    if reading == Reading::Rewritten {
        reader.warn(format!(
            "DATABASE_URL is read as the path {}; set that path instead",
            path.display()
        ));
    }
    Location::Named(path)
}

/// A path, and how it was read from the variable's text.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    reading: Reading,
}

#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Literal,
    /// A prefix or parameters of another database were taken off.
    Rewritten,
}

/// The path in a `DATABASE_URL`. What is wrong is said without the text: a server's URL holds a password.
fn database_path(text: &str) -> Result<Found, Wrong> {
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
        _ => (String::new(), text),
    };
    let (path, reading) = match scheme.as_str() {
        "redb" => (rest.strip_prefix("//").unwrap_or(rest), Reading::Literal),
        "sqlite" | "sqlite3" | "file" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            (path.split_once('?').map_or(path, |(path, _)| path), Reading::Rewritten)
        }
        _ if rest.starts_with("//") => return Err(names_a_server()),
        // The forms of Go's MySQL driver and of libpq, which are no URLs.
        _ if text.contains("@tcp(") || text.contains("password=") => return Err(names_a_server()),
        _ => (text, Reading::Literal),
    };
    if path.is_empty() {
        return Err(Wrong::new("names no file", "set a path such as /data/tollgate.redb"));
    }
    if path.contains(":memory:") {
        return Err(Wrong::new(
            "is a database in memory",
            "set a path on a disk that outlives the process",
        ));
    }
    if path.contains("${") {
        return Err(Wrong::new(
            "holds a reference that nothing expanded",
            "set a path such as /data/tollgate.redb",
        ));
    }
    Ok(Found {
        path: PathBuf::from(path),
        reading,
    })
}

fn names_a_server() -> Wrong {
    Wrong::new(
        "names a database server, but Tollgate keeps everything in one file",
        "set a path on your volume, such as /data/tollgate.redb; client keys that jimeng-relay kept in \
         Postgres come over with `tollgate key import`",
    )
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// The kind of database, in lower case. `sqlite` was jimeng-relay's default and does no harm.
fn database_type(text: &str) -> Result<String, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        kind @ ("sqlite" | "sqlite3" | "redb") => Ok(kind.to_owned()),
        _ => Err(Wrong::new(
            "is not what Tollgate keeps its data in",
            "remove it, and set DATABASE_URL to a path",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> String {
        database_path(text).unwrap().path.display().to_string()
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        for text in [
            "./tollgate.redb",
            "/data/tollgate.redb",
            "data/a:b.redb",
            "/data/with?mark",
            "C:odd",
        ] {
            assert_eq!(
                database_path(text),
                Ok(Found {
                    path: text.into(),
                    reading: Reading::Literal
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn a_redb_prefix_is_allowed() {
        assert_eq!(path("redb:/data/x.redb"), "/data/x.redb");
        assert_eq!(path("redb:x.redb"), "x.redb");
        assert_eq!(path("redb:///data/x.redb"), "/data/x.redb");
        assert_eq!(database_path("redb:x").unwrap().reading, Reading::Literal);
    }

    #[test]
    fn a_sqlite_url_is_read_as_the_path_in_it() {
        assert_eq!(path("sqlite:///data/jimeng-relay.db"), "/data/jimeng-relay.db");
        assert_eq!(path("file:jimeng-relay.db?cache=shared&mode=rwc"), "jimeng-relay.db");
        assert_eq!(database_path("sqlite:x").unwrap().reading, Reading::Rewritten);
    }

    #[test]
    fn a_servers_url_is_refused_without_its_password() {
        for text in [
            "postgres://relay:canary@db/x",
            "postgresql+asyncpg://relay:canary@db/x",
            "MYSQL://relay:canary@db/x",
            "redis://:canary@cache:6379/0",
            "mongodb://relay:canary@db",
            "relay:canary@tcp(db:3306)/relay",
            "host=db user=relay password=canary",
        ] {
            let wrong = database_path(text).unwrap_err();
            assert!(wrong.problem.contains("names a database server"), "{text}");
            assert!(wrong.fix.contains("/data/tollgate.redb"), "{text}");
            assert!(!format!("{wrong:?}").contains("canary"), "{text}");
        }
    }

    #[test]
    fn what_cannot_outlive_the_process_is_refused() {
        for text in [
            ":memory:",
            "sqlite::memory:",
            "file::memory:?cache=shared",
            "redb:",
            "sqlite://",
            "${{Postgres.DATABASE_URL}}",
        ] {
            assert!(database_path(text).is_err(), "{text}");
        }
    }
}
