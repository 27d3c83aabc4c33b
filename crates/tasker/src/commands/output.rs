//! Answers on standard output: a table for eyes, JSON for machines, ids for the next command.

use std::io;

use clap::ValueEnum;
use serde::Serialize;

use crate::terminal;

/// For whom the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For eyes.
    Table,
    /// For machines: what the API answered, in one line.
    Json,
    /// What names each thing, one in a line.
    Id,
}

impl Output {
    /// Prints an answer as its reader wants it.
    pub fn print<T: Serialize>(
        self,
        answer: &T,
        table: impl FnOnce(&T) -> String,
        ids: impl FnOnce(&T) -> Vec<String>,
    ) -> io::Result<()> {
        let text = match self {
            // What a task carries is as it was written; no text in JSON has the end of a line in it.
            Self::Json => serde_json::to_string(answer)?.replace(['\n', '\r'], " "),
            Self::Table => table(answer),
            Self::Id => ids(answer).join("\n"),
        };
        if text.is_empty() { Ok(()) } else { terminal::line(&text) }
    }
}
