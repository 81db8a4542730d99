//! The OpenAI-compatible upstreams that the environment defines, and the models that calls are for.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::value::{self, Wrong};
use crate::model::catalogue::UnknownModels;
use crate::model::secret::Secret;
use crate::model::upstream;

/// One OpenAI-compatible upstream that the environment defines.
#[derive(Debug, Clone)]
pub struct OpenAi {
    /// Where it is: `https://host[:port][/path]` without a trailing slash.
    pub base_url: String,
    /// The longest wait for the head of a reply, and between two frames of a stream.
    pub timeout: Duration,
    /// Most attempts of one call that count.
    pub max_attempts: NonZeroU32,
    /// Its accounts' keys, at least one and each of them once, in the order of the variable. They are never written to
    /// disk.
    pub keys: Vec<Secret>,
}

/// The `megallm` upstream, whose accounts stand in a file.
#[derive(Debug, Clone)]
pub struct MegaLlm {
    /// Whether there is such an upstream.
    pub existence: Existence,
    /// Where it is: `https://host[:port][/path]` without a trailing slash.
    pub base_url: String,
    /// The longest wait for the head of a reply, and between two frames of a stream.
    pub timeout: Duration,
    /// Most attempts of one call that count.
    pub max_attempts: NonZeroU32,
    /// The key file, relative to the working directory unless it begins with a slash. Whether it can be read is found
    /// out by whoever opens it.
    pub key_file: PathBuf,
}

/// Whether there is an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// `MEGALLM_BASE_URL` is set: there is.
    Certain,
    /// There is while the key file is there.
    WithKeyFile,
}

/// Which models calls are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSettings {
    /// `DEFAULT_MODEL`; `None` leaves the default to `openai_model` and to the upstreams that there are.
    pub default_model: Option<String>,
    /// `OPENAI_MODEL`, which the `openai` upstream serves.
    pub openai_model: Option<String>,
    /// What becomes of a model that is not in the registry; `None` leaves it to the number of upstreams.
    pub unknown_models: Option<UnknownModels>,
    /// The model behind the vision routes.
    pub vision_model: String,
}

impl OpenAi {
    /// How long a reply may take where no variable says: as long as OpenAI's own clients wait.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

    /// Most attempts of one call where no variable says: what the MegaLLM proxy made.
    pub const DEFAULT_ATTEMPTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

    /// The `openai` upstream; `None` where `OPENAI_API_KEY` is not set or wrong.
    pub(super) fn read_openai(reader: &mut Reader<'_>) -> Option<Self> {
        Self::read(reader, "OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1")
    }

    /// The `dashscope` upstream; `None` where `DASHSCOPE_API_KEY` is not set or wrong.
    pub(super) fn read_dashscope(reader: &mut Reader<'_>) -> Option<Self> {
        let default = "https://dashscope.aliyuncs.com/compatible-mode/v1";
        Self::read(reader, "DASHSCOPE_API_KEY", "DASHSCOPE_BASE_URL", default)
    }

    fn read(reader: &mut Reader<'_>, key: &str, url: &str, default_url: &str) -> Option<Self> {
        let keys = reader.secret(key, |text| keys(&text));
        let base_url = reader.value_or(url, default_url.to_owned(), base_url);
        if reader.text(key).is_none() && base_url != default_url {
            reader.warn(format!("{url} is set, but {key} is not: there is no such upstream"));
        }
        Some(Self {
            base_url,
            timeout: Self::DEFAULT_TIMEOUT,
            max_attempts: Self::DEFAULT_ATTEMPTS,
            keys: keys?,
        })
    }
}

