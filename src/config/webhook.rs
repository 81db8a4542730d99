//! Webhooks: what they are signed with, and what they may reach besides the public internet.

use super::reader::Reader;
use super::value::{self, Wrong};
use crate::model::secret::Secret;
use crate::model::webhook::Exemption;

/// What webhooks are signed with, and what they may reach besides the public internet.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `INTERNAL_CALLBACK_SECRET`: what each owner's secret is derived from, at least 32 characters. Without it no
    /// webhook is taken.
    pub root: Option<Secret>,
    /// `WEBHOOK_ALLOW`.
    pub allow: Vec<Exemption>,
}

impl Webhook {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            root: reader.secret("INTERNAL_CALLBACK_SECRET", root),
            allow: reader.value_or("WEBHOOK_ALLOW", Vec::new(), allow),
        }
    }
}

fn root(text: String) -> Result<Secret, Wrong> {
    value::at_least(
        32,
        text,
        "set at least 32 random characters, such as `tollgate keygen` prints",
    )
}

fn allow(text: &str) -> Result<Vec<Exemption>, Wrong> {
    // Brackets are those of an IPv6 address, where they are not those of a JSON array.
    let is_json = text.starts_with("[\"");
    let items = if text.starts_with('[') && !is_json {
        value::separated(text)?
    } else {
        value::list(text)?
    };
    let exemptions: Result<_, _> = items.iter().map(|item| item.parse()).collect();
    exemptions.map_err(|_| {
        Wrong::new(
            "names something that is neither a host nor an address nor a block of addresses",
            "write each as in hooks.internal, hooks.internal:8080, 10.0.0.7, 10.0.0.0/8 or [fd00::/8]:8080",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_secret_needs_32_characters() {
        assert!(root("x".repeat(32)).is_ok());
        let short = root("x".repeat(31)).unwrap_err();
        assert_eq!(short.problem, "has 31 characters, at least 32 are needed");
        assert!(short.fix.contains("tollgate keygen"));
    }

    #[test]
    fn exemptions_are_a_list_in_either_form() {
        let expected: Vec<Exemption> = ["hooks.internal:8080", "10.0.0.0/8"]
            .map(|item| item.parse().unwrap())
            .into();
        assert_eq!(allow("hooks.internal:8080, 10.0.0.0/8"), Ok(expected.clone()));
        assert_eq!(allow(r#"["hooks.internal:8080","10.0.0.0/8"]"#), Ok(expected));
        assert_eq!(allow("[::1]:8080, a").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_exemption_is_refused() {
        for text in ["*", "http://hooks.internal", "10.0.0.0/33", "a,,b", "a b"] {
            assert!(allow(text).is_err(), "{text}");
        }
    }
}
