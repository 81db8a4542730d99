//! What a process leaves when it ends, and what the next one makes of it.

use super::*;
use crate::jobs::ending::Heard;
use crate::jobs::fixture::{JOB, edit, submit};
use crate::model::job::{Hold, ItemState};

const FIRST: ItemRef = ItemRef { job: JOB, index: 0 };

/// A world with one job of one item.
async fn world() -> World {
    let world = World::new();
    submit(&world.store, JOB, 1).await;
    world
}

impl World {
    async fn claim_first(&self) -> Option<Leased> {
        self.claim(&"default".parse().unwrap(), 1).await.pop()
    }

    /// Takes the item, and leaves it with a task that is asked about in two seconds.
    async fn submit_task(&self) {
        let leased = self.claim_first().await.unwrap();
        let ending = Ending::Polling {
            task_id: "7".to_owned(),
            wait: Duration::from_secs(2),
        };
        self.settle(FIRST, Holder::Worker(leased.lease), ending).await;
    }
}

#[tokio::test]
async fn what_a_worker_says_whose_lease_was_taken_back_is_not_heard() {
    let mut world = world().await;
    let stale = world.claim_first().await.unwrap();
    world.restart().await;
    let fresh = world.claim_first().await.unwrap();

    world
        .settle(FIRST, Holder::Worker(stale.lease), Ending::Succeeded(answered()))
        .await;

    let item = world.item(FIRST);
    assert_eq!((item.state, item.lease), (ItemState::Running, Some(fresh.lease)));
    assert_eq!(world.store.read(|rows| item::result(rows, FIRST)).unwrap(), None);
}

#[tokio::test]
async fn an_item_that_takes_its_process_with_it_four_times_is_dead() {
    let mut world = world().await;
    for lost in 1..=4 {
        assert!(
            world.claim_first().await.is_some(),
            "taken before it was lost {lost} times"
        );
        world.restart().await;
    }

    let item = world.item(FIRST);
    assert_eq!((item.state, item.lost, item.attempts), (ItemState::Dead, 4, 0));
    assert_eq!(item.error.unwrap().code, "LEASE_LOST");
    assert!(world.claim_first().await.is_none());
}

#[tokio::test]
async fn a_lease_that_is_returned_is_not_held_against_its_item() {
    let mut world = world().await;
    for _ in 0..10 {
        let leased = world.claim_first().await.unwrap();
        world.give_back(vec![(FIRST, leased.lease)]).await;
        world.restart().await;
    }
    let item = world.item(FIRST);
    assert_eq!((item.state, item.lost), (ItemState::Queued, 0));
}

#[tokio::test]
async fn a_lease_lasts_for_as_long_as_it_is_renewed_and_a_minute_longer() {
    let world = world().await;
    let leased = world.claim_first().await.unwrap();
    for _ in 0..9 {
        world.pass(Duration::from_secs(20));
        world.take_due().await;
        world.renew(vec![(FIRST, leased.lease)]).await;
    }
    world.pass(Duration::from_secs(59));
    world.take_due().await;
    assert_eq!(world.item(FIRST).lease, Some(leased.lease));

    world.pass(Duration::from_secs(1));
    world.take_due().await;

    let item = world.item(FIRST);
    assert_eq!((item.state, item.lost), (ItemState::Queued, 1));
}

#[tokio::test]
async fn what_was_first_tried_longer_ago_than_its_key_lives_is_unknown_and_not_taken_again() {
    let mut world = world().await;
    assert!(world.claim_first().await.is_some());
    world.pass(TTL);
    world.restart().await;

    assert!(world.claim_first().await.is_none());

    let item = world.item(FIRST);
    assert_eq!(item.state, ItemState::Unknown);
    assert_eq!(item.error.unwrap().code, "OUTCOME_UNKNOWN");
}

#[tokio::test]
async fn what_waits_when_its_jobs_deadline_has_passed_is_not_taken_but_failed() {
    let world = world().await;
    edit(&world.store, JOB, |_, edit| {
        edit.job.deadline = Some(NOW.plus(Duration::from_mins(1)));
        Ok(())
    })
    .await;
    world.pass(Duration::from_mins(2));

    assert!(world.claim_first().await.is_none());

    let item = world.item(FIRST);
    assert_eq!(item.state, ItemState::Failed);
    assert_eq!(item.error.unwrap().code, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn the_task_of_a_job_whose_deadline_has_passed_is_not_asked_about_any_more() {
    let world = world().await;
    world.submit_task().await;
    edit(&world.store, JOB, |_, edit| {
        edit.job.deadline = Some(NOW.plus(Duration::from_mins(1)));
        Ok(())
    })
    .await;
    world.pass(Duration::from_mins(2));

    world.settle(FIRST, Holder::Task("7".to_owned()), pending()).await;

    let item = world.item(FIRST);
    assert_eq!(item.state, ItemState::Failed);
    assert_eq!(item.error.unwrap().code, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn the_task_of_a_job_that_was_cancelled_just_before_the_process_ended_is_not_asked_about_any_more() {
    let mut world = world().await;
    world.submit_task().await;
    world.begin(JOB, Asked::Cancel).await.unwrap();
    world.restart().await;

    world.settle(FIRST, Holder::Task("7".to_owned()), pending()).await;

    assert_eq!(world.item(FIRST).state, ItemState::Cancelled);
}

#[tokio::test]
async fn a_release_that_the_process_did_not_live_to_finish_can_be_asked_for_again() {
    let mut world = world().await;
    world.begin(JOB, Asked::Hold).await.unwrap();
    world.sweep(JOB, Sweeping::Hold(Hold::Held)).await;
    world.begin(JOB, Asked::Release).await.unwrap();
    world.restart().await;
    assert!(world.claim_first().await.is_none());

    world.begin(JOB, Asked::Release).await.unwrap();
    world.sweep(JOB, Sweeping::Hold(Hold::Free)).await;

    assert!(world.claim_first().await.is_some());
}

#[tokio::test]
async fn a_question_that_was_being_put_when_the_process_ended_is_put_again_at_once() {
    let mut world = world().await;
    world.submit_task().await;
    world.pass(Duration::from_secs(2));
    assert!(world.take_questions().await == 1 && world.take_questions().await == 0);

    world.restart().await;

    assert_eq!(world.take_questions().await, 1);
}

fn pending() -> Ending {
    Ending::Pending {
        wait: Duration::from_secs(2),
        heard: Heard::Yes,
    }
}
