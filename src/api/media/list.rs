//! Films, page by page, as OpenAI lists them.

use super::video_shape::{VideoId, VideoList};
use super::view::view;
use crate::api::Services;
use crate::api::error::{ApiError, Code};
use crate::jobs::Viewer;
use crate::model::id::{JobId, OwnerId};
use crate::model::job::JobKind;
use crate::store::Reader;
use crate::store::error::StoreError;
use crate::store::jobs::{self, index};

/// Which page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    after: Option<JobId>,
    limit: usize,
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    NewestFirst,
    OldestFirst,
}

impl Page {
    /// Out of the parameters of a list.
    ///
    /// # Errors
    /// [`ApiError`] for one that cannot be.
    pub(super) fn read(after: Option<&str>, limit: Option<u32>, order: Option<&str>) -> Result<Self, ApiError> {
        let wrong = |field, sentence| ApiError::validation(sentence).about(field);
        let after = after.map(str::parse::<VideoId>).transpose();
        let limit = usize::try_from(limit.unwrap_or(USUAL)).ok();
        Ok(Self {
            after: after
                .map_err(|_| wrong("after", "after is the id of a video"))?
                .map(VideoId::job),
            limit: limit
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| wrong("limit", "limit is 1 to 100"))?,
            order: match order {
                None | Some("desc") => Order::NewestFirst,
                Some("asc") => Order::OldestFirst,
                Some(_) => return Err(wrong("order", "order is asc or desc")),
            },
        })
    }

    /// The next jobs behind a place, or from the beginning.
    fn step(self, rows: &mut Reader, owner: OwnerId, behind: Option<JobId>) -> Result<Vec<JobId>, StoreError> {
        match self.order {
            Order::NewestFirst => {
                let before = behind.unwrap_or(JobId::from_bits(u128::MAX));
                index::of_owner(rows, owner, before, STEP)
            }
            Order::OldestFirst => {
                let after = behind.unwrap_or(JobId::from_bits(0));
                index::of_owner_rising(rows, owner, after, STEP)
            }
        }
    }

    /// The films of the page, and one more if there is one.
    fn find(self, rows: &mut Reader, owner: OwnerId) -> Result<Vec<JobId>, StoreError> {
        let (mut found, mut behind) = (Vec::with_capacity(self.limit + 1), self.after);
        for _ in 0..STEPS {
            let ids = self.step(rows, owner, behind)?;
            for id in &ids {
                if jobs::get(rows, *id)?.is_some_and(|job| job.kind == JobKind::Video) {
                    found.push(*id);
                }
                if found.len() > self.limit {
                    return Ok(found);
                }
            }
            if ids.len() < STEP {
                break;
            }
            behind = ids.last().copied();
        }
        Ok(found)
    }
}

/// A page of an owner's films.
///
/// # Errors
/// [`ApiError`] when the store fails.
pub(super) async fn list(services: &Services, owner: OwnerId, page: Page) -> Result<VideoList, ApiError> {
    let found = services.store.read_aside(move |rows| page.find(rows, owner)).await?;
    let mut videos = Vec::with_capacity(page.limit);
    for id in found.iter().take(page.limit) {
        match view(services, Viewer::Owner(owner), *id).await {
            Ok(video) => videos.push(video),
            // It was deleted meanwhile.
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(VideoList::new(videos, found.len() > page.limit))
}

const USUAL: u32 = 20;
const MOST: usize = 100;
/// Jobs that are looked at in one step, and how many steps a list takes: an owner's other jobs lie between.
const STEP: usize = 500;
const STEPS: usize = 20;
