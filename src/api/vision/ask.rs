//! What is asked of the vision routes.

use bytes::Bytes;
use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::ParseFromJSON;
use poem_openapi::{ApiExtractorType, Object};
use serde_json::{Value, json};

use crate::api::error::ApiError;
use crate::api::guard::TakesBody;
use crate::api::raw::{raw_json, raw_type};
use crate::model::vision::{Images, Options, OptionsError};

/// A question about images.
#[derive(Debug, Object)]
pub struct AnalyzeImage {
    /// One image, or up to 16.
    pub image: ImageField,
    /// What to say about them.
    pub prompt: String,
    /// How to answer.
    pub options: Option<OptionsField>,
}

/// Images to be read.
#[derive(Debug, Object)]
pub struct ReadImage {
    /// One image, or up to 16.
    pub image: ImageField,
}

impl AnalyzeImage {
    pub(super) fn check_prompt(&self) -> Result<(), ApiError> {
        if self.prompt.trim().is_empty() {
            return Err(ApiError::validation("write a prompt").about("prompt"));
        }
        Ok(())
    }

    pub(super) fn options(&self) -> Result<Options, ApiError> {
        let json = self.options.as_ref().map_or(&Value::Null, |field| &field.0);
        Options::from_json(json).map_err(|error| {
            let param = match &error {
                OptionsError::NotAnObject => "options".to_owned(),
                OptionsError::NotAllowed(name) => format!("options.{name}"),
                OptionsError::Invalid { name, .. } => format!("options.{name}"),
            };
            ApiError::validation(error.to_string()).about(param)
        })
    }
}

impl ImageField {
    /// The images, and what the Math Notes API repeats of the first: its beginning, as it was sent.
    pub(super) fn read(self) -> Result<(Images, String), ApiError> {
        let wrong = |sentence: String| ApiError::validation(sentence).about("image");
        let text = |value| match value {
            Value::String(text) => Ok(text),
            _ => Err(wrong(SHAPE.to_owned())),
        };
        let texts: Vec<String> = match self.0 {
            Value::Array(many) => many.into_iter().map(text).collect::<Result<_, _>>()?,
            one => vec![text(one)?],
        };
        let images = Images::parse(&texts).map_err(|error| wrong(error.to_string()))?;
        let first = texts.first().map(String::as_str).unwrap_or_default();
        let beginning = first.chars().take(BEGINNING).chain("...".chars()).collect();
        Ok((images, beginning))
    }
}

/// A JSON body that keeps its share of the memory for bodies until its call is done.
#[derive(Debug)]
pub struct Held<T> {
    /// What it asks.
    pub asked: T,
    /// Its bytes, which hold the share. The images made of them are no larger.
    pub share: Bytes,
}

impl<T: ParseFromJSON + Send> TakesBody for Held<T> {
    const TYPES: &'static [ApiExtractorType] = <Json<T> as TakesBody>::TYPES;

    fn meta() -> Option<MetaRequest> {
        <Json<T> as TakesBody>::meta()
    }

    fn register(registry: &mut Registry) {
        <Json<T> as TakesBody>::register(registry);
    }

    fn parse(request: &Request, bytes: Bytes) -> Result<Self, ApiError> {
        let share = bytes.clone();
        let Json(asked) = <Json<T> as TakesBody>::parse(request, bytes)?;
        Ok(Self { asked, share })
    }
}

/// Declares a field that is taken as it comes and read by the handler, which knows better sentences than poem.
macro_rules! field {
    ($(#[$doc:meta])* $name:ident, required $required:literal, $schema:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(Value);

        raw_type!($name, required $required, MetaSchemaRef::Inline(Box::new($schema)));
        raw_json!($name);
    };
}

field!(
    /// One image or several, each a text.
    ImageField,
    required true,
    MetaSchema {
        one_of: vec![
            MetaSchemaRef::Inline(Box::new(text(IMAGE))),
            MetaSchemaRef::Inline(Box::new(MetaSchema {
                items: Some(Box::new(MetaSchemaRef::Inline(Box::new(text(IMAGE))))),
                min_items: Some(1),
                max_items: Some(Images::MAX),
                ..MetaSchema::new("array")
            })),
        ],
        ..MetaSchema::ANY
    }
);

field!(
    /// The options that a caller may set.
    OptionsField,
    required true,
    MetaSchema {
        properties: vec![
            ("temperature", number(0.0, 2.0, "How freely the answer is sampled.")),
            ("top_p", number(0.0, 1.0, "The share of likely tokens that is sampled from.")),
            ("max_tokens", whole(Some((1.0, 8192.0)), "The most tokens of the answer.")),
            ("detail", MetaSchemaRef::Inline(Box::new(MetaSchema {
                enum_items: vec![json!("low"), json!("high"), json!("auto")],
                ..text("How closely the images are looked at.")
            }))),
            ("seed", whole(None, "Makes sampling repeatable, as far as the provider can.")),
        ],
        ..MetaSchema::new("object")
    }
);

fn text(description: &'static str) -> MetaSchema {
    MetaSchema {
        description: Some(description),
        ..MetaSchema::new("string")
    }
}

fn number(least: f64, most: f64, description: &'static str) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some(description),
        minimum: Some(least),
        maximum: Some(most),
        ..MetaSchema::new("number")
    }))
}

fn whole(bounds: Option<(f64, f64)>, description: &'static str) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        description: Some(description),
        minimum: bounds.map(|(least, _)| least),
        maximum: bounds.map(|(_, most)| most),
        ..MetaSchema::new("integer")
    }))
}

const IMAGE: &str = "An `http` or `https` URL on the public internet, a data URL, or bare base64 of a PNG, JPEG, WebP, \
    GIF, BMP, HEIC or AVIF of at most 10 MiB. We never fetch URLs.";

const SHAPE: &str = "image is a string, or an array of strings";

/// How many characters of an image are repeated.
const BEGINNING: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &str = "R0lGODlhAQABAAAAADs=";

    fn read(image: Value) -> Result<(Images, String), ApiError> {
        ImageField(image).read()
    }

    #[test]
    fn one_image_is_a_text_and_several_are_an_array() {
        let (images, beginning) = read(json!(GIF)).unwrap();
        assert_eq!((images.iter().count(), beginning), (1, format!("{GIF}...")));
        let url = format!("https://example.com/{}", "é".repeat(100));
        let (images, beginning) = read(json!([url, GIF])).unwrap();
        assert_eq!(images.iter().count(), 2);
        assert_eq!(beginning, format!("https://example.com/{}...", "é".repeat(80)));
    }

    #[test]
    fn another_shape_of_image_is_the_clients_mistake() {
        for image in [
            json!(null),
            json!(1),
            json!({}),
            json!([1]),
            json!([]),
            json!([[GIF]]),
            json!("x y"),
        ] {
            let error = read(image.clone()).unwrap_err();
            assert_eq!(error.status(), 400, "{image}");
        }
    }

    #[test]
    fn the_option_that_is_wrong_is_named() {
        let asked = |options| AnalyzeImage {
            image: ImageField(json!(GIF)),
            prompt: " ".to_owned(),
            options: Some(OptionsField(options)),
        };
        assert_eq!(
            asked(json!({"model": "expensive"})).options().unwrap_err().status(),
            400
        );
        assert!(asked(json!({"seed": 1})).options().is_ok());
        assert_eq!(asked(json!({})).check_prompt().unwrap_err().status(), 400);
    }
}
