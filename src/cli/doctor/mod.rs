//! `tollgate doctor`: what is wrong with this machine's Tollgate, and what to do about each.
//!
//! It changes nothing: a store at rest is opened for reading alone, a server that runs is asked, and what is sent to
//! upstreams costs nothing.

mod files;
mod finding;
mod network;
mod store;

use std::process::ExitCode;

use clap::Args;

use self::finding::{Check, Finding, Report, Status};
use self::network::Upstream;
use super::error::CliError;
use super::output::Output;
use super::startup;
use crate::app;
use crate::config::{Config, Existence};
use crate::model::clock::SystemClock;

/// Check configuration, files, clock, master key and upstreams, and name the fix for each finding
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Reach for no upstream
    #[arg(long)]
    offline: bool,
    /// Print JSON, also on a terminal
    #[arg(long)]
    json: bool,
}

/// Checks, and prints what was found. The exit code is 1 where something is a problem.
///
/// # Errors
/// [`CliError`] only where it cannot check: what is wrong is a finding.
pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode, CliError> {
    startup::log_warnings();
    let report = Report::from(match startup::config() {
        Ok(config) => examine(&config, args.offline)?,
        Err(CliError::Config(mistakes)) => mistakes
            .iter()
            .map(|mistake| {
                let what = format!("{}: {}", mistake.variable, mistake.problem);
                Finding::problem(Check::Configuration, what, &mistake.fix)
            })
            .collect(),
        Err(other) => return Err(other),
    });
    Output::detect(args.json).show(&report)?;
    Ok(if report.healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn examine(config: &Config, offline: bool) -> Result<Vec<Finding>, CliError> {
    let mut findings = configuration(config);
    if let Err(error) = startup::become_user(config) {
        findings.push(Finding::of_sentence(Check::Permissions, &error.to_string()));
        return Ok(findings);
    }
    let location = &config.store.location;
    let path = app::store_path(location).unwrap_or_else(|_| location.path().to_owned());
    let permissions = files::permissions(config, &path);
    let locked_out = permissions.iter().any(|finding| finding.status == Status::Problem);
    findings.extend(permissions);
    findings.push(files::room(config, &path));
    startup::run(Box::pin(async {
        let mut upstreams = of_environment(config);
        // Who may not use the files learns nothing more from them.
        if !locked_out {
            let (of_store, added) =
                store::check(&path, app::inspect(config), config.store.idempotency_ttl, &SystemClock).await;
            findings.extend(of_store);
            upstreams.extend(added);
        }
        if !offline {
            findings.extend(network::check(&upstreams, &SystemClock).await?);
        }
        Ok(findings)
    }))
}

fn configuration(config: &Config) -> Vec<Finding> {
    if config.warnings.is_empty() {
        return vec![Finding::ok(Check::Configuration, "every variable can be used")];
    }
    let warned = config.warnings.iter();
    warned
        .map(|warning| {
            Finding::warning(
                Check::Configuration,
                warning,
                "see .env.example for what each variable does",
            )
        })
        .collect()
}

/// The upstreams that the environment defines.
fn of_environment(config: &Config) -> Vec<Upstream> {
    let volcengine = config.volcengine.as_ref();
    let volcengine = volcengine.map(|settings| ("volcengine", format!("{}://{}", settings.scheme, settings.host)));
    let compatible = [("openai", &config.openai), ("dashscope", &config.dashscope)];
    let compatible = compatible
        .into_iter()
        .filter_map(|(name, settings)| Some((name, settings.as_ref()?.base_url.clone())));
    let megallm = &config.megallm;
    let pooled = megallm.existence == Existence::Certain || megallm.key_file.exists();
    let megallm = pooled.then(|| ("megallm", megallm.base_url.clone()));
    volcengine
        .into_iter()
        .chain(compatible)
        .chain(megallm)
        .map(|(name, base_url)| Upstream {
            name: name.to_owned(),
            base_url,
        })
        .collect()
}
