//! The environments of the systems that Tollgate replaces, as they are.

use std::path::Path;

use super::*;

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

const JIMENG_RELAY: &str = include_str!("../../../tests/data/env/jimeng-relay.env");
const JIMENG_RELAY_POSTGRES: &str = include_str!("../../../tests/data/env/jimeng-relay-postgres.env");
const MEGALLM_PROXY: &str = include_str!("../../../tests/data/env/megallm-proxy.env");
const ROADMAP_API: &str = include_str!("../../../tests/data/env/roadmap-api.env");
const ROADMAP_WORKER: &str = include_str!("../../../tests/data/env/roadmap-worker.env");
const AI_PHOTO: &str = include_str!("../../../tests/data/env/ai-photo.env");
const MATH_NOTES: &str = include_str!("../../../tests/data/env/math-notes.env");
