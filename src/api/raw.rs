//! Types of the document that stand for themselves: poem derives nothing for them.

/// Implements poem's `Type` for a type: its schema, and what else of the trait it does not leave at the default.
macro_rules! raw_type {
    ($name:ident, required $required:expr, $schema:expr $(; $($more:tt)+)?) => {
        impl poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = $required;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                $schema
            }

            $($($more)+)?

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}

/// Reads and writes a type that is one JSON value as it comes.
macro_rules! raw_json {
    ($name:ident) => {
        impl poem_openapi::types::ParseFromJSON for $name {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                Ok(Self(value.unwrap_or_default()))
            }
        }

        impl poem_openapi::types::ToJSON for $name {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(self.0.clone())
            }
        }
    };
}

pub(super) use {raw_json, raw_type};
