//! The log book: read it, verify it, export it, resolve what stayed unknown.

mod export;
mod view;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

pub use self::export::{CheckpointView, Exported};

use self::export::Wanted;
use self::view::view;
use super::error::ApiError;
use super::guard::{Authorized, NoBody, ToAdmin};
use super::schema::AuditEntry;
use super::{Tag, page};
use crate::crypto::digest::Digest;
use crate::model::outcome::Outcome;
use crate::model::record::Event;
use crate::record::{Resolve, Verdict};
use crate::store::audit::{self, Logged, Order, Walk};
use crate::store::chain::Link;
use crate::store::error::StoreError;

/// A page of the log book.
#[derive(Debug, Object)]
pub struct AuditPage {
    /// In the order asked for.
    pub items: Vec<AuditEntry>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// One end of the chain.
#[derive(Debug, Object)]
#[oai(rename = "ChainLink")]
pub struct LinkView {
    /// The sequence number of the last entry.
    pub seq: u64,
    /// Its digest: keep both outside, and a later `expect` proves that nothing before it was changed.
    pub digest: String,
    /// When it was written.
    pub at: String,
}

/// Where the chain is broken.
#[derive(Debug, Object)]
#[oai(rename = "ChainBreak")]
pub struct Break {
    /// The first entry that does not hang on the one before.
    pub at: u64,
    /// What is wrong there.
    pub why: String,
}

/// What verifying the log book found.
#[derive(Debug, Object)]
#[oai(rename = "ChainVerification", skip_serializing_if_is_none)]
pub struct Verification {
    /// Whether every entry hangs on the one before, from the first kept one to the head.
    pub intact: bool,
    /// The first entry that is kept.
    pub first: Option<u64>,
    /// The last entry.
    pub head: Option<LinkView>,
    /// Where it is broken.
    pub broken: Option<Break>,
    /// What this proves.
    pub proves: String,
    /// What it does not prove.
    pub does_not_prove: String,
}

/// What a person says of an unknown outcome: one of the two fields.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct ResolveIntent {
    /// `not_sent`: it was never done, and the idempotency key is free again.
    pub outcome: Option<String>,
    /// The task that it turned out to have created: repeats are answered with it.
    pub task_id: Option<String>,
}

/// An intent that was resolved.
#[derive(Debug, Object)]
pub struct ResolvedIntent {
    /// Its number in the log book.
    pub id: u64,
    /// Its outcome from now on.
    pub outcome: String,
}

/// The routes of the log book.
pub struct AuditApi;

#[OpenApi(tag = "Tag::Audit")]
impl AuditApi {
    /// Read the log book
    ///
    /// Newest first unless told otherwise. Bodies are not in it: keyed digests, sizes and models are.
    #[oai(path = "/admin/audit", method = "get", operation_id = "audit_list")]
    async fn list(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// Only entries of this event: `intent`, `settlement`, `task`, `admin`, `refusals`, `pruned`, `started`, `resolved`,
        /// `rerouted`, `consumed`, `charged`, `restored`.
        event: Query<Option<String>>,
        /// Only entries that tell of this outcome of a call: `succeeded`, `refused`, `not_sent`, `rejected`, `unknown`. One that
        /// was unknown and decided since is told twice: as it was settled, and as it was resolved.
        outcome: Query<Option<String>>,
        /// `desc` (newest first) or `asc`.
        order: Query<Option<String>>,
    ) -> Result<Json<AuditPage>, ApiError> {
        let limit = page::limit(limit.0)?;
        let order = match order.0.as_deref() {
            None | Some("desc") => Order::Falling,
            Some("asc") => Order::Rising,
            Some(_) => return Err(ApiError::validation("order is asc or desc").about("order")),
        };
        let key = &authorized.services.store.keyring().cursor;
        let first = if order == Order::Falling { u64::MAX } else { 0 };
        let from = page::place(key, "audit", cursor.0.as_deref())?.unwrap_or(first);
        let wanted = Filter {
            event: event.0,
            outcome: outcome.0.as_deref().map(outcome_named).transpose()?,
        };
        let (found, next) = authorized
            .services
            .store
            .read_aside(move |rows| search(rows, from, order, limit, &wanted))
            .await?;
        Ok(Json(AuditPage {
            items: found.into_iter().map(|logged| AuditEntry(view(&logged))).collect(),
            next_cursor: next.map(|seq| page::cursor(key, "audit", seq)),
        }))
    }

