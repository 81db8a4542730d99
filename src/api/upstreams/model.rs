//! Models: list, show, put, remove.

use std::num::NonZeroU32;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::super::error::{ApiError, Code};
use super::super::guard::{Authorized, NoBody, ToAdmin};
use super::super::{Tag, page};
use super::{Removed, by};
use crate::model::catalogue::{Model, Target};
use crate::model::money::Price;
use crate::model::upstream::Source;

/// One place that serves a model.
#[derive(Debug, Object)]
#[oai(rename = "ModelTarget", deny_unknown_fields, skip_serializing_if_is_none)]
pub struct TargetView {
    /// The upstream.
    pub upstream: String,
    /// What the model is called there.
    pub model: String,
    /// Its share: targets that follow one another with a weight share the traffic. One without is used only where
    /// everything before it cannot serve.
    pub weight: Option<u32>,
}

/// What a model costs, in millionths of the currency's unit.
#[derive(Debug, Object)]
#[oai(rename = "Price", deny_unknown_fields, skip_serializing_if_is_none)]
pub struct PriceView {
    /// The currency, as three capital letters.
    pub currency: String,
    /// Of a million tokens of input; nothing unless told.
    #[oai(default)]
    pub input: u64,
    /// Of a million tokens of output; nothing unless told.
    #[oai(default)]
    pub output: u64,
    /// Of a million tokens of input that the upstream had in its cache; as much as other input unless told.
    pub cached: Option<u64>,
    /// Of an image; nothing unless told.
    pub image: Option<u64>,
    /// Of a second of film; nothing unless told.
    pub second: Option<u64>,
}

/// What a model is to be.
#[derive(Debug, Object)]
#[oai(rename = "RegisterModel", deny_unknown_fields)]
pub struct PutModel {
    /// Where it leads, 1 to 16: the first target that has a usable account serves.
    pub targets: Vec<TargetView>,
    /// Most tokens of question and answer together, if known.
    pub context_length: Option<u32>,
    /// What `max_tokens` is capped at, if it is.
    pub max_tokens: Option<u32>,
    /// What it costs, if known.
    pub price: Option<PriceView>,
}

/// A model.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct RegisteredModel {
    /// The name that clients call it by.
    pub id: String,
    /// Where it leads, in the order of preference.
    pub targets: Vec<TargetView>,
    /// Most tokens of question and answer together; absent where nobody knows.
    pub context_length: Option<u32>,
    /// What `max_tokens` is capped at; absent where it is not.
    pub max_tokens: Option<u32>,
    /// What it costs; absent where nobody knows.
    pub price: Option<PriceView>,
    /// `environment` (comes with an upstream, and can be put over) or `store`.
    pub source: String,
}

/// A page of models.
#[derive(Debug, Object)]
pub struct RegisteredModelPage {
    /// By name.
    pub items: Vec<RegisteredModel>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// The routes of models.
pub struct ModelsApi;

#[OpenApi(tag = "Tag::Models")]
impl ModelsApi {
    /// List models
    ///
    /// Those that come with the environment's upstreams, and those that were registered here.
    #[oai(path = "/admin/models", method = "get", operation_id = "models_listRegistered")]
    async fn list(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// How many a page has, 1 to 1000; 100 unless told.
        limit: Query<Option<u32>>,
        /// Where to go on: the `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<RegisteredModelPage>, ApiError> {
        let catalogue = authorized.services.curator.catalogue().load();
        let models = catalogue.models.values();
        let views = models.map(|(model, source)| RegisteredModel::new(model, *source));
        let key = &authorized.services.store.keyring().cursor;
        let (items, next_cursor) = page::of(views, key, "models", limit.0, cursor.0.as_deref())?;
        Ok(Json(RegisteredModelPage { items, next_cursor }))
    }

