//! The formats in which commands print their answers.

use std::io::{self, IsTerminal, stdout};

use clap::ValueEnum;
use serde::Serialize;

use crate::terminal;

/// The format of an answer of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text for people.
    Table,
    /// JSON as the API answered it, in one line.
    Json,
    /// Only the id or name of each item, one a line.
    Id,
}

/// The format of a report that the command line makes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Text for people.
    Table,
    /// A JSON array of objects, in one line.
    Json,
}

impl OutputFormat {
    /// Prints an answer in this format; `table` and `ids` make the text of the other two.
    pub fn print<T: Serialize>(
        self,
        answer: &T,
        table: impl FnOnce(&T) -> String,
        ids: impl FnOnce(&T) -> Vec<String>,
    ) -> io::Result<()> {
        let text = match self {
            // Parameters and results are JSON as it was submitted, with line breaks between tokens; a string has none.
            Self::Json => {
                let line = serde_json::to_string(answer)?.replace(['\n', '\r', '\t'], " ");
                if stdout().is_terminal() { terminal::escape_json(&line).into_owned() } else { line }
            }
            Self::Table => table(answer),
            Self::Id => ids(answer).join("\n"),
        };
        if text.is_empty() { Ok(()) } else { terminal::print_line(&text) }
    }
}
