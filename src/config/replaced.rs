//! Variables that the replaced systems read and Tollgate does not.

use super::reader::Reader;
use super::value::Wrong;

/// Warns of variables that have no effect, and refuses a role that no longer exists.
pub(super) fn read(reader: &mut Reader<'_>) {
    reader.value("SERVICE_TYPE", service_type);
    let mut names = reader.names();
    names.retain(|name| NEVER.iter().any(|pattern| matches(pattern, name)));
    if !names.is_empty() {
        reader.warn(format!(
            "set, but without effect here (variables of a replaced system): {}",
            names.join(", ")
        ));
    }
}

/// The roadmap backend ran one image as six services, told apart by this variable.
fn service_type(text: &str) -> Result<(), Wrong> {
    if text.eq_ignore_ascii_case("api") {
        return Ok(());
    }
    Err(Wrong::new(
        "is a service of its own no longer: one process does it all",
        "remove this service, and run one with SERVICE_TYPE=api or without the variable",
    ))
}

/// Whether `name` is `pattern`, or begins with what stands before the pattern's final `*`.
fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// Variables that never have an effect here: what they tuned does not exist in one process over one file.
const NEVER: &[&str] = &[
    // jimeng-relay's fork with billing
    "ADMIN_RESET_BASE_URL",
    "EMAIL_FROM",
    "EMAIL_PROVIDER",
    // MegaLLM proxy
    "APP_NAME",
    "APP_VERSION",
    "CORS_CREDENTIALS",
    "CORS_HEADERS",
    "CORS_METHODS",
    "HTTP_POOL_*",
    "LOG_RETENTION",
    "LOG_ROTATION",
    "RELOAD",
    "WORKERS",
    // roadmap backend
    "ACCESS_TOKEN_EXPIRE_MINUTES",
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "ADMIN_USERNAME",
    "ANALYZER_*",
    "ARCHITECT_*",
    "CELERY_LOGS_CONCURRENCY",
    "CELERY_LOG_LEVEL",
    "EDITOR_*",
    "ENABLE_TASK_RECOVERY",
    "FLOWER_PORT",
    "GENERATOR_*",
    "HUMAN_REVIEW_TIMEOUT_HOURS",
    "OTEL_*",
    "POSTGRES_*",
    "QUIZ_*",
    "RECOMMENDER_*",
    "S3_*",
    "TASK_RECOVERY_*",
    "TAVILY_*",
    "USE_DUCKDUCKGO_FALLBACK",
    "UVICORN_WORKERS",
    "VALIDATOR_*",
    // ai-photo backend
    "API_DOMAIN",
    "BUILDING_AI_*",
    "BULLMQ_*",
    "COS_*",
    "CREDENTIALS_ENCRYPTION_KEY",
    "CRON_ENABLE_*",
    "DATABASE_POOL_*",
    "ENABLE_BULL_BOARD",
    "FRONTEND_URL",
    "HTTP_CLIENT_*",
    "HUNYUAN_API_KEY",
    "KMS_MASTER_KEY",
    "KUAI_API_KEY",
    "MASTER_KEY",
    "PROMETHEUS_ENABLED",
    "PROVIDER_SECRET_KEY",
    "QUOTA_COST_*",
    "RUNNINGHUB_API_KEY",
    "TENCENT_*",
    "WECHAT_*",
    // Math Notes proxy
    "ENV_FILE",
    "NODE_ENV",
    "VERCEL",
    // several of them
    "DB_*",
    "JWT_*",
    "REDIS_*",
];
