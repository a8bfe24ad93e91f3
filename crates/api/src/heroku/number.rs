//! Numbers that some clients send as numbers and others as strings.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};

/// Reads an optional number in either form. An empty string is a mistake, not an absent number.
pub(super) fn optional<'de, D, N>(input: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: FromStr + TryFrom<i64>,
{
    input.deserialize_any(EitherForm(PhantomData))
}

/// The same for a field in which `null` means something else than its absence.
pub(super) fn nullable<'de, D, N>(input: D) -> Result<Option<Option<N>>, D::Error>
where
    D: Deserializer<'de>,
    N: FromStr + TryFrom<i64>,
{
    optional(input).map(Some)
}

struct EitherForm<N>(PhantomData<N>);

impl<'de, N: FromStr + TryFrom<i64>> Visitor<'de> for EitherForm<N> {
    type Value = Option<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or a string that holds one")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<N>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Option<N>, E> {
        let number = N::try_from(value);
        number.map(Some).map_err(|_| E::custom(format!("{value} is out of range")))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<N>, E> {
        let signed = i64::try_from(value).map_err(|_| E::custom(format!("{value} is out of range")))?;
        self.visit_i64(signed)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Option<N>, E> {
        value
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| E::custom(format!("{value:?} is not a whole number in range")))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        #[serde(default, deserialize_with = "super::optional")]
        count: Option<u32>,
        #[serde(default, deserialize_with = "super::nullable")]
        retention: Option<Option<i64>>,
    }

    fn read(json: &str) -> Result<(Option<u32>, Option<Option<i64>>), String> {
        let sample: Result<Sample, _> = serde_json::from_str(json);
        sample.map(|sample| (sample.count, sample.retention)).map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_are_read_and_null_is_not_absence() {
        assert_eq!(read("{}"), Ok((None, None)));
        assert_eq!(read(r#"{"count":"8","retention":null}"#), Ok((Some(8), Some(None))));
        assert_eq!(read(r#"{"count":8,"retention":"86400000"}"#), Ok((Some(8), Some(Some(86_400_000)))));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(read(r#"{"count":"eight"}"#).unwrap_err().contains("\"eight\" is not a whole number"));
        assert!(read(r#"{"count":-1}"#).unwrap_err().contains("-1 is out of range"));
        assert!(read(r#"{"count":1.5}"#).unwrap_err().contains("a whole number"));
    }
}
