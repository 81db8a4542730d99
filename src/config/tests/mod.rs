mod example;
mod replaced;

use std::path::Path;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::*;

/// Base64 of 32 bytes.
const MASTER: &str = "dGhpcy1pcy1hLWZha2Uta2V5LWZvci10aGUtdGVzdHM=";

fn only_a_key() -> MapVars {
    MapVars::default().with("API_KEY_ENCRYPTION_KEY", MASTER)
}

fn mistakes_of(config: Result<Config, Mistakes>) -> Vec<String> {
    config.unwrap_err().iter().map(ToString::to_string).collect()
}

/// The variables that a set of mistakes names.
fn to_change(config: Result<Config, Mistakes>) -> Vec<String> {
    config
        .unwrap_err()
        .iter()
        .map(|mistake| mistake.variable.clone())
        .collect()
}

#[test]
fn a_master_key_is_all_that_is_needed() {
    let config = Config::parse(&only_a_key()).unwrap();

    assert_eq!(config.server.port, 8080);
    assert_eq!(config.server.host.to_string(), "::");
    assert_eq!(config.store.location.path(), Path::new("./tollgate.redb"));
    assert_eq!(config.store.audit_retention, Duration::from_hours(2160));
    assert_eq!(config.jobs.queues.len(), 4);
    assert!(config.volcengine.is_none());
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn without_a_master_key_the_command_that_makes_one_is_named() {
    let mistakes = mistakes_of(Config::parse(&MapVars::default()));
    assert_eq!(mistakes.len(), 1);
    assert!(
        mistakes[0].starts_with("API_KEY_ENCRYPTION_KEY: is not set, nor is ENCRYPTION_PASSPHRASE"),
        "{mistakes:?}"
    );
    assert!(mistakes[0].contains("tollgate keygen"), "{mistakes:?}");
}

#[test]
fn a_passphrase_does_instead_of_a_key_but_not_beside_it() {
    let passphrase = MapVars::default().with("ENCRYPTION_PASSPHRASE", "five words chosen by dice");
    assert!(matches!(
        Config::parse(&passphrase).unwrap().auth.master,
        Master::Passphrase(_)
    ));

    let both = passphrase.with("API_KEY_ENCRYPTION_KEY", MASTER);
    assert_eq!(to_change(Config::parse(&both)), ["ENCRYPTION_PASSPHRASE"]);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_variable_and_its_fix() {
    let vars = MapVars::default()
        .with("API_KEY_ENCRYPTION_KEY", "c2hvcnQ=")
        .with("PORT", "eighty")
        .with("VOLC_ACCESSKEY", "AK")
        .with("VOLC_TIMEOUT", "0")
        .with("UPSTREAM_MAX_CONCURRENT", "0")
        .with("LOG_FORMAT", "xml");
    let config = Config::parse_with_dotenv(&vars, "PER_KEY_MAX_QUEUE 5");

    let report = config.clone().unwrap_err().to_string();
    assert_eq!(
        to_change(config),
        [
            ".env line 1",
            "PORT",
            "API_KEY_ENCRYPTION_KEY",
            "UPSTREAM_MAX_CONCURRENT",
            "VOLC_SECRETKEY",
            "VOLC_TIMEOUT",
            "LOG_FORMAT"
        ]
    );
    assert!(
        report.contains("\n  PORT: \"eighty\" is not a port; set a number up to 65535"),
        "{report}"
    );
}

#[test]
fn zero_is_a_mistake_where_it_would_stop_everything_and_means_off_elsewhere() {
    for name in [
        "VOLC_TIMEOUT",
        "VOLC_DEADLINE",
        "UPSTREAM_MAX_CONCURRENT",
        "UPSTREAM_QUEUE_TIMEOUT",
        "PER_KEY_MAX_CONCURRENT",
        "PER_KEY_MAX_CONCURRENT_CALLS",
        "JOB_QUEUES",
        "CELERY_CONTENT_CONCURRENCY",
        "CELERY_WORKFLOW_CONCURRENCY",
        "JOB_RETENTION",
        "JOB_MAX_FINISHED",
        "MAX_BODY_BYTES",
        "MAX_RESPONSE_BYTES",
        "BODY_MEMORY_BYTES",
        "IDEMPOTENCY_TTL",
        "AUDIT_RETENTION",
        "AUDIT_MAX_BYTES",
        "STORE_CACHE_BYTES",
        "RUN_AS_UID",
        "MEGALLM_TIMEOUT",
        "MEGALLM_MAX_RETRIES",
        "MAX_KEY_RETRIES",
        "RATE_LIMIT_WINDOW_MS",
    ] {
        assert_eq!(to_change(Config::parse(&only_a_key().with(name, "0"))), [name]);
    }
    for name in [
        "UPSTREAM_SUBMIT_MIN_INTERVAL",
        "UPSTREAM_MAX_RUNNING_TASKS",
        "UPSTREAM_MAX_QUEUE",
        "PER_KEY_MAX_QUEUE",
        "PER_KEY_MAX_QUEUE_CALLS",
        "DRAIN_TIMEOUT",
        "STORE_RESERVE_BYTES",
        "TRUSTED_PROXY_HOPS",
        "RATE_LIMIT_MAX_REQUESTS",
        "PORT",
    ] {
        assert!(Config::parse(&only_a_key().with(name, "0")).is_ok(), "{name}");
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let config = Config::parse(&only_a_key().with("PORT", " ").with("ENCRYPTION_PASSPHRASE", "")).unwrap();
    assert_eq!(config.server.port, 8080);
}

#[test]
fn port_wins_over_server_port() {
    let vars = only_a_key().with("SERVER_PORT", "1");
    assert_eq!(Config::parse(&vars).unwrap().server.port, 1);
    assert_eq!(Config::parse(&vars.with("PORT", "2")).unwrap().server.port, 2);
}

#[test]
fn the_platform_decides_how_many_proxies_are_trusted_unless_somebody_says() {
    let hops = |vars: &MapVars| Config::parse(vars).unwrap().server.trusted_proxy_hops;
    assert_eq!(hops(&only_a_key()), 0);
    assert_eq!(hops(&only_a_key().with("RAILWAY_ENVIRONMENT", "production")), 1);
    assert_eq!(hops(&only_a_key().with("FLY_APP_NAME", "relay")), 2);
    assert_eq!(
        hops(
            &only_a_key()
                .with("FLY_APP_NAME", "relay")
                .with("TRUSTED_PROXY_HOPS", "0")
        ),
        0
    );
}

#[test]
fn body_memory_must_hold_the_largest_body() {
    assert_eq!(
        to_change(Config::parse(&only_a_key().with("MAX_RESPONSE_BYTES", "1GiB"))),
        ["BODY_MEMORY_BYTES"]
    );
}

#[test]
fn a_wait_that_the_deadline_ends_first_is_warned_of() {
    let vars = only_a_key()
        .with("VOLC_ACCESSKEY", "AK")
        .with("VOLC_SECRETKEY", "SK")
        .with("UPSTREAM_QUEUE_TIMEOUT", "24s");
    let warnings = Config::parse(&vars).unwrap().warnings;
    assert!(
        warnings[0].starts_with("UPSTREAM_QUEUE_TIMEOUT is longer than 23s"),
        "{warnings:?}"
    );
}

#[test]
fn a_misspelt_variable_is_warned_of() {
    let warnings = Config::parse(&only_a_key().with("VOLC_ACCESS_KEY", "AK"))
        .unwrap()
        .warnings;
    assert_eq!(warnings, ["set, but not known, perhaps misspelt: VOLC_ACCESS_KEY"]);
}

#[test]
fn the_environment_wins_over_the_dotenv_file() {
    let config = Config::parse_with_dotenv(&only_a_key().with("PORT", "1"), "PORT=2\nHOST=127.0.0.1").unwrap();
    assert_eq!(config.server.port, 1);
    assert_eq!(config.server.host.to_string(), "127.0.0.1");
}

#[test]
fn a_comment_behind_a_value_is_explained() {
    let mistakes = mistakes_of(Config::parse_with_dotenv(&only_a_key(), "PORT=8080 # the port"));
    assert!(
        mistakes[0].ends_with("(in .env a comment needs a line of its own)"),
        "{mistakes:?}"
    );
}

#[test]
fn no_secret_is_printed_by_a_configuration_or_a_mistake() {
    let secrets = |canary: &str| {
        MapVars::default()
            .with("ENCRYPTION_PASSPHRASE", canary)
            .with("ADMIN_TOKEN", canary)
            .with("METRICS_TOKEN", canary)
            .with("VOLC_ACCESSKEY", canary)
            .with("VOLC_SECRETKEY", canary)
            .with("OPENAI_API_KEY", canary)
            .with("DASHSCOPE_API_KEY", canary)
            .with("INTERNAL_CALLBACK_SECRET", canary)
    };
    let config = Config::parse(
        &secrets("canary-canary-canary-canary-canary-canary").with("API_KEY_ENCRYPTION_KEY_PREVIOUS", MASTER),
    );
    let printed = format!("{:?}", config.unwrap());
    assert!(!printed.contains("canary"), "{printed}");

    let wrong = secrets("canary é,")
        .with("API_KEY_ENCRYPTION_KEY", "canary")
        .with("API_KEY_ENCRYPTION_KEY_PREVIOUS", "canary")
        .with("DATABASE_URL", "postgres://relay:canary@db/relay")
        .with("VOLC_HOST", "https://user:canary@host")
        .with("MEGALLM_BASE_URL", "https://user:canary@host");
    let mistakes = Config::parse(&wrong).unwrap_err();
    assert_eq!(mistakes.iter().count(), 14, "{mistakes}");
    assert!(!format!("{mistakes} {mistakes:?}").contains("canary"), "{mistakes}");
}

#[test]
fn a_probe_learns_where_the_server_listens_without_any_secret() {
    let vars = MapVars::default().with("PORT", "9090");

    let server = Config::parse_server(&vars, "HOST=127.0.0.1").unwrap();

    assert_eq!((server.host.to_string().as_str(), server.port), ("127.0.0.1", 9090));
}
