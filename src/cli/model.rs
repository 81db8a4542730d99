//! `tollgate model`: the names that clients may call, and where they lead.

use std::fmt;
use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::CliError;
use super::output::{Output, Show};
use super::page::{Page, Removed, below};
use super::reach::Reach;
use super::table::{Column, Look, fields, table};
use super::target::Target;
use crate::model::upstream::UpstreamName;

/// Register models, and see where they lead
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    #[command(flatten)]
    pub(super) reach: Reach,
    #[command(subcommand)]
    pub(super) action: ModelAction,
}

/// What is done with models.
#[derive(Debug, Subcommand)]
pub(super) enum ModelAction {
    /// List every model, also those that come with an upstream
    List,
    /// Show one model
    Show(Id),
    /// Register a model, in the place of one of the same name
    Put(Put),
    /// Remove a model; one that comes with an upstream is itself again
    Remove(Id),
}

/// Names one model.
#[derive(Debug, Args)]
pub(super) struct Id {
    /// The model
    #[arg(long, value_name = "MODEL")]
    id: String,
}

/// `model put`
#[derive(Debug, Args)]
pub(super) struct Put {
    #[command(flatten)]
    id: Id,
    /// Where it leads; repeat it in the order of preference
    #[arg(long = "target", value_name = "UPSTREAM=MODEL", required = true, value_parser = place)]
    targets: Vec<Place>,
    /// Shares of the first targets, several by commas; targets without one serve only where those cannot
    #[arg(long = "weight", value_name = "N", value_delimiter = ',')]
    weights: Vec<NonZeroU32>,
    /// Most tokens of question and answer together
    #[arg(long, value_name = "TOKENS")]
    context_length: Option<NonZeroU32>,
    /// What `max_tokens` is capped at
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<NonZeroU32>,
    /// What it costs, in millionths: a million tokens of input, output and cached input, an image, a second of film, as
    /// USD,input=150000,output=600000,cached=75000 or CNY,image=200000; USD,150000,600000 for input and output alone
    #[arg(long, value_name = "CURRENCY,PART=N,…", value_parser = price)]
    price: Option<Price>,
}

/// One place that serves a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    upstream: String,
    model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<NonZeroU32>,
}

/// What a model costs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Price {
    currency: String,
    #[serde(default)]
    input: u64,
    #[serde(default)]
    output: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cached: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second: Option<u64>,
}

/// A model as the admin interface wants it.
#[derive(Debug, Serialize)]
struct NewModel {
    targets: Vec<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Price>,
}

impl Put {
    /// # Errors
    /// [`CliError::Usage`] for more weights than targets.
    fn into_model(self) -> Result<NewModel, CliError> {
        if self.weights.len() > self.targets.len() {
            return Err(CliError::Usage("there are more weights than targets".to_owned()));
        }
        let weights = self.weights.into_iter().map(Some).chain(std::iter::repeat(None));
        let weighed = |(place, weight): (Place, _)| Place { weight, ..place };
        Ok(NewModel {
            targets: self.targets.into_iter().zip(weights).map(weighed).collect(),
            context_length: self.context_length,
            max_tokens: self.max_tokens,
            price: self.price,
        })
    }
}

/// Does it and prints the outcome.
pub(super) async fn run(action: ModelAction, target: &Target, output: Output) -> Result<(), CliError> {
    match action {
        ModelAction::List => output.show(&Page::<ModelView>::all(target, MODELS).await?),
        ModelAction::Show(Id { id }) => output.show(&target.get::<ModelView>(&below(MODELS, &id)).await?),
        ModelAction::Put(put) => {
            let path = below(MODELS, &put.id.id);
            let model = put.into_model()?;
            output.show(&target.put::<ModelView>(Method::PUT, &path, &model).await?)
        }
        ModelAction::Remove(Id { id }) => output.show(&target.delete::<Removed>(&below(MODELS, &id)).await?),
    }
}

fn place(text: &str) -> Result<Place, String> {
    let wrong = || "write the upstream, =, and what the model is called there".to_owned();
    let (upstream, model) = text.split_once('=').ok_or_else(wrong)?;
    let upstream: UpstreamName = upstream.parse().map_err(|error| format!("{error}"))?;
    if model.is_empty() {
        return Err(wrong());
    }
    Ok(Place {
        upstream: upstream.to_string(),
        model: model.to_owned(),
        weight: None,
    })
}

