//! Usage by day and key, which may be long: each page reads the rows it needs, and no others.

use std::mem;
use std::ops::ControlFlow;

use super::shapes::UsageItem;
use super::sum::{Sums, Wanted};
use crate::api::page::Place;
use crate::model::day::Day;
use crate::model::id::OwnerId;
use crate::store::Rows;
use crate::store::error::StoreError;
use crate::store::usage::{self, Asked};

/// Where such a list goes on: behind the first items of an owner's on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    day: Day,
    owner: OwnerId,
    behind: u32,
}

impl Place for At {
    fn bytes(self) -> Vec<u8> {
        let Self { day, owner, behind } = self;
        [
            day.number().to_be_bytes().as_slice(),
            &owner.bits().to_be_bytes(),
            &behind.to_be_bytes(),
        ]
        .concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (day, rest) = bytes.split_first_chunk()?;
        let (owner, behind) = rest.split_first_chunk()?;
        Some(Self {
            day: Day::from_number(u32::from_be_bytes(*day)),
            owner: OwnerId::from_bits(u64::from_be_bytes(*owner)),
            behind: u32::from_be_bytes(behind.try_into().ok()?),
        })
    }
}

/// The page that begins at a place, and where the next one begins.
pub(super) fn page(
    rows: &mut impl Rows,
    wanted: &Wanted,
    from: Option<At>,
    limit: usize,
) -> Result<(Vec<UsageItem>, Option<At>), StoreError> {
    let from = from.unwrap_or(At {
        day: *wanted.days.start(),
        owner: OwnerId::from_bits(0),
        behind: 0,
    });
    let asked = Asked {
        days: from.day..=*wanted.days.end(),
        ..wanted.asked()
    };
    let mut page = Page {
        at: from,
        run: Sums::default(),
        items: Vec::new(),
        limit,
        next: None,
    };
    usage::by_owner(rows, &asked, from.owner, |counted, totals| {
        let owner = counted.owner.unwrap_or(page.at.owner);
        if (counted.day, owner) != (page.at.day, page.at.owner) {
            page.end_run();
            page.at = At {
                day: counted.day,
                owner,
                behind: 0,
            };
        }
        page.run.add(wanted, counted, totals);
        match page.next {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    })?;
    page.end_run();
    Ok((page.items, page.next))
}

/// A page as it fills.
struct Page {
    /// Whose rows come now, of which day, and how many of their items were on the page before.
    at: At,
    /// What they come to.
    run: Sums,
    items: Vec<UsageItem>,
    limit: usize,
    next: Option<At>,
}

impl Page {
    /// All rows of an owner on a day have come.
    fn end_run(&mut self) {
        let run = mem::take(&mut self.run);
        for (behind, item) in (0..).zip(run.into_items()).skip(self.at.behind as usize) {
            if self.items.len() < self.limit {
                self.items.push(item);
            } else {
                self.next = self.next.or(Some(At { behind, ..self.at }));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::api::usage::sum::Grouping;
    use crate::model::clock::SystemClock;
    use crate::model::usage::Totals;
    use crate::store::fixture::{File, open};
    use crate::store::usage::Counted;
    use crate::store::{Change, Store, Tables};

    /// A call of an owner and a model on a day.
    #[derive(Clone, Copy, Debug)]
    struct Call(u32, u64, &'static str);

    struct Calls(Vec<Call>);

    impl Change for Calls {
        type Done = ();

        fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
            for Call(day, owner, model) in &self.0 {
                let counted = Counted {
                    day: Day::from_number(*day),
                    owner: Some(OwnerId::from_bits(*owner)),
                    model,
                    currency: None,
                };
                let one = Totals {
                    calls: 1,
                    ..Totals::default()
                };
                tables.count_usage(counted, one)?;
            }
            Ok(())
        }
    }

    /// Every item of every page, as text.
    fn walk(store: &Store, wanted: &Wanted, limit: usize) -> Vec<String> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let (items, next) = store.read(|rows| page(rows, wanted, from, limit)).unwrap();
            assert!(items.len() == limit || next.is_none());
            all.extend(items.iter().map(|item| format!("{item:?}")));
            match next {
                Some(_) => from = next,
                None => return all,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn pages_of_any_length_are_the_whole_list_cut_up(
            calls in vec((20_000..20_004_u32, 1..4_u64, prop::sample::select(&["a", "b", "c"][..])), 0..60),
            limit in 1..8_usize,
            apart in prop::sample::select(&["day,key", "day,key,model"][..]),
            model in prop::option::of(Just("b".to_owned())),
        ) {
            let calls: Vec<_> = calls.into_iter().map(|(day, owner, model)| Call(day, owner, model)).collect();
            let wanted = Wanted {
                days: Day::from_number(20_001)..=Day::from_number(20_003),
                owner: None,
                model,
                grouping: Grouping::read(Some(apart)).unwrap(),
            };
            let mut expected = BTreeMap::new();
            for Call(day, owner, model) in &calls {
                let is_in = *day > 20_000 && wanted.model.as_deref().is_none_or(|wanted| wanted == *model);
                let name = apart.ends_with("model").then_some(*model);
                if is_in {
                    *expected.entry((*day, *owner, name)).or_insert(0) += 1;
                }
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let found = runtime.block_on(async {
                let store = open(&File::default(), Arc::new(SystemClock));
                store.change(Calls(calls)).await.unwrap();
                walk(&store, &wanted, limit)
            });
            let expected: Vec<_> = expected
                .into_iter()
                .map(|((day, owner, model), calls)| {
                    let item = UsageItem {
                        day: Some(Day::from_number(day).to_string()),
                        owner: Some(OwnerId::from_bits(owner).to_string()),
                        model: model.map(str::to_owned),
                        ..UsageItem::new(Totals { calls, ..Totals::default() })
                    };
                    format!("{item:?}")
                })
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_place_reads_back(day: u32, owner: u64, behind: u32) {
            let (day, owner) = (Day::from_number(day), OwnerId::from_bits(owner));
            let at = At { day, owner, behind };
            prop_assert_eq!(At::read(&at.bytes()), Some(at));
        }

        #[test]
        fn other_bytes_are_no_place(bytes: Vec<u8>) {
            prop_assert_eq!(At::read(&bytes).is_some(), bytes.len() == 16);
        }
    }
}