    /// Show a model
    ///
    /// Where it leads, and what is known of it.
    #[oai(path = "/admin/models/:id", method = "get", operation_id = "models_getRegistered")]
    async fn show(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// Its name. Slashes may stand as they are, or as `%2F`.
        id: Path<String>,
    ) -> Result<Json<RegisteredModel>, ApiError> {
        let catalogue = authorized.services.curator.catalogue().load();
        let no_such = || ApiError::new(Code::NotFound, "there is no such model");
        let (model, source) = catalogue.models.get(&id.0).ok_or_else(no_such)?;
        Ok(Json(RegisteredModel::new(model, *source)))
    }

    /// Register a model
    ///
    /// In the place of one of the same name. In force from the next call on.
    #[oai(path = "/admin/models/:id", method = "put", operation_id = "models_register")]
    async fn put(
        &self,
        authorized: Authorized<ToAdmin, Json<PutModel>>,
        /// Its name. Slashes may stand as they are, or as `%2F`.
        id: Path<String>,
    ) -> Result<Json<RegisteredModel>, ApiError> {
        let by = by(&authorized);
        let Json(body) = authorized.body;
        let model = Model {
            name: id.0,
            targets: body.targets.into_iter().map(target).collect::<Result<_, _>>()?,
            context_length: positive("context_length", body.context_length)?,
            max_tokens: positive("max_tokens", body.max_tokens)?,
            price: body.price.as_ref().map(price).transpose()?,
        };
        authorized.services.curator.put_model(model.clone(), by).await?;
        Ok(Json(RegisteredModel::new(&model, Source::Store)))
    }

    /// Remove a model
    ///
    /// One that comes with an upstream, and was put over here, is itself again.
    #[oai(path = "/admin/models/:id", method = "delete", operation_id = "models_unregister")]
    async fn remove(
        &self,
        authorized: Authorized<ToAdmin, NoBody>,
        /// Its name. Slashes may stand as they are, or as `%2F`.
        id: Path<String>,
    ) -> Result<Json<Removed>, ApiError> {
        let by = by(&authorized);
        authorized.services.curator.remove_model(&id.0, by).await?;
        Ok(Json(Removed::new(id.0)))
    }
}

fn target(view: TargetView) -> Result<Target, ApiError> {
    let no_such = || {
        let message = format!("there is no upstream {:?}: add it first", view.upstream);
        ApiError::validation(message).about("targets.upstream")
    };
    Ok(Target {
        upstream: view.upstream.parse().map_err(|_| no_such())?,
        model: view.model,
        weight: positive("targets.weight", view.weight)?,
    })
}

fn price(view: &PriceView) -> Result<Price, ApiError> {
    let wrong = |error| ApiError::validation(format!("price.currency: {error}")).about("price.currency");
    Ok(Price {
        currency: view.currency.parse().map_err(wrong)?,
        input: view.input,
        output: view.output,
        cached: view.cached,
        image: view.image,
        second: view.second,
    })
}

fn positive(field: &'static str, number: Option<u32>) -> Result<Option<NonZeroU32>, ApiError> {
    let zero = || ApiError::validation(format!("{field} must be at least 1")).about(field);
    number
        .map(|number| NonZeroU32::new(number).ok_or_else(zero))
        .transpose()
}

impl RegisteredModel {
    fn new(model: &Model, source: Source) -> Self {
        let target = |target: &Target| TargetView {
            upstream: target.upstream.to_string(),
            model: target.model.clone(),
            weight: target.weight.map(NonZeroU32::get),
        };
        Self {
            id: model.name.clone(),
            targets: model.targets.iter().map(target).collect(),
            context_length: model.context_length.map(NonZeroU32::get),
            max_tokens: model.max_tokens.map(NonZeroU32::get),
            price: model.price.map(|price| PriceView {
                currency: price.currency.to_string(),
                input: price.input,
                output: price.output,
                cached: price.cached,
                image: price.image,
                second: price.second,
            }),
            source: source.label().to_owned(),
        }
    }
}