fn price(text: &str) -> Result<Price, String> {
    let wrong = || {
        "write three letters and what parts cost, as USD,input=150000,output=600000; the parts are input, output, cached, \
         image and second"
            .to_owned()
    };
    let (currency, parts) = text.split_once(',').ok_or_else(wrong)?;
    let mut price = Price {
        currency: currency.to_owned(),
        ..Price::default()
    };
    if let Some((input, output)) = parts.split_once(',').filter(|_| !parts.contains('=')) {
        price.input = input.parse().map_err(|_| wrong())?;
        price.output = output.parse().map_err(|_| wrong())?;
        return Ok(price);
    }
    let mut seen = Vec::new();
    for part in parts.split(',') {
        let (name, amount) = part.split_once('=').ok_or_else(wrong)?;
        let amount: u64 = amount.parse().map_err(|_| wrong())?;
        if seen.contains(&name) {
            return Err(wrong());
        }
        seen.push(name);
        match name {
            "input" => price.input = amount,
            "output" => price.output = amount,
            "cached" => price.cached = Some(amount),
            "image" => price.image = Some(amount),
            "second" => price.second = Some(amount),
            _ => return Err(wrong()),
        }
    }
    Ok(price)
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            currency,
            input,
            output,
            cached,
            image,
            second,
        } = self;
        write!(f, "{currency} {input} in, {output} out")?;
        for (amount, name) in [(cached, "cached"), (image, "an image"), (second, "a second")] {
            if let Some(amount) = amount {
                write!(f, ", {amount} {name}")?;
            }
        }
        Ok(())
    }
}

/// A model as it is printed.
#[derive(Debug, Serialize, Deserialize)]
struct ModelView {
    id: String,
    targets: Vec<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context_length: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price: Option<Price>,
    source: String,
    /// What a newer server adds.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl ModelView {
    fn targets(&self) -> String {
        let shown = |place: &Place| {
            let share = place.weight.map(|weight| format!(" ×{weight}")).unwrap_or_default();
            format!("{}={}{share}", place.upstream, place.model)
        };
        self.targets.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

impl Show for ModelView {
    fn text(&self, look: Look) -> String {
        let mut rows = vec![
            ("id", Cell::new(&self.id)),
            ("targets", Cell::new(self.targets())),
            ("context length", number(self.context_length)),
            ("max tokens", number(self.max_tokens)),
            ("source", Cell::new(&self.source)),
        ];
        if let Some(price) = &self.price {
            rows.push(("price", Cell::new(price.to_string())));
        }
        fields(rows, look)
    }
}

impl Show for Page<ModelView> {
    fn text(&self, look: Look) -> String {
        let columns = [
            Column::Word("ID"),
            Column::Number("CONTEXT"),
            Column::Word("SOURCE"),
            Column::Text("TARGETS"),
        ];
        let row = |model: &ModelView| {
            vec![
                Cell::new(&model.id),
                number(model.context_length),
                Cell::new(&model.source),
                Cell::new(model.targets()),
            ]
        };
        let none = "no models yet: register one with `tollgate model put`";
        table(&columns, self.items.iter().map(row).collect(), look, none)
    }
}

fn number(value: Option<u32>) -> Cell {
    value.map_or_else(|| Cell::new("-"), Cell::new)
}

const MODELS: &str = "/admin/models";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::{Cli, Command};
    use crate::cli::output::compact;

    fn parse(line: &str) -> Result<ModelAction, clap::Error> {
        match Cli::parse_line(format!("tollgate model {line}").split(' '))?.command {
            Some(Command::Model(args)) => Ok(args.action),
            other => panic!("{other:?}"),
        }
    }

    fn put(line: &str) -> Result<String, CliError> {
        match parse(&format!("put --id small {line}")).unwrap() {
            ModelAction::Put(put) => put.into_model().map(|model| compact(&model)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_model_leads_to_targets_in_order_and_the_first_ones_share_by_weight() {
        let line = "--target local=a:b=c --target megallm=x/y --weight 3 --context-length 8000 --price USD,1,2";
        assert_eq!(
            put(line).unwrap(),
            r#"{"targets":[{"upstream":"local","model":"a:b=c","weight":3},{"upstream":"megallm","model":"x/y"}],"#
                .to_owned()
                + r#""context_length":8000,"price":{"currency":"USD","input":1,"output":2}}"#
        );
        assert!(matches!(put("--target local=a --weight 1,2"), Err(CliError::Usage(_))));
    }

    #[test]
    fn a_price_names_its_parts_or_is_of_input_and_output() {
        let shown = |text: &str| price(text).map(|price| price.to_string());
        assert_eq!(shown("USD,1,2").unwrap(), "USD 1 in, 2 out");
        assert_eq!(
            shown("USD,output=2,input=1,cached=3").unwrap(),
            "USD 1 in, 2 out, 3 cached"
        );
        assert_eq!(
            shown("CNY,image=5,second=6").unwrap(),
            "CNY 0 in, 0 out, 5 an image, 6 a second"
        );
        for text in [
            "USD",
            "USD,",
            "USD,1",
            "USD,1,2,3",
            "USD,input=1,input=2",
            "USD,pixel=1",
            "USD,input=-1",
        ] {
            assert!(shown(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for line in [
            "put --id small",
            "put --id small --target local",
            "put --id small --target Local=a",
            "put --id small --target local=",
            "put --id small --target local=a --weight 0",
            "put --id small --target local=a --price USD",
            "show",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
