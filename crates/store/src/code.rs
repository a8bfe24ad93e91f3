//! States and kinds as text: the columns hold the same kebab-case codes that every interface prints.

use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::error::StoreError;

/// The code of a plain enum's value.
pub(crate) fn text<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => unreachable!("only enums without fields are stored as codes"),
    }
}

/// The value of a code.
pub(crate) fn parse<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    let deserializer: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        text.into_deserializer();
    T::deserialize(deserializer).map_err(|_| StoreError::UnknownValue { what, value: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use model::resource::State;

    use super::*;

    #[test]
    fn codes_are_the_names_of_the_schema() {
        assert_eq!(text(State::Deprovisioning), "deprovisioning");
        assert_eq!(parse::<State>("state", "gone").unwrap(), State::Gone);
        let error = parse::<State>("state", "melted").unwrap_err();
        assert_eq!(error.to_string(), "the stored state \"melted\" is unknown to this release");
    }
}
