//! What may be shown of a credential.

/// The first characters of a credential, seven at most and never more than a quarter of it.
pub(super) fn mask(credential: &str) -> String {
    let shown = (credential.chars().count() / 4).min(MOST);
    credential.chars().take(shown).chain(['…']).collect()
}

/// Enough to tell accounts of one provider apart: `sk-Ab12`.
const MOST: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_the_beginning_and_never_more_than_a_quarter() {
        for (credential, shown) in [
            ("sk-Ab12Cd34Ef56Gh78Ij90Kl12Mn34", "sk-Ab12…"),
            ("sk-12345", "sk…"),
            ("abc", "…"),
            ("", "…"),
        ] {
            assert_eq!(mask(credential), shown);
        }
    }
}