impl MegaLlm {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let existence = match reader.text("MEGALLM_BASE_URL") {
            Some(_) => Existence::Certain,
            None => Existence::WithKeyFile,
        };
        let base_url = reader.value_or("MEGALLM_BASE_URL", "https://ai.megallm.io/v1".to_owned(), base_url);
        let timeout = reader.value_or("MEGALLM_TIMEOUT", Duration::from_mins(2), value::timeout);
        // The MegaLLM proxy multiplied the two, up to nine attempts, though it never read the first. Here a call has
        // one number of attempts, and neither variable is passed over.
        let of_a_key = reader.value("MEGALLM_MAX_RETRIES", attempts);
        let of_the_pool = reader.value("MAX_KEY_RETRIES", attempts);
        Self {
            existence,
            base_url,
            timeout,
            max_attempts: of_a_key
                .into_iter()
                .chain(of_the_pool)
                .min()
                .unwrap_or(OpenAi::DEFAULT_ATTEMPTS),
            key_file: reader.value_or("KEY_FILE_PATH", PathBuf::from("data/keys.txt"), key_file),
        }
    }
}

impl ModelSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            default_model: reader.value("DEFAULT_MODEL", model),
            openai_model: reader.value("OPENAI_MODEL", model),
            unknown_models: reader.value("UNKNOWN_MODELS", unknown_models),
            vision_model: reader.value_or("VISION_MODEL", "qwen3-vl-plus".to_owned(), model),
        }
    }
}

/// One or more keys, by commas or as a JSON array: each is an account.
fn keys(text: &str) -> Result<Vec<Secret>, Wrong> {
    let keys = value::list(text)?
        .into_iter()
        .map(Secret::new)
        .map(value::visible)
        .collect::<Result<Vec<_>, _>>()?;
    let distinct: BTreeSet<&str> = keys.iter().map(Secret::expose).collect();
    if distinct.len() != keys.len() {
        return Err(Wrong::new("names a key twice", "list each key once"));
    }
    Ok(keys)
}

fn base_url(text: &str) -> Result<String, Wrong> {
    upstream::parse_base_url(text)
        .map_err(|problem| Wrong::new(problem.to_string(), "set one such as https://api.example.com/v1"))
}

fn attempts(text: &str) -> Result<NonZeroU32, Wrong> {
    let wrong = || Wrong::new("is not a number of attempts", "set 1 to 100; the first attempt counts");
    text.parse::<NonZeroU32>()
        .ok()
        .filter(|attempts| attempts.get() <= 100)
        .ok_or_else(wrong)
}

fn model(text: &str) -> Result<String, Wrong> {
    if text.len() <= 256 && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        "is not a model's name",
        "set up to 256 bytes without control characters",
    ))
}

