//! Options that select tasks: by status, type and time of submission.

use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use domain::{Label, Status, TaskFilter, Timestamp, Ttl, TypeName};

use crate::commands::task::{label, ttl};

/// Which tasks a command is about; without any option all of them.
#[derive(Debug, Args)]
pub struct Conditions {
    /// Only tasks with this status
    #[arg(long, ignore_case = true, value_parser = status_parser())]
    status: Option<Status>,
    /// Only tasks of this type
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<TypeName>,
    /// Only tasks with this label; several are required together
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label::parse)]
    labels: Vec<Label>,
    /// Only tasks that were submitted at most so long ago: 30m, 1h, 7d
    #[arg(long, value_name = "AGE")]
    since: Option<Age>,
    /// Only tasks that were submitted longer ago than this: 30m, 1h, 7d
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
}

/// An age, and how it was written.
#[derive(Debug, Clone)]
struct Age {
    text: String,
    span: Ttl,
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), span: ttl::parse(text)? })
    }
}

/// Parses a status in small or capital letters.
fn status_parser() -> impl TypedValueParser<Value = Status> {
    let names = PossibleValuesParser::new(["created", "running", "finished", "cancelled"]);
    names.try_map(|name| name.to_uppercase().parse::<Status>())
}

impl Conditions {
    /// The tasks that meet the conditions at the instant `now`.
    pub fn filter(&self, now: Timestamp) -> TaskFilter {
        let ago = |age: &Option<Age>| age.as_ref().map(|age| now.plus_micros(-age.span.micros()));
        TaskFilter {
            status: self.status,
            type_name: self.type_name.clone(),
            labels: self.labels.clone(),
            created_after: ago(&self.since),
            created_before: ago(&self.older_than),
            ..TaskFilter::UNFILTERED
        }
    }

    /// The options as they are written, each after a space.
    pub fn options(&self) -> String {
        let text = |age: &Option<Age>| age.as_ref().map(|age| age.text.clone());
        let options = [
            ("status", self.status.map(|status| status.as_str().to_lowercase())),
            ("type", self.type_name.as_ref().map(ToString::to_string)),
            ("since", text(&self.since)),
            ("older-than", text(&self.older_than)),
        ];
        let options = options.into_iter().filter_map(|(name, value)| Some(format!(" --{name} {}", value?)));
        let labels = self.labels.iter().map(|label| format!(" --label {}", label::quoted(label)));
        options.chain(labels).collect()
    }
}
