//! The models that a key may use.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::api::Tag;
use crate::api::error::{ApiError, Code};
use crate::api::guard::{Authorized, NoBody, ToRelay};
use crate::model::caller::Caller;
use crate::model::catalogue::Catalogue;
use crate::model::media::MediaModel;
use crate::model::operation::Protocol;

/// A model, in OpenAI's shape, with what the MegaLLM proxy added.
#[derive(Debug, Object)]
#[oai(rename = "Model")]
pub struct ListedModel {
    /// Its name.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// When it was made: always 0, nobody knows.
    pub created: u64,
    /// The upstream that serves it first.
    pub owned_by: String,
    /// Most tokens of question and answer together; null where it is not known.
    pub context_length: Option<u32>,
    /// The same for people, e.g. `128K`.
    pub context_length_formatted: Option<String>,
}

/// The models that a key may use.
#[derive(Debug, Object)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// By name.
    pub data: Vec<ListedModel>,
}

/// What is known of a model.
#[derive(Debug, Object)]
pub struct ModelInfo {
    /// Its name.
    pub id: String,
    /// Most tokens of question and answer together; null where it is not known.
    pub context_length: Option<u32>,
    /// The same for people.
    pub context_length_formatted: Option<String>,
    /// What a question may take of it: nine tenths.
    pub usable_limit: Option<u32>,
    /// What `max_tokens` is capped at; null where it is not.
    pub max_tokens: Option<u32>,
}

/// The routes of models.
pub struct ModelsApi;

#[OpenApi(tag = "Tag::Models")]
impl ModelsApi {
    /// List models
    ///
    /// Those that the key may use.
    #[oai(path = "/v1/models", method = "get", operation_id = "models_list")]
    async fn list(&self, authorized: Authorized<ToRelay, NoBody>) -> Result<Json<ModelList>, ApiError> {
        let catalogue = authorized.services.relay.catalogue();
        let data = visible(&catalogue, &authorized.caller)
            .into_iter()
            .map(|name| view(&catalogue, name))
            .collect();
        Ok(Json(ModelList {
            object: "list".to_owned(),
            data,
        }))
    }

    /// Show a model
    ///
    /// In OpenAI's shape, with its context length where that is known.
    #[oai(path = "/v1/models/:id", method = "get", operation_id = "models_get")]
    async fn show(
        &self,
        authorized: Authorized<ToRelay, NoBody>,
        /// The model. Slashes may stand as they are, or as `%2F`.
        id: Path<String>,
    ) -> Result<Json<ListedModel>, ApiError> {
        let catalogue = authorized.services.relay.catalogue();
        let name = find(&catalogue, &authorized.caller, &id.0)?;
        Ok(Json(view(&catalogue, name)))
    }

    /// Show what is known of a model
    ///
    /// As the MegaLLM proxy showed it.
    #[oai(path = "/v1/models/:id/info", method = "get", operation_id = "models_getInfo")]
    async fn info(
        &self,
        authorized: Authorized<ToRelay, NoBody>,
        /// The model. Slashes may stand as they are, or as `%2F`.
        id: Path<String>,
    ) -> Result<Json<ModelInfo>, ApiError> {
        let catalogue = authorized.services.relay.catalogue();
        let name = find(&catalogue, &authorized.caller, &id.0)?;
        let model = catalogue.models.get(&name).map(|(model, _)| model);
        let length = model.and_then(|model| model.context_length).map(Into::into);
        Ok(Json(ModelInfo {
            context_length: length,
            context_length_formatted: length.map(formatted),
            usable_limit: length.map(usable),
            max_tokens: model.and_then(|model| model.max_tokens).map(Into::into),
            id: name,
        }))
    }
}

/// The names that a caller may use: those of the registry, those that make pictures and films, and where unknown models
/// pass, the default and those that the key itself lists.
fn visible(catalogue: &Catalogue, caller: &Caller) -> Vec<String> {
    let mut names: Vec<String> = catalogue.models.keys().cloned().collect();
    let listed = caller.models.iter().flat_map(|models| models.iter());
    names.extend(catalogue.default_model.iter().chain(listed).cloned());
    names.extend(MediaModel::LISTED.map(str::to_owned));
    let leads_somewhere = |name: &str| catalogue.media(name).is_some() || catalogue.route(Some(name)).is_ok();
    names.retain(|name| caller.may_use(name) && leads_somewhere(name));
    names.sort_unstable();
    names.dedup();
    names
}

/// A model is shown only to whom may use it: to others it does not exist.
fn find(catalogue: &Catalogue, caller: &Caller, id: &str) -> Result<String, ApiError> {
    let mut visible = visible(catalogue, caller).into_iter();
    visible
        .find(|name| name == id)
        .ok_or_else(|| ApiError::new(Code::ModelNotFound, "this key may use no model of this name").about("model"))
}

fn view(catalogue: &Catalogue, name: String) -> ListedModel {
    let length = catalogue
        .models
        .get(&name)
        .and_then(|(model, _)| model.context_length)
        .map(Into::into);
    let owner = match catalogue.media(&name) {
        Some(_) => Some(Protocol::Volcengine.label().to_owned()),
        None => catalogue.route(Some(&name)).ok().and_then(|route| {
            let first = route.targets.first()?;
            Some(first.upstream.to_string())
        }),
    };
    ListedModel {
        id: name,
        object: "model".to_owned(),
        created: 0,
        owned_by: owner.unwrap_or_default(),
        context_length: length,
        context_length_formatted: length.map(formatted),
    }
}

/// `128K` for 128,000, as the MegaLLM proxy wrote it.
fn formatted(length: u32) -> String {
    if length >= 1000 {
        format!("{}K", length / 1000)
    } else {
        length.to_string()
    }
}

/// Nine tenths: what the context guard lets through.
const fn usable(length: u32) -> u32 {
    length / 10 * 9 + length % 10 * 9 / 10
}
