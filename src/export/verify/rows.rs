//! Whether the rows of a file are those that were signed.

use super::super::checkpoint::{Checkpoint, DayRows};
use super::super::root::Root;
use super::lines::Line;

/// Compares `lines` with what a checkpoint states of them. What is wrong reads on after the file's name.
pub(super) fn check(
    lines: impl Iterator<Item = Result<Line, String>>,
    checkpoint: &Checkpoint,
    stated: &DayRows,
) -> Result<(), String> {
    let (first, last) = (stated.first, checkpoint.head.seq);
    let mut root = Root::new();
    let mut expected = first;
    for line in lines {
        let Line { seq, bytes } = line?;
        if root.rows() == 0 && seq != first {
            return Err(format!(
                "begins with entry {seq}, and its checkpoint states {first} to {last}: rows are missing, or it is the \
                 file of another day"
            ));
        }
        if expected > last {
            return Err(format!(
                "goes on after entry {last}, the last that its checkpoint states"
            ));
        }
        if seq > expected {
            return Err(format!("has no entry {expected}: a row is missing"));
        }
        if seq < expected {
            return Err(format!(
                "has entry {seq} where {expected} belongs: rows were moved or doubled"
            ));
        }
        root.add(&bytes);
        expected += 1;
    }
    if expected <= last {
        return Err(format!(
            "ends before entry {expected}, and its checkpoint states {first} to {last}"
        ));
    }
    if root.digest() != stated.rows {
        return Err("was changed: its rows are not those that were signed".to_owned());
    }
    Ok(())
}