    /// Verify the log book
    ///
    /// Walks the chain from the first kept entry to the head. With `expect`, also proves that a head you kept outside is
    /// still part of it.
    #[oai(path = "/admin/audit/verify", method = "get", operation_id = "audit_verify")]
    async fn verify(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// A head kept outside: its sequence number, a colon, its digest.
        expect: Query<Option<String>>,
    ) -> Result<Json<Verification>, ApiError> {
        let expected = expect.0.as_deref().map(parse_head).transpose()?;
        let store = &authorized.services.store;
        let audit_keys = store.keyring().audit.clone();
        let begun = store.read_aside(move |rows| Walk::begin(rows, &audit_keys)).await?;
        let verdict = match begun {
            Err(verdict) => verdict,
            Ok(mut walk) => loop {
                let mut next = walk.clone();
                let (step, reached) = store
                    .read_aside(move |rows| next.step(rows, STEP).map(|verdict| (verdict, next)))
                    .await?;
                match step {
                    Some(verdict) => break verdict,
                    None => walk = reached,
                }
            },
        };
        let verdict = match (verdict, expected) {
            (intact @ audit::Verdict::Intact { .. }, Some((seq, digest))) => {
                let found = store.read_aside(move |rows| audit::digest_at(rows, seq)).await?;
                match found {
                    Some(found) if found == digest => intact,
                    Some(_) => audit::Verdict::Broken {
                        at: seq,
                        why: "the entry is not the one that was expected",
                    },
                    None => audit::Verdict::Broken {
                        at: seq,
                        why: "the expected entry is not there",
                    },
                }
            }
            (verdict, _) => verdict,
        };
        Ok(Json(verification(&verdict)))
    }

    /// Export the log book
    ///
    /// Kept entries as one flat table, oldest first: all of them, or those of some days. Both formats have the same
    /// columns.
    #[oai(path = "/admin/audit/export", method = "get", operation_id = "audit_exportEntries")]
    async fn export(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// `ndjson` (unless told) or `parquet`.
        format: Query<Option<String>>,
        /// The first day of UTC, such as `2026-02-24`; the oldest kept unless told.
        from: Query<Option<String>>,
        /// The last day of UTC; up to now unless told.
        to: Query<Option<String>>,
    ) -> Result<Exported, ApiError> {
        let wanted = Wanted {
            format: format.0,
            from: from.0,
            to: to.0,
        };
        Exported::open(&authorized.services, &wanted).await
    }

    /// Sign the log book's head
    ///
    /// A signed statement of where the chain ends now. Kept outside, it anchors everything before it, and anybody can
    /// check its signature with the public key.
    #[oai(
        path = "/admin/audit/checkpoint",
        method = "get",
        operation_id = "audit_getCheckpoint"
    )]
    async fn checkpoint(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<CheckpointView>, ApiError> {
        Ok(Json(export::of_head(&authorized.services).await?))
    }

    /// Sign a day of the log book
    ///
    /// The checkpoint that belongs to the export of a day that has ended.
    #[oai(
        path = "/admin/audit/checkpoint/:day",
        method = "get",
        operation_id = "audit_getDayCheckpoint"
    )]
    async fn day_checkpoint(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// A day of UTC, such as `2026-02-24`.
        day: Path<String>,
    ) -> Result<Json<CheckpointView>, ApiError> {
        Ok(Json(export::of_day(&authorized.services, &day.0).await?))
    }

    /// Resolve an unknown outcome
    ///
    /// Says what really came of a call whose outcome stayed unknown: it was never done, or it created this task.
    #[oai(path = "/admin/audit/:id/resolve", method = "post", operation_id = "audit_resolve")]
    async fn resolve(
        &self,
        authorized: Authorized<ToAdmin, Json<ResolveIntent>>,
        /// The number of the intent: `audit_id` in an `OUTCOME_UNKNOWN` error.
        id: Path<u64>,
    ) -> Result<Json<ResolvedIntent>, ApiError> {
        let actor = authorized.caller.identity.to_string();
        let Json(body) = authorized.body;
        let (verdict, outcome) = match (body.outcome.as_deref(), body.task_id) {
            (Some("not_sent"), None) => (Verdict::NotSent, "not_sent"),
            (None, Some(task_id)) if !task_id.is_empty() => (Verdict::Task(task_id), "succeeded"),
            _ => return Err(ApiError::validation("say either outcome: not_sent, or task_id").about("outcome")),
        };
        authorized
            .services
            .relay
            .resolve(Resolve {
                intent: id.0,
                verdict,
                actor,
            })
            .await?;
        Ok(Json(ResolvedIntent {
            id: id.0,
            outcome: outcome.to_owned(),
        }))
    }
}

