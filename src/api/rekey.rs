//! Replacing the master key and the data keys.

use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::error::ApiError;
use super::guard::{Authorized, NoBody, ToAdmin};
use crate::model::record::AdminAction;
use crate::rekey::{State, Wrapped};
use crate::store::rekeying::{Rekeying, Stage};

/// What is to be replaced.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct RekeyRequest {
    /// True replaces the data keys too, in the background; false only wraps them with the present master key.
    #[oai(default)]
    pub deep: bool,
}

/// How the keys stand.
#[derive(Debug, Object)]
#[oai(rename = "KeyringStatus")]
pub struct RekeyView {
    /// What wraps the data keys: `current`, or `previous` where the master key of before the last change still does.
    pub master_key: String,
    /// How the replacement of the data keys stands: `never` begun, `resealing`, `waiting` for digests under the old keys to
    /// expire, `done`, or `stuck` where the store is damaged, so that walking it comes to no end.
    pub state: String,
    /// When the new keys came.
    pub begun_at: Option<String>,
    /// The table that is sealed anew.
    pub table: Option<String>,
    /// How often the store was walked: a walk that found something is followed by another.
    pub passes: u32,
    /// Rows that this walk has looked at.
    pub seen: u64,
    /// Rows that this walk will look at, as counted at its beginning.
    pub rows: u64,
    /// Rows that were sealed anew.
    pub resealed: u64,
    /// Rows that no key opens, as the last walk found them. They were damaged before and are left alone.
    pub unreadable: u64,
    /// Until when the old keys are kept; null where that is not known yet, or over.
    pub old_keys_until: Option<String>,
    /// When the old keys went.
    pub finished_at: Option<String>,
}

/// The routes of keys.
pub struct RekeyApi;

#[OpenApi(tag = "Tag::Operator")]
impl RekeyApi {
    /// Show how the keys stand
    ///
    /// Which master key wraps the data keys, and how far their replacement has come.
    #[oai(path = "/admin/rekey", method = "get", operation_id = "operator_getRekey")]
    async fn show(&self, authorized: Authorized<ToAdmin, NoBody>) -> Result<Json<RekeyView>, ApiError> {
        Ok(Json(view(&authorized.services.rekey.state().await?)))
    }

    /// Replace keys
    ///
    /// Wraps the data keys with the present master key, in one commit; if they are already, nothing is done. With `deep`, new
    /// data keys take the place of the old ones at once, and what the old ones sealed is sealed anew in the background, while
    /// calls run. One that is under way goes on.
    #[oai(path = "/admin/rekey", method = "post", operation_id = "operator_rekey")]
    async fn rekey(&self, authorized: Authorized<ToAdmin, Json<RekeyRequest>>) -> Result<Json<RekeyView>, ApiError> {
        let rekey = &authorized.services.rekey;
        let action = |action: &str| AdminAction {
            actor: authorized.caller.identity.to_string(),
            action: action.to_owned(),
            target: authorized.services.store.id().to_string(),
            request: Some(authorized.arrival.request),
        };
        let state = if authorized.body.0.deep {
            rekey.replace(action("rekey.deep")).await?
        } else {
            rekey.rewrap(action("rekey")).await?
        };
        Ok(Json(view(&state)))
    }
}

fn view(state: &State) -> RekeyView {
    let master_key = match state.wrapped {
        Wrapped::Current => "current",
        Wrapped::Previous => "previous",
    };
    let mut view = RekeyView {
        master_key: master_key.to_owned(),
        state: "never".to_owned(),
        begun_at: None,
        table: None,
        passes: 0,
        seen: 0,
        rows: 0,
        resealed: 0,
        unreadable: 0,
        old_keys_until: None,
        finished_at: None,
    };
    if let Some(rekeying) = &state.rekeying {
        tell(rekeying, &mut view);
    }
    view
}

fn tell(rekeying: &Rekeying, view: &mut RekeyView) {
    let label = match &rekeying.stage {
        Stage::Walking(_) if rekeying.is_stuck() => "stuck",
        Stage::Walking(_) | Stage::Sealed => "resealing",
        Stage::Waiting => "waiting",
        Stage::Done(_) => "done",
    };
    label.clone_into(&mut view.state);
    view.begun_at = Some(rekeying.begun_at.to_string());
    view.passes = rekeying.pass;
    view.seen = rekeying.tally.seen;
    view.rows = rekeying.rows;
    view.resealed = rekeying.renewed;
    view.unreadable = rekeying.tally.unreadable;
    match &rekeying.stage {
        Stage::Walking(position) => view.table = Some(position.table().name().to_owned()),
        Stage::Done(at) => view.finished_at = Some(at.to_string()),
        Stage::Sealed | Stage::Waiting => {}
    }
    if view.finished_at.is_none() {
        view.old_keys_until = rekeying.needed_until.map(|until| until.to_string());
    }
}
