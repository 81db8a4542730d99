//! Backups to a place: their names, how many are kept, when they are made.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;

fn plan(folder: &Path, keep: usize) -> config::Backup {
    config::Backup {
        url: ObjectUrl::Folder(folder.to_owned()),
        every: Duration::from_hours(1),
        keep: NonZeroUsize::new(keep).unwrap(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_oldest_of_too_many_go_and_nobody_elses() {
    let (folder, store) = store_with(1).await;
    let place = folder.path().join("backups");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(
        place.join("tollgate-00000000-20200101T000000Z.backup"),
        b"another store's",
    )
    .unwrap();
    std::fs::write(place.join("notes.txt"), b"somebody's").unwrap();
    let backups = backups(&store, Some(plan(&place, 2)));

    let first = backups.back_up().await.unwrap();
    let second = backups.back_up().await.unwrap();
    let third = backups.back_up().await.unwrap();

    assert_eq!((first.removed.len(), second.removed.len()), (0, 0));
    assert_eq!(third.removed, [first.name]);
    let mut expected = vec![
        "notes.txt".to_owned(),
        "tollgate-00000000-20200101T000000Z.backup".to_owned(),
        second.name,
        third.name.clone(),
    ];
    expected.sort();
    assert_eq!(names(&place), expected);
    let bytes = std::fs::read(place.join(&third.name)).unwrap();
    assert_eq!(bytes.len() as u64, third.bytes);
    restore(&bytes, &folder.path().join("restored")).await.unwrap();
}

#[tokio::test]
async fn a_backup_that_fails_leaves_no_half_of_it_and_removes_nothing() {
    let (folder, store) = store_with(1).await;
    let place = folder.path().join("backups");
    let backups = backups(&store, Some(plan(&place, 1)));
    let kept = backups.back_up().await.unwrap();

    store.close();
    backups.back_up().await.unwrap_err();

    assert_eq!(names(&place), [kept.name]);
}

#[tokio::test]
async fn there_is_one_backup_at_a_time_until_its_taker_is_gone() {
    let (_folder, store) = store_with(1).await;
    let backups = backups(&store, None);
    let first = backups.begin().unwrap();
    assert!(matches!(backups.begin(), Err(BackupError::Busy)));
    assert!(matches!(backups.back_up().await, Err(BackupError::NoPlace)));
    drop(first);
    assert!(backups.begin().is_ok());
}

#[tokio::test(start_paused = true)]
async fn backups_are_made_when_they_are_due_and_tried_again_when_they_failed() {
    let (folder, store) = store_with(1).await;
    let place = folder.path().join("missing/backups");
    let backups = backups(&store, Some(plan(&place, 9)));
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(Arc::clone(&backups).run(stop.clone()));

    // The first one fails: its folder cannot be made.
    tokio::time::sleep(Duration::from_mins(1)).await;
    std::fs::create_dir(folder.path().join("missing")).unwrap();
    wait_for(&place, 1).await;
    tokio::time::sleep(Duration::from_mins(59)).await;
    wait_for(&place, 2).await;

    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Lets paused time pass until so many backups are there.
async fn wait_for(place: &Path, number: usize) {
    for _ in 0..2000 {
        if place.exists() && names(place).iter().filter(|name| name.ends_with(SUFFIX)).count() >= number {
            return;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    panic!("there are not {number} backups");
}
