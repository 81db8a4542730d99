//! Whether everything that jobs hold sealed still opens.

use super::vault::Vault;
use crate::model::id::JobId;
use crate::model::job::ItemRef;
use crate::store::error::StoreError;
use crate::store::jobs::log::{self, Wanted};
use crate::store::jobs::{self, item};
use crate::store::{Reader, Store};

/// How many sealed values opened, and how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// Those that opened.
    pub opened: u64,
    /// Those that did not.
    pub damaged: u64,
}

impl Seals {
    /// Counts one.
    pub const fn count<T, E>(&mut self, opened: &Result<T, E>) {
        match opened {
            Ok(_) => self.opened += 1,
            Err(_) => self.damaged += 1,
        }
    }
}

impl Vault {
    /// Opens everything that jobs hold sealed. Blocks; for a store that nobody else uses. `told` is called after each
    /// job.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read.
    pub fn verify(&self, store: &Store, mut told: impl FnMut(Seals)) -> Result<Seals, StoreError> {
        let (mut before, mut seals) = (JobId::from_bits(u128::MAX), Seals::default());
        loop {
            let page = store.read(|rows| jobs::latest(rows, before, PAGE))?;
            let Some((last, _)) = page.last() else { return Ok(seals) };
            before = *last;
            for (id, job) in page {
                seals.count(&self.open_private(id, &job));
                store.read(|rows| self.verify_items(rows, id, &mut seals))?;
                store.read(|rows| self.verify_lines(rows, id, &mut seals))?;
                told(seals);
            }
        }
    }

    fn verify_items(&self, rows: &mut Reader, id: JobId, seals: &mut Seals) -> Result<(), StoreError> {
        let mut from = 0;
        loop {
            let items = item::of_job(rows, id, from, PAGE)?;
            let Some((last, _)) = items.last() else { return Ok(()) };
            from = last.saturating_add(1);
            for (index, _) in items {
                let at = ItemRef { job: id, index };
                if let Some(sealed) = item::body(rows, at)? {
                    seals.count(&self.open_body(at, &sealed));
                }
                if let Some(sealed) = item::result(rows, at)? {
                    seals.count(&self.open_result(at, &sealed));
                }
            }
        }
    }

    fn verify_lines(&self, rows: &mut Reader, id: JobId, seals: &mut Seals) -> Result<(), StoreError> {
        let mut offset = 0;
        loop {
            let found = log::search(rows, id, &Wanted::default(), offset, PAGE)?;
            if found.lines.is_empty() {
                return Ok(());
            }
            offset += found.lines.len() as u64;
            for (number, line) in found.lines {
                seals.count(&self.open_line(id, number, &line.sealed));
            }
        }
    }
}

/// Rows that are looked at in one read.
const PAGE: usize = 200;
