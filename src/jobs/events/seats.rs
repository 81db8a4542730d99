//! How many streams each owner follows at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::id::OwnerId;

/// The seats that are taken.
#[derive(Default)]
pub(super) struct Seats(Mutex<HashMap<OwnerId, usize>>);

/// One of an owner's, given back when it is dropped.
pub(super) struct Seat {
    owner: OwnerId,
    seats: Arc<Seats>,
}

impl Seat {
    /// Takes one, if the owner has one left.
    pub(super) fn take(seats: &Arc<Seats>, owner: OwnerId) -> Option<Self> {
        let mut taken = seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(owner).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Self {
            owner,
            seats: Arc::clone(seats),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

/// Streams of one owner at a time.
pub(super) const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_eight_seats_and_a_seat_that_is_left_is_free_again() {
        let seats = Arc::<Seats>::default();
        let (one, other) = (OwnerId::from_bits(1), OwnerId::from_bits(2));
        let mut taken: Vec<_> = std::iter::from_fn(|| Seat::take(&seats, one)).collect();
        assert_eq!(taken.len(), 8);
        assert!(Seat::take(&seats, other).is_some());
        drop(taken.pop());
        assert!(Seat::take(&seats, one).is_some());
        drop(taken);
        assert!(seats.0.lock().unwrap().is_empty());
    }
}
