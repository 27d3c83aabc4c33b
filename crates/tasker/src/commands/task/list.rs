//! `tasker list`: one page of the user's tasks, all or those with a status, of a type, or of a time.

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use database::ProcessClock;
use domain::{PageRequest, Status, TaskFilter, TaskId, TaskList, Timestamp, Ttl, TypeName};

use crate::commands::connection_target::Server;
use crate::commands::output::OutputFormat;
use crate::commands::task::id_prefix::IdPrefix;
use crate::commands::task::ttl;
use crate::commands::task::view::View;
use crate::config::environment::Environment;
use crate::terminal;

/// Options of `tasker list`.
#[derive(Debug, Args)]
pub struct List {
    /// List only tasks with this status
    #[arg(long, ignore_case = true, value_parser = status_parser())]
    status: Option<Status>,
    /// List only tasks of this type
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<TypeName>,
    /// List only tasks that were submitted at most so long ago: 30m, 1h, 7d
    #[arg(long, value_name = "AGE")]
    since: Option<Age>,
    /// The largest number of tasks to list
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(PageRequest::MAX_LIMIT)))]
    limit: u32,
    /// List only tasks older than this one, such as the last of the page before
    #[arg(long, value_name = "ID")]
    before: Option<IdPrefix>,
    #[command(flatten)]
    server: Server,
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

impl List {
    /// Requests a page and prints it.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let now = Timestamp(ProcessClock::System.now());
        let filter = TaskFilter {
            status: self.status,
            type_name: self.type_name.clone(),
            from: self.since.as_ref().map(|age| now.plus_micros(-age.span.micros())),
        };
        let client = self.server.connect(environment).await?;
        let before = match &self.before {
            Some(id) => Some(id.find(&client).await?),
            None => None,
        };
        let page = PageRequest { before, limit: self.limit };
        let found = client.list_filtered(&filter, page).await?;
        let view = View::of(environment);
        let ids = |found: &TaskList| found.tasks.iter().map(|task| task.id.to_string()).collect();
        self.server.output.print(&found, |found| view.list(found, now, terminal::columns()), ids)?;
        if self.server.output != OutputFormat::Table {
            return Ok(());
        }
        match found.tasks.last() {
            None if self.before.is_some() => terminal::print_note("no older tasks"),
            None if filter != TaskFilter::UNFILTERED => terminal::print_note("no such tasks"),
            None => {
                terminal::print_note("no tasks yet; to submit one: tasker submit GENERATE_LOGIN --ttl 5s");
            }
            Some(last) if found.tasks.len() >= self.limit as usize => {
                terminal::print_note(&format!("there may be more: {}", self.next_command(last.id)));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The command that lists the page after the task `last`.
    fn next_command(&self, last: TaskId) -> String {
        let options = [
            ("status", self.status.map(|status| status.as_str().to_lowercase())),
            ("type", self.type_name.as_ref().map(ToString::to_string)),
            ("since", self.since.as_ref().map(|age| age.text.clone())),
            ("limit", Some(self.limit.to_string())),
            ("before", Some(last.to_string())),
        ];
        let options = options.into_iter().filter_map(|(name, value)| Some(format!(" --{name} {}", value?)));
        format!("tasker list{}", options.collect::<String>())
    }
}
