//! Writes, steps, replacements and kills in any order: everything opens at every moment, and at the end under the newest
//! key alone.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Move {
    Put(usize),
    Begin,
    Step(usize),
    Kill,
    Later,
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..SealedTable::ALL.len()).prop_map(Move::Put),
        1 => Just(Move::Begin),
        6 => (1..4_usize).prop_map(Move::Step),
        1 => Just(Move::Kill),
        1 => Just(Move::Later),
    ]
}

async fn play(moves: Vec<Move>) {
    let (file, clock) = (File::default(), Wall::at(NOW));
    let mut process = Process::start(&file, &clock, &[1]);
    let mut shelf = fill(&process, 1).await;
    for (number, next) in (100..).zip(moves) {
        match next {
            Move::Put(table) => shelf.push(put(&process, SealedTable::ALL[table], number).await),
            Move::Begin => process.rekey.begin(action("rekey.deep")).await.unwrap(),
            Move::Step(rows) => {
                let batch = Batch { rows, bytes: 1 << 20 };
                process.rekey.step(batch).await.unwrap();
            }
            Move::Kill => process = process.killed(&file, &clock),
            Move::Later => {
                clock.forward(TTL + Duration::from_mins(2));
                process = process.killed(&file, &clock);
            }
        }
        all_open(&process.store, &shelf);
    }

    let before = keys_of(&process.store);
    process.rekey.begin(action("rekey.deep")).await.unwrap();
    let begun_anew = process.store.keyring().seal.versions().count() > before.seal.versions().count();
    walk(&process).await;
    all_open(&process.store, &shelf);
    if begun_anew {
        none_opens(&process.store, &shelf, &before);
    }
    clock.forward(TTL + Duration::from_mins(2));
    let process = process.killed(&file, &clock);
    assert_eq!(walk(&process).await, Next::Rest);
    all_open(&process.store, &shelf);
    assert_eq!(process.store.keyring().seal.versions().count(), 1);
    assert!(matches!(verify(&process.store), Verdict::Intact { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_of_writes_steps_and_kills_every_secret_opens(moves in proptest::collection::vec(any_move(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(play(moves));
    }
}
