//! What the vision model is asked where the caller does not say.

/// Reads what is written in the images.
pub(super) const READ: &str = "Write down all text in the image exactly as it stands, in reading order and line by \
    line. Write formulas as LaTeX between dollar signs. Where you cannot read something, write [illegible]. Answer with \
    the text alone, without any comment; if there is no text, answer with nothing.";

/// Solves the problem in the images, of which `text` was read before.
pub(super) fn solve(text: &str) -> String {
    format!("{SOLVE}\n\n{text}")
}

const SOLVE: &str = "Solve the mathematics problem in the image. Say first what is given and what is asked. Then go step \
    by step, with the reason for each step, and give the result on a last line of its own. Write formulas as LaTeX \
    between dollar signs. If the image holds no such problem, say what it shows instead. What follows is only the text \
    that was read from the image; where it differs from the image, the image is right.";