fn unknown_models(text: &str) -> Result<UnknownModels, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "pass" => Ok(UnknownModels::Pass),
        "refuse" => Ok(UnknownModels::Refuse),
        _ => Err(Wrong::new("is not a rule", "set pass or refuse")),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a parser as `Reader::value` takes it; every text is a path"
)]
fn key_file(text: &str) -> Result<PathBuf, Wrong> {
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::vars::MapVars;

    fn mistakes(vars: &MapVars, read: impl FnOnce(&mut Reader<'_>)) -> Vec<String> {
        let mut reader = Reader::new(vars);
        read(&mut reader);
        reader.mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_makes_an_upstream_and_several_make_a_pool() {
        let vars = MapVars::default().with("OPENAI_API_KEY", "sk-1, sk-2");
        let openai = OpenAi::read_openai(&mut Reader::new(&vars)).unwrap();

        assert_eq!(openai.base_url, "https://api.openai.com/v1");
        assert_eq!(
            openai.keys.iter().map(Secret::expose).collect::<Vec<_>>(),
            ["sk-1", "sk-2"]
        );
        assert!(OpenAi::read_dashscope(&mut Reader::new(&vars)).is_none());
    }

    #[test]
    fn a_key_that_no_header_carries_and_one_named_twice_are_mistakes_that_do_not_show_it() {
        for text in ["sk-1,sk-1", "sk canary", "sk-é", "sk-1,,sk-2"] {
            let vars = MapVars::default().with("OPENAI_API_KEY", text);
            let told = mistakes(&vars, |reader| drop(OpenAi::read_openai(reader)));
            assert_eq!(told.len(), 1, "{text}");
            assert!(
                told[0].starts_with("OPENAI_API_KEY: ") && !told[0].contains("sk"),
                "{told:?}"
            );
        }
    }

    #[test]
    fn an_address_without_a_key_is_warned_of_and_checked_all_the_same() {
        let vars = MapVars::default().with("OPENAI_BASE_URL", "http://vllm:8000/v1");
        let mut reader = Reader::new(&vars);
        assert!(OpenAi::read_openai(&mut reader).is_none());
        assert_eq!(
            reader.warnings,
            ["OPENAI_BASE_URL is set, but OPENAI_API_KEY is not: there is no such upstream"]
        );

        for (text, why) in [
            ("api.openai.com", "is not an address"),
            ("ftp://host", "must begin with https://"),
            ("https://u:canary@host", "must not hold a user"),
            ("https://host?key=1", "must not hold a query"),
        ] {
            let vars = MapVars::default().with("OPENAI_BASE_URL", text);
            let told = mistakes(&vars, |reader| drop(OpenAi::read_openai(reader)));
            assert!(told[0].contains(why) && !told[0].contains("canary"), "{told:?}");
        }
    }

    #[test]
    fn megallm_is_certain_where_its_address_is_set_and_else_hangs_on_its_key_file() {
        let nothing = MegaLlm::read(&mut Reader::new(&MapVars::default()));
        assert_eq!(nothing.existence, Existence::WithKeyFile);
        assert_eq!(nothing.key_file, PathBuf::from("data/keys.txt"));
        assert_eq!((nothing.timeout.as_secs(), nothing.max_attempts.get()), (120, 3));

        let vars = MapVars::default().with("MEGALLM_BASE_URL", "https://ai.megallm.io/v1/");
        let named = MegaLlm::read(&mut Reader::new(&vars));
        assert_eq!(named.existence, Existence::Certain);
        assert_eq!(named.base_url, "https://ai.megallm.io/v1");
    }

    #[test]
    fn neither_number_of_attempts_is_passed_over() {
        let of = |vars: &MapVars| MegaLlm::read(&mut Reader::new(vars)).max_attempts.get();
        let five = MapVars::default().with("MEGALLM_MAX_RETRIES", "5");
        assert_eq!(of(&five), 5);
        assert_eq!(of(&five.with("MAX_KEY_RETRIES", "2")), 2);
        for text in ["0", "101", "-1", "three"] {
            for name in ["MEGALLM_MAX_RETRIES", "MAX_KEY_RETRIES"] {
                let told = mistakes(&MapVars::default().with(name, text), |reader| {
                    drop(MegaLlm::read(reader));
                });
                assert!(told[0].starts_with(name), "{told:?}");
            }
        }
    }

    #[test]
    fn a_models_name_is_short_and_without_control_characters() {
        for text in ["a\tb", &"x".repeat(257)] {
            let told = mistakes(&MapVars::default().with("DEFAULT_MODEL", text), |reader| {
                drop(ModelSettings::read(reader));
            });
            assert_eq!(told.len(), 1, "{told:?}");
        }
    }

    #[test]
    fn a_rule_for_unknown_models_is_one_of_two_words() {
        let vars = MapVars::default().with("UNKNOWN_MODELS", "Pass");
        let settings = ModelSettings::read(&mut Reader::new(&vars));
        assert_eq!(settings.unknown_models, Some(UnknownModels::Pass));

        let told = mistakes(&MapVars::default().with("UNKNOWN_MODELS", "allow"), |reader| {
            drop(ModelSettings::read(reader));
        });
        assert_eq!(told, ["UNKNOWN_MODELS: \"allow\" is not a rule; set pass or refuse"]);
    }
}
