//! Registering models.

use super::{By, Curator, Edit};
use crate::catalogue::error::CurateError;
use crate::model::catalogue::{Model, Target};
use crate::model::media::MediaModel;
use crate::model::money::Price;
use crate::model::operation::Protocol;
use crate::model::upstream::Source;

impl Curator {
    /// Registers a model, in the place of one of the same name.
    ///
    /// # Errors
    /// [`CurateError`]; nothing is changed then.
    pub async fn put_model(&self, model: Model, by: By) -> Result<(), CurateError> {
        let turn = self.turn().await;
        check_name("name", &model.name)?;
        if !(1..=MOST_TARGETS).contains(&model.targets.len()) {
            return Err(CurateError::invalid("targets", "must name 1 to 16 targets"));
        }
        for target in &model.targets {
            check_name("targets.model", &target.model)?;
            self.check_upstream(target, model.targets.len())?;
        }
        if let Some(price) = &model.price {
            let too_much = |part: &&(&str, Option<u64>)| part.1.is_some_and(|amount| amount > Price::MOST);
            if let Some((part, _)) = price.parts().iter().find(too_much) {
                return Err(CurateError::invalid(part, "must be at most 1000000000000"));
            }
        }
        if turn.stored.models.get(&model.name) == Some(&model) {
            return Ok(());
        }
        let entry = by.did("model.put", &model.name);
        self.commit(turn, vec![(Edit::PutModel(model), entry)]).await
    }

    /// Removes a model. One that we bring along, and that a person had put another in the place of, is itself again.
    ///
    /// # Errors
    /// [`CurateError`]; nothing is removed then.
    pub async fn remove_model(&self, name: &str, by: By) -> Result<(), CurateError> {
        let turn = self.turn().await;
        match self.catalogue.load().models.get(name).map(|(_, source)| *source) {
            None => return Err(CurateError::NotFound { what: "model" }),
            Some(Source::Environment) => return Err(CurateError::ReadOnly { what: "model" }),
            Some(Source::Store) => {}
        }
        let edit = (Edit::RemoveModel(name.to_owned()), by.did("model.remove", name));
        self.commit(turn, vec![edit]).await
    }

    fn check_upstream(&self, target: &Target, targets: usize) -> Result<(), CurateError> {
        let catalogue = self.catalogue.load();
        match catalogue
            .upstreams
            .get(&target.upstream)
            .map(|upstream| upstream.protocol)
        {
            Some(Protocol::Volcengine) if MediaModel::named(&target.model).is_none() => Err(CurateError::invalid(
                "targets.model",
                format!("{} makes no pictures or films by this name", target.upstream),
            )),
            Some(Protocol::Volcengine) if targets > 1 => Err(CurateError::invalid(
                "targets",
                format!("a model of {} has no other target", target.upstream),
            )),
            Some(Protocol::OpenAi | Protocol::Volcengine) => Ok(()),
            None => Err(CurateError::invalid(
                "targets.upstream",
                format!("there is no upstream {}: add it first", target.upstream),
            )),
        }
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), CurateError> {
    if (1..=LONGEST_NAME).contains(&name.len()) && !name.contains(char::is_control) {
        return Ok(());
    }
    Err(CurateError::invalid(
        field,
        "must have 1 to 256 bytes, without control characters",
    ))
}

const MOST_TARGETS: usize = 16;
const LONGEST_NAME: usize = 256;
