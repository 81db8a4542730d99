use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::*;

/// Base64 of 32 bytes.
const MASTER: &str = "dGhpcy1pcy1hLWZha2Uta2V5LWZvci10aGUtdGVzdHM=";

const EXAMPLE: &str = include_str!("../../.env.example");
const JIMENG_RELAY: &str = include_str!("../../tests/data/env/jimeng-relay.env");
const JIMENG_RELAY_POSTGRES: &str = include_str!("../../tests/data/env/jimeng-relay-postgres.env");
const MEGALLM_PROXY: &str = include_str!("../../tests/data/env/megallm-proxy.env");
const ROADMAP_API: &str = include_str!("../../tests/data/env/roadmap-api.env");
const ROADMAP_WORKER: &str = include_str!("../../tests/data/env/roadmap-worker.env");
const AI_PHOTO: &str = include_str!("../../tests/data/env/ai-photo.env");
const MATH_NOTES: &str = include_str!("../../tests/data/env/math-notes.env");

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
fn jimeng_relays_env_parses_as_it_is() {
    let config = Config::parse_with_dotenv(&MapVars::default(), JIMENG_RELAY).unwrap();

    assert_eq!(config.server.port, 8090);
    assert_eq!(config.store.location, Location::Named("./jimeng-relay.db".into()));
    assert_eq!(
        config.volcengine.unwrap().accounts[0].access_key.expose(),
        "fake-access-key"
    );
    assert_eq!(config.admission.per_account.max_concurrent.get(), 2);
    assert_eq!(
        config.admission.per_account.submit_min_interval,
        Duration::from_millis(500)
    );
    assert_eq!(config.telemetry.level, LevelFilter::DEBUG);
    assert_eq!(
        config.warnings,
        ["DATABASE_TYPE=sqlite has no effect: the store is one redb file; remove the variable"]
    );
}

#[test]
fn jimeng_relay_over_postgres_is_told_to_name_a_file_and_to_import_its_keys() {
    let config = Config::parse_with_dotenv(&MapVars::default(), JIMENG_RELAY_POSTGRES);
    let report = config.clone().unwrap_err().to_string();
    assert_eq!(to_change(config), ["DATABASE_TYPE", "DATABASE_URL"]);
    assert!(report.contains("tollgate key import"), "{report}");
}

#[test]
fn the_megallm_proxys_env_needs_only_a_master_key() {
    assert_eq!(
        to_change(Config::parse_with_dotenv(&MapVars::default(), MEGALLM_PROXY)),
        ["API_KEY_ENCRYPTION_KEY"]
    );

    let config = Config::parse_with_dotenv(&only_a_key(), MEGALLM_PROXY).unwrap();
    assert_eq!(config.server.host.to_string(), "0.0.0.0");
    assert_eq!(config.server.port, 8000);
    assert_eq!(config.megallm.existence, Existence::Certain);
    assert_eq!(config.megallm.base_url, "https://ai.megallm.io/v1");
    assert_eq!(config.megallm.key_file, Path::new("data/keys.txt"));
    assert_eq!(
        (config.megallm.timeout.as_secs(), config.megallm.max_attempts.get()),
        (120, 3)
    );
    assert_eq!(config.telemetry.level, LevelFilter::WARN);
    assert_eq!(config.telemetry.log_file.unwrap().path, Path::new("logs/app.log"));
    assert_eq!(
        config.warnings,
        [
            "set, but without effect here (variables of a replaced system): APP_NAME, APP_VERSION, CORS_CREDENTIALS, \
             CORS_HEADERS, CORS_METHODS, HTTP_POOL_CONNECTIONS, HTTP_POOL_MAXSIZE, LOG_RETENTION, LOG_ROTATION, \
             RELOAD, WORKERS",
        ]
    );
}

#[test]
fn the_roadmap_apis_env_needs_a_master_key_and_a_path() {
    assert_eq!(
        to_change(Config::parse_with_dotenv(&MapVars::default(), ROADMAP_API)),
        ["DATABASE_URL", "API_KEY_ENCRYPTION_KEY"]
    );
    let changed = only_a_key().with("DATABASE_URL", "/data/tollgate.redb");
    let config = Config::parse_with_dotenv(&changed, ROADMAP_API).unwrap();
    assert_eq!(config.openai.unwrap().keys[0].expose(), "fake-openai-key");
    assert_eq!(config.models.openai_model.as_deref(), Some("gpt-4o-mini"));
    let origins = vec!["http://localhost:3000".to_owned()];
    assert_eq!(config.server.cors_origins, CorsOrigins::Listed(origins));
}

