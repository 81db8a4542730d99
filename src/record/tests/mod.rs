//! What calls are charged, held against a simple model: whatever happens to them and in which order, the rows of the
//! store say what the model says.

mod known;
mod step;
mod world;

use proptest::collection::vec;
use proptest::prelude::*;

use self::step::step;
use self::world::World;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_to_calls_what_is_spent_reserved_and_counted_is_their_sum(steps in vec(step(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.take(step).await;
                world.check();
            }
            // What is left in flight is as good as gone.
            world.crash().await;
            world.check();
        });
    }
}