/// Which entries a list shows.
struct Filter {
    event: Option<String>,
    outcome: Option<Outcome>,
}

impl Filter {
    fn takes(&self, event: &Event) -> bool {
        let is_of_event = self.event.as_ref().is_none_or(|wanted| wanted == event.label());
        is_of_event && self.outcome.is_none_or(|wanted| event.outcome() == Some(wanted))
    }
}

fn outcome_named(label: &str) -> Result<Outcome, ApiError> {
    let mut outcomes = Outcome::ALL.into_iter();
    outcomes.find(|outcome| outcome.label() == label).ok_or_else(|| {
        let known = Outcome::ALL.map(Outcome::label).join(", ");
        ApiError::validation(format!("outcome is one of {known}")).about("outcome")
    })
}

/// A page of the entries that are wanted. It looks at no more than [`SCAN`] entries, so a rare event may give a
/// short page with a cursor.
fn search(
    rows: &mut crate::store::Reader,
    from: u64,
    order: Order,
    limit: usize,
    wanted: &Filter,
) -> Result<(Vec<Logged>, Option<u64>), StoreError> {
    let mut found = Vec::new();
    let (mut at, mut seen) = (from, 0);
    loop {
        let page = audit::page(rows, at, order, STEP)?;
        let full = page.len() == STEP;
        for logged in page {
            let next = match order {
                Order::Rising => logged.seq.checked_add(1),
                Order::Falling => logged.seq.checked_sub(1),
            };
            seen += 1;
            if wanted.takes(&logged.entry.event) {
                found.push(logged);
            }
            let Some(next) = next else { return Ok((found, None)) };
            at = next;
            if found.len() == limit || seen >= SCAN {
                let more = !audit::page(rows, at, order, 1)?.is_empty();
                return Ok((found, more.then_some(at)));
            }
        }
        if !full {
            return Ok((found, None));
        }
    }
}

fn parse_head(text: &str) -> Result<(u64, Digest), ApiError> {
    let wrong = || ApiError::validation("expect is a sequence number, a colon and a digest").about("expect");
    let (seq, digest) = text.split_once(':').ok_or_else(wrong)?;
    Ok((seq.parse().map_err(|_| wrong())?, digest.parse().map_err(|_| wrong())?))
}

fn verification(verdict: &audit::Verdict) -> Verification {
    let (intact, first, head, broken) = match verdict {
        audit::Verdict::Intact { first, head } => (true, Some(*first), Some(link(head)), None),
        audit::Verdict::Broken { at, why } => (
            false,
            None,
            None,
            Some(Break {
                at: *at,
                why: (*why).to_owned(),
            }),
        ),
    };
    Verification {
        intact,
        first,
        head,
        broken,
        proves: PROVES.to_owned(),
        does_not_prove: DOES_NOT_PROVE.to_owned(),
    }
}

fn link(head: &Link) -> LinkView {
    LinkView {
        seq: head.seq,
        digest: head.digest.to_string(),
        at: head.at.to_string(),
    }
}

/// Entries read in one go.
const STEP: usize = 1000;

/// Most entries that one filtered page looks at.
const SCAN: usize = 50_000;

const PROVES: &str = "No kept entry was changed, removed, inserted or reordered by anyone without the store's audit key, \
    and the newest entry is the one the head names.";

const DOES_NOT_PROVE: &str = "That the whole file was not replaced by an older copy of itself: for that, keep heads \
    outside (they are logged every minute) and verify with expect. Nor what somebody with the master key wrote.";