#[test]
fn the_roadmap_worker_is_told_that_one_process_does_it_all() {
    let mistakes = mistakes_of(Config::parse_with_dotenv(&only_a_key(), ROADMAP_WORKER));
    assert_eq!(
        mistakes,
        [
            "SERVICE_TYPE: \"celery_content\" is a service of its own no longer: one process does it all; \
          remove this service, and run one with SERVICE_TYPE=api or without the variable"
        ]
    );
}

#[test]
fn the_ai_photo_backends_env_needs_only_a_master_key() {
    assert_eq!(
        to_change(Config::parse_with_dotenv(&MapVars::default(), AI_PHOTO)),
        ["API_KEY_ENCRYPTION_KEY"]
    );
    assert_eq!(
        Config::parse_with_dotenv(&only_a_key(), AI_PHOTO).unwrap().server.port,
        3000
    );
}

#[test]
fn the_math_notes_proxys_env_needs_only_a_master_key() {
    assert_eq!(
        to_change(Config::parse_with_dotenv(&MapVars::default(), MATH_NOTES)),
        ["API_KEY_ENCRYPTION_KEY"]
    );
    let config = Config::parse_with_dotenv(&only_a_key(), MATH_NOTES).unwrap();
    let dashscope = config.dashscope.unwrap();
    assert_eq!(dashscope.base_url, "https://dashscope.aliyuncs.com/compatible-mode/v1");
    assert_eq!(dashscope.keys[0].expose(), "fake-dashscope-key");
    assert_eq!(config.models.vision_model, "qwen3-vl-plus");
    assert_eq!(config.server.cors_origins, CorsOrigins::Anybody);
    assert!(config.warnings[0].ends_with("NODE_ENV"), "{:?}", config.warnings);
}

#[test]
fn no_variable_of_a_replaced_system_is_passed_over_in_silence() {
    for text in [JIMENG_RELAY, MEGALLM_PROXY, ROADMAP_API, AI_PHOTO, MATH_NOTES] {
        let changed = only_a_key().with("DATABASE_URL", "/data/tollgate.redb");
        let warnings = Config::parse_with_dotenv(&changed, text).unwrap().warnings.join(" ");
        for name in read_dotenv(text).0.names() {
            let known = VARIABLES.contains(&name.as_str()) || name == "SERVICE_TYPE";
            assert!(known || warnings.contains(&name), "{name}");
        }
    }
}

/// The lines of `.env.example` that set a variable, with those uncommented that show a default.
fn example() -> String {
    EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()) && line.contains('='))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_example_shows_the_defaults_that_are_in_force() {
    let mut from_example = Config::parse_with_dotenv(&only_a_key(), &example()).unwrap();
    let defaults = Config::parse(&only_a_key()).unwrap();

    assert_eq!(from_example.store.location.path(), defaults.store.location.path());
    from_example.store.location = Location::Default;
    assert_eq!(format!("{from_example:?}"), format!("{defaults:?}"));
}

/// Sets every variable, and remembers which were asked for.
struct Asked(RefCell<BTreeSet<String>>);

impl Vars for Asked {
    fn get(&self, name: &str) -> Option<String> {
        self.0.borrow_mut().insert(name.to_owned());
        Some("1".to_owned())
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn the_example_and_the_list_name_each_variable_that_is_read() {
    let asked = Asked(RefCell::default());
    Config::parse(&asked).unwrap_err();
    let mut read = asked.0.into_inner();
    read.retain(|name| !["RAILWAY_ENVIRONMENT", "FLY_APP_NAME", "SERVICE_TYPE"].contains(&name.as_str()));

    assert_eq!(VARIABLES.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), read);
    let shown = example();
    let shown: Vec<&str> = shown.lines().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(shown, VARIABLES);
}

#[test]
fn a_probe_learns_where_the_server_listens_without_any_secret() {
    let vars = MapVars::default().with("PORT", "9090");

    let server = Config::parse_server(&vars, "HOST=127.0.0.1").unwrap();

    assert_eq!((server.host.to_string().as_str(), server.port), ("127.0.0.1", 9090));
}
