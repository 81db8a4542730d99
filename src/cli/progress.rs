//! How far a command is, on standard error: drawn where that is a terminal, and nowhere else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// So many rows, of `all`.
pub(super) fn rows(all: u64) -> ProgressBar {
    let bar = styled(
        ProgressBar::new(all),
        "{bar:40} {human_pos} of {human_len} rows, {eta} left",
    );
    let style = bar.style().progress_chars("━╸ ");
    bar.with_style(style)
}

/// So many bytes, of nobody knows how many.
pub(super) fn bytes() -> ProgressBar {
    styled(ProgressBar::new_spinner(), "{spinner} {msg}{binary_bytes} in {elapsed}")
}

/// Something is being done that does not say how far it is.
pub(super) fn spinner(text: &'static str) -> ProgressBar {
    let spinner = styled(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}").with_message(text);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// With a style of ours; were it wrong, with that of the crate.
fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_says_how_far_it_is() {
        let bar = rows(1_200_000);
        bar.set_position(40_793);
        assert_eq!((bar.position(), bar.length()), (40_793, Some(1_200_000)));
        for bar in [bytes(), spinner("every page")] {
            assert_eq!(bar.length(), None);
            bar.finish_and_clear();
        }
    }
}
