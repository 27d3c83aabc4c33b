//! Labels: what submitters find their tasks by.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::LabelKey;

/// The value of a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", examples("payments"))]
pub struct LabelValue(String);

/// The labels of a task: at most eight keys with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = std::collections::HashMap<String, LabelValue>)]
pub struct Labels(pub BTreeMap<LabelKey, LabelValue>);

/// One label: in a query `key:value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The key.
    pub key: LabelKey,
    /// The value.
    pub value: LabelValue,
}

/// The text is not a label or a part of one; the message is the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLabel(&'static str);

impl Labels {
    /// The most labels of a task.
    pub const MAX: usize = 8;

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Labels {
    /// `key=value` for each label, separated by commas: for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (key, LabelValue(value))) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{key}={value}")?;
        }
        Ok(())
    }
}

impl LabelValue {
    /// The rule that a value keeps, as a sentence.
    pub const RULE: &'static str =
        "a label's value is a text of at most 255 characters without control characters";

    /// The value as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LabelValue {
    type Error = InvalidLabel;

    fn try_from(text: String) -> Result<Self, InvalidLabel> {
        let is_valid = text.chars().count() <= 255 && !text.contains(char::is_control);
        if is_valid { Ok(Self(text)) } else { Err(InvalidLabel(Self::RULE)) }
    }
}

impl From<LabelValue> for String {
    fn from(value: LabelValue) -> Self {
        value.0
    }
}

impl Label {
    /// The label `key` with `value`; fails with the rule that one of them breaks.
    pub fn new(key: &str, value: &str) -> Result<Self, InvalidLabel> {
        let key = key.parse().map_err(|_| InvalidLabel(LabelKey::RULE))?;
        Ok(Self { key, value: value.to_owned().try_into()? })
    }
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let (key, value) = text.split_once(':').ok_or(InvalidLabel("a label is written key:value"))?;
        Self::new(key, value)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.value.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_label_is_what_follows_the_first_colon() {
        let label: Label = "example.com/team:a:b=c ü".parse().unwrap();
        assert_eq!((label.key.as_str(), label.value.as_str()), ("example.com/team", "a:b=c ü"));
        assert_eq!(label.to_string().parse(), Ok(label));
        assert_eq!("key:".parse::<Label>().unwrap().value.as_str(), "");
        for bad in ["key", ":value", "two words:x", "key:a\nb", &format!("key:{}", "x".repeat(256))] {
            assert!(bad.parse::<Label>().is_err(), "{bad:?}");
        }
        assert!(LabelValue::try_from("ü".repeat(255)).is_ok());
    }
}
