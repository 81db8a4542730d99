//! Where background work waits, how much of it runs at once, and how long what has ended is kept.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::reader::Reader;
use super::value::{self, Wrong};
use crate::model::job::QueueName;

/// The queues of jobs, and what is kept of those that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jobs {
    /// Every queue, each once, with how many of its items run at once. `default` and `media` are always among them.
    pub queues: Vec<(QueueName, NonZeroUsize)>,
    /// How long a job is kept that has ended.
    pub retention: Duration,
    /// When more jobs than this have ended, the oldest go early.
    pub most_finished: u64,
}

impl Jobs {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut queues = reader
            .value("JOB_QUEUES", queues_of)
            .unwrap_or_else(|| queues_of(OF_THE_ROADMAP).unwrap_or_default());
        for (variable, name) in [
            ("CELERY_CONTENT_CONCURRENCY", "content_generation"),
            ("CELERY_WORKFLOW_CONCURRENCY", "roadmap_workflow"),
        ] {
            if let (Some(concurrency), Ok(name)) = (reader.value(variable, concurrency), name.parse()) {
                set(&mut queues, name, concurrency);
            }
        }
        for (name, concurrency) in [(QueueName::default_queue(), OF_DEFAULT), (QueueName::media(), OF_MEDIA)] {
            if queues.iter().all(|(listed, _)| *listed != name) {
                queues.push((name, concurrency));
            }
        }
        let most_finished = reader.value_or("JOB_MAX_FINISHED", MOST_FINISHED, value::positive);
        Self {
            queues,
            retention: reader.value_or("JOB_RETENTION", Duration::from_hours(7 * 24), value::timeout),
            most_finished: most_finished.get() as u64,
        }
    }
}

fn set(queues: &mut Vec<(QueueName, NonZeroUsize)>, name: QueueName, concurrency: NonZeroUsize) {
    match queues.iter_mut().find(|(listed, _)| *listed == name) {
        Some((_, present)) => *present = concurrency,
        None => queues.push((name, concurrency)),
    }
}

/// A list of names with their concurrency, each name once.
fn queues_of(text: &str) -> Result<Vec<(QueueName, NonZeroUsize)>, Wrong> {
    let mut queues: Vec<(QueueName, NonZeroUsize)> = Vec::new();
    for item in value::list(text)? {
        let Some((name, running)) = item.rsplit_once(':') else {
            return Err(Wrong::new(
                "is not a list of queues",
                "write name:concurrency for each, such as default:4,reports:2",
            ));
        };
        let name: QueueName = name.trim().parse().map_err(|_| {
            Wrong::new(
                "names a queue that cannot be",
                "write 1 to 64 of a-z, 0-9, _ and - before the colon",
            )
        })?;
        if queues.iter().any(|(listed, _)| *listed == name) {
            return Err(Wrong::new(format!("names {name} twice"), "list each queue once"));
        }
        queues.push((name, concurrency(running.trim())?));
    }
    Ok(queues)
}

/// How many items of a queue run at once.
fn concurrency(text: &str) -> Result<NonZeroUsize, Wrong> {
    let number = text.parse::<NonZeroUsize>().ok();
    number
        .filter(|number| number.get() <= MOST_CONCURRENT)
        .ok_or_else(|| Wrong::new("has no such concurrency", format!("set 1 to {MOST_CONCURRENT}")))
}

/// More would be more connections than an upstream takes from one address.
const MOST_CONCURRENT: usize = 1024;
/// The roadmap backend's queues, with the concurrency of its workers.
const OF_THE_ROADMAP: &str = "default:4,content_generation:10,roadmap_workflow:6";
const OF_DEFAULT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
const OF_MEDIA: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
const MOST_FINISHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99_999);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::vars::MapVars;

    fn read(vars: &[(&str, &str)]) -> (Jobs, Vec<String>) {
        let vars = vars
            .iter()
            .fold(MapVars::default(), |vars, (name, value)| vars.with(name, value));
        let mut reader = Reader::new(&vars);
        let jobs = Jobs::read(&mut reader);
        (jobs, reader.mistakes.iter().map(ToString::to_string).collect())
    }

    fn listed(vars: &[(&str, &str)]) -> String {
        let (jobs, mistakes) = read(vars);
        assert_eq!(mistakes, [""; 0]);
        let queues: Vec<String> = jobs.queues.iter().map(|(name, n)| format!("{name}:{n}")).collect();
        queues.join(",")
    }

    #[test]
    fn the_roadmaps_queues_are_there_where_nothing_is_said() {
        assert_eq!(
            listed(&[]),
            "default:4,content_generation:10,roadmap_workflow:6,media:16"
        );
        let (jobs, _) = read(&[]);
        assert_eq!((jobs.retention.as_secs(), jobs.most_finished), (604_800, 100_000));
    }

    #[test]
    fn a_list_replaces_them_but_for_those_that_always_exist() {
        assert_eq!(listed(&[("JOB_QUEUES", "reports:2")]), "reports:2,default:4,media:16");
        assert_eq!(
            listed(&[("JOB_QUEUES", r#"["media : 1", "default:1024"]"#)]),
            "media:1,default:1024"
        );
    }

    #[test]
    fn the_celery_workers_variables_win() {
        assert_eq!(
            listed(&[("CELERY_CONTENT_CONCURRENCY", "3")]),
            "default:4,content_generation:3,roadmap_workflow:6,media:16"
        );
        assert_eq!(
            listed(&[
                ("JOB_QUEUES", "content_generation:9"),
                ("CELERY_CONTENT_CONCURRENCY", "1"),
                ("CELERY_WORKFLOW_CONCURRENCY", "2"),
            ]),
            "content_generation:1,roadmap_workflow:2,default:4,media:16"
        );
    }

    #[test]
    fn what_is_not_a_list_of_queues_is_a_mistake() {
        for text in [
            "default",
            "default:0",
            "default:1025",
            "default:-1",
            "Default:4",
            ":4",
            "a:1,a:2",
            "a:1,,b:2",
            "[]",
            "a:1:2",
        ] {
            let (_, mistakes) = read(&[("JOB_QUEUES", text)]);
            assert_eq!(mistakes.len(), 1, "{text}");
            assert!(mistakes[0].starts_with("JOB_QUEUES: "), "{mistakes:?}");
        }
        for name in ["CELERY_CONTENT_CONCURRENCY", "JOB_RETENTION", "JOB_MAX_FINISHED"] {
            assert_eq!(read(&[(name, "0")]).1.len(), 1, "{name}");
        }
    }
}
