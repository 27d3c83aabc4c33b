//! A task's id as people write it: whole, or as many of its first characters as no other task of theirs has.

use std::str::FromStr;

use anyhow::Result;
use client::Client;
use domain::{PageRequest, TaskId};

use crate::command_error::NotFound;
use crate::config::error::ConfigError;

/// The greatest id. Its end replaces what is missing from a prefix, which makes the greatest id with that prefix.
const GREATEST: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/// The fewest characters of a prefix.
const MIN_LENGTH: usize = 4;

/// A task's id or the beginning of one, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPrefix(String);

impl FromStr for IdPrefix {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if let Ok(id) = text.parse::<TaskId>() {
            return Ok(Self(id.to_string()));
        }
        let filled = GREATEST.get(text.len()..).map(|rest| format!("{text}{rest}"));
        let is_prefix = filled.is_some_and(|id| id.parse::<TaskId>().is_ok());
        if is_prefix && text.len() >= MIN_LENGTH {
            return Ok(Self(text.to_lowercase()));
        }
        Err(ConfigError::new(format!(
            "a task's id must be a UUID, or its first {MIN_LENGTH} characters or more"
        )))
    }
}

impl IdPrefix {
    /// The id of the caller's only task whose id begins like this.
    ///
    /// # Errors
    ///
    /// [`NotFound`] if there is none, [`ConfigError`] if there are several, or why the server did not answer.
    pub async fn find(&self, client: &Client) -> Result<TaskId> {
        let Self(prefix) = self;
        if prefix.len() == GREATEST.len() {
            return Ok(prefix.parse()?);
        }
        let greatest = format!("{prefix}{}", &GREATEST[prefix.len()..]).parse()?;
        let newest =
            client.list(PageRequest { before: Some(greatest), ..PageRequest::newest(2) }).await?.tasks;
        let mut found = newest.iter().map(|task| task.id).filter(|id| id.to_string().starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id),
            (Some(_), Some(_)) => {
                let several = format!("the ids of several tasks begin with {prefix}: give more characters");
                Err(ConfigError::new(several).into())
            }
            (None, _) => {
                Err(NotFound(format!("no task's id begins with {prefix}: `tasker list` shows your tasks"))
                    .into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_the_beginning_of_a_uuid() {
        for text in
            ["0189", "01890a5d-", "01890A5D-ac96-774b-bcce-b302099a8057", "01890a5dac96774bbcceb302099a8057"]
        {
            assert!(text.parse::<IdPrefix>().is_ok(), "{text}");
        }
        for text in ["", "018", "latest", "01890a5dac", "01890a5d-ac96-774b-bcce-b302099a80577", "é189"] {
            assert!(text.parse::<IdPrefix>().is_err(), "{text}");
        }
    }
}
