//! Parameters whose schema is in the document, but whose value is read elsewhere.
//!
//! poem-openapi would answer 400 to an unknown `Action` and take the first of two; ours never fails, and the handler
//! reads the raw query.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult};
use serde_json::Value;

use super::raw::raw_type;
use crate::model::operation::Operation;

macro_rules! documented {
    ($(#[$doc:meta])* $name:ident, $items:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        raw_type!($name, required true,
            MetaSchemaRef::Inline(Box::new(MetaSchema { enum_items: $items, ..MetaSchema::new("string") }))
        );

        impl ParseFromParameter for $name {
            fn parse_from_parameter(_value: &str) -> ParseResult<Self> {
                Ok::<_, ParseError<Self>>(Self)
            }

            fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(_values: I) -> ParseResult<Self> {
                Ok(Self)
            }
        }
    };
}

documented!(
    /// The `Action` of a Volcengine request.
    ActionParam,
    Operation::VOLCENGINE.iter().filter_map(|operation| operation.action()).map(Value::from).collect()
);

documented!(
    /// The `Version` of a Volcengine request.
    VersionParam,
    vec![Value::from("2022-08-31"), Value::from("2024-06-06")]
);
