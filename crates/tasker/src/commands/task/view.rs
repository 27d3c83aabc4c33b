//! Tasks as text for people.

use std::collections::HashSet;

use anstyle::{AnsiColor, Style};
use domain::{
    AdminTask, Progress, RawJson, Reason, Status, Task, TaskEvent, TaskEventKind, TaskList, TaskSummary,
    Timestamp,
};

use crate::config::environment::Environment;
use crate::terminal;

/// Formats tasks, with or without colours.
pub struct View {
    has_colours: bool,
}

impl View {
    /// With colours if standard output shows them and the user has not switched them off.
    pub fn of(environment: &Environment) -> Self {
        Self { has_colours: terminal::has_colours(environment) }
    }

    /// One line for each task: id, status, type, age at the instant `now`, and the reason if it was cancelled. If a line were longer than
    /// the `columns` of the terminal, the ids are shortened, as the commands about a task accept them.
    pub fn list(&self, TaskList { tasks }: &TaskList, now: Timestamp, columns: Option<usize>) -> String {
        let ids: Vec<String> = tasks.iter().map(|task| task.id.to_string()).collect();
        let lines = |id_length: usize| self.list_lines(tasks, &ids, id_length, now);
        let plain = Self { has_colours: false }.list_lines(tasks, &ids, ID_LENGTH, now);
        let longest = plain.iter().map(String::len).max().unwrap_or(0);
        let is_too_long = columns.is_some_and(|columns| longest > columns);
        lines(if is_too_long { unique_length(&ids) } else { ID_LENGTH }).join("\n")
    }

    fn list_lines(
        &self,
        tasks: &[TaskSummary],
        ids: &[String],
        id_length: usize,
        now: Timestamp,
    ) -> Vec<String> {
        let width = tasks.iter().map(|task| task.type_name.as_str().len()).max().unwrap_or(0);
        let line = |(task, id): (&TaskSummary, &String)| {
            let (name, age) = (task.type_name.as_str(), age(now.micros_since(task.creation_date)));
            let status = self.status(task.status, 9);
            let reason = task.reason.map(Reason::as_str).unwrap_or_default();
            format!("{}  {status}  {name:<width$}  {age:>10}  {reason}", &id[..id_length])
                .trim_end()
                .to_owned()
        };
        tasks.iter().zip(ids).map(line).collect()
    }

    /// One line: id, status, type, and the reason if the task was cancelled.
    pub fn summary(&self, task: &TaskSummary) -> String {
        let reason = task.reason.map(|reason| format!("  {reason}")).unwrap_or_default();
        format!("{}  {}  {}{reason}", task.id, self.status(task.status, 9), task.type_name)
    }

    /// One line: id, status, type, and the progress or the reason if there is one.
    pub fn event(&self, event: &TaskEvent) -> String {
        let reason = event.reason.map(|reason| format!("  {reason}"));
        let shown = event.progress.as_ref().filter(|_| event.event == TaskEventKind::Progress);
        let progress = shown.map(|progress| format!("  {}", progress_text(progress)));
        let last = reason.or(progress).unwrap_or_default();
        format!("{}  {}  {}{last}", event.id, self.status(event.status, 9), event.type_name)
    }

    /// One line for each field of a task that has a value.
    pub fn task(&self, task: &Task) -> String {
        let or_empty = |value: Option<String>| value.unwrap_or_default();
        let escape = |text: &str| terminal::indent(text, VALUE_COLUMN);
        let parameters = task.parameters.clone().map(|json: RawJson| json.into());
        let lines = [
            ("id", task.id.to_string()),
            ("type", task.type_name.to_string()),
            ("parameters", or_empty(parameters.map(|text: String| escape(&text)))),
            ("status", self.status(task.status, 0)),
            ("reason", or_empty(task.reason.map(|reason| reason.to_string()))),
            ("by", or_empty(task.cancelled_by.map(|admin| admin.to_string()))),
            ("error", or_empty(task.error.as_deref().map(escape))),
            ("labels", escape(&task.labels.to_string())),
            ("after", task.after.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            ("rerun of", or_empty(task.rerun_of.map(|id| id.to_string()))),
            ("ttl", format!("{} ms", task.ttl.millis())),
            ("created", task.creation_date.to_string()),
            ("not before", or_empty(task.not_before.map(|date| date.to_string()))),
            ("started", or_empty(task.start_date.map(|date| date.to_string()))),
            ("deadline", or_empty(task.deadline.map(|date| date.to_string()))),
            ("ended", or_empty(task.end_date.map(|date| date.to_string()))),
            ("attempts", attempts(task)),
            ("worker", or_empty(task.worker_name.as_ref().map(ToString::to_string))),
            ("schedule", or_empty(task.schedule.as_ref().map(ToString::to_string))),
            ("for", or_empty(task.scheduled_for.map(|date| date.to_string()))),
            ("progress", or_empty(task.progress.as_ref().map(progress_text))),
        ];
        fields(&lines)
    }

    /// One line for each field of a task of any owner that has a value.
    pub fn admin_task(&self, task: &AdminTask) -> String {
        let date = |date: Option<Timestamp>| date.map(|date| date.to_string()).unwrap_or_default();
        fields(&[
            ("id", task.id.to_string()),
            ("owner", task.owner.to_string()),
            ("type", task.type_name.to_string()),
            ("status", self.status(task.status, 0)),
            ("reason", task.reason.map(|reason| reason.to_string()).unwrap_or_default()),
            ("by", task.cancelled_by.map(|admin| admin.to_string()).unwrap_or_default()),
            ("labels", terminal::indent(&task.labels.to_string(), VALUE_COLUMN)),
            ("ttl", format!("{} ms", task.ttl.millis())),
            ("created", task.creation_date.to_string()),
            ("not before", date(task.not_before)),
            ("started", date(task.start_date)),
            ("deadline", date(task.deadline)),
            ("ended", date(task.end_date)),
            ("worker", task.worker_name.as_ref().map(ToString::to_string).unwrap_or_default()),
        ])
    }

    /// The status, padded to `width` characters.
    fn status(&self, status: Status, width: usize) -> String {
        let text = format!("{:<width$}", status.as_str());
        if !self.has_colours {
            return text;
        }
        let colour = match status {
            Status::Created => AnsiColor::Yellow,
            Status::Running => AnsiColor::Blue,
            Status::Finished => AnsiColor::Green,
            Status::Cancelled => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{text}{style:#}")
    }
}

/// A line for each field that has a value.
fn fields(lines: &[(&str, String)]) -> String {
    let lines = lines.iter().filter(|(_, value)| !value.is_empty());
    lines
        .map(|(name, value)| format!("{name:<WIDTH$}  {value}", WIDTH = VALUE_COLUMN - 2))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How many attempts there were, and how many there may be, of a task that may have several.
fn attempts(task: &Task) -> String {
    let may_have_several = task.max_attempts > 1 || task.attempts > 1;
    if may_have_several { format!("{} of {}", task.attempts, task.max_attempts) } else { String::new() }
}

/// The percentage, and the message if there is one.
pub fn progress_text(progress: &Progress) -> String {
    let message = progress.message.as_deref().map(|message| format!(", {}", terminal::escape_line(message)));
    format!("{} %{}", progress.percent, message.unwrap_or_default())
}

/// The column in which the values of a task's fields begin.
const VALUE_COLUMN: usize = 12;

/// The characters of a whole id.
const ID_LENGTH: usize = 36;

/// The fewest characters of a shortened id: its time in milliseconds, which tasks that were submitted one after the other differ in.
const MIN_ID_LENGTH: usize = 13;

/// How many first characters tell these ids apart.
fn unique_length(ids: &[String]) -> usize {
    let is_unique = |length: &usize| {
        let mut seen = HashSet::new();
        ids.iter().all(|id| seen.insert(&id[..*length]))
    };
    (MIN_ID_LENGTH..ID_LENGTH).find(is_unique).unwrap_or(ID_LENGTH)
}

/// A duration since a date, in the largest unit that it has. The clocks of two machines differ, so it may be negative.
fn age(micros: i64) -> String {
    let seconds = (micros / 1_000_000).max(0);
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{number} {unit} ago")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PLAIN: View = View { has_colours: false };

    #[test]
    fn a_task_shows_the_fields_with_a_value() {
        let cancelled = Task {
            id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            type_name: "GENERATE_LOGIN".parse().unwrap(),
            parameters: None,
            status: Status::Cancelled,
            reason: Some(Reason::Requested),
            error: None,
            cancelled_by: None,
            labels: domain::Labels::default(),
            creation_date: Timestamp(1_795_512_600_125_999),
            not_before: None,
            start_date: None,
            end_date: Some(Timestamp(1_795_512_601_000_000)),
            deadline: None,
            ttl: 5000.try_into().unwrap(),
            stopped_date: None,
            total_ttl_ms: None,
            priority: domain::Priority::DEFAULT,
            max_attempts: 1,
            retry: None,
            after: Vec::new(),
            parameters_from: BTreeMap::new(),
            rerun_of: None,
            attempts: 0,
            worker_name: None,
            schedule: None,
            scheduled_for: None,
            progress: None,
        };
        let expected = "\
id          01890a5d-ac96-774b-bcce-b302099a8057
type        GENERATE_LOGIN
status      CANCELLED
reason      REQUESTED
ttl         5000 ms
created     2026-11-24T09:30:00.125Z
ended       2026-11-24T09:30:01.000Z";
        assert_eq!(PLAIN.task(&cancelled), expected);
        let hostile = Task { error: Some("red \u{1b}[31m alert".to_owned()), ..cancelled };
        assert!(PLAIN.task(&hostile).contains(r"red \u{1b}[31m alert"), "display controls are escaped");
        let forging = Task { error: Some("one\nstatus      FINISHED".to_owned()), ..hostile };
        let shown = PLAIN.task(&forging);
        assert_eq!(shown.lines().filter(|line| line.starts_with("status")).count(), 1, "{shown}");
    }

    #[test]
    fn an_age_is_in_the_largest_unit_that_it_has() {
        let ages =
            [-5, 0, 59, 60, 3599, 3600, 86_399, 86_400, 864_000].map(|seconds| age(seconds * 1_000_000));
        let expected = ["0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "10 d"];
        assert_eq!(ages, expected.map(|age| format!("{age} ago")));
    }

    #[test]
    fn a_list_has_a_line_for_each_task() {
        let summary = |status| TaskSummary {
            id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            type_name: "GENERATE_LOGIN".parse().unwrap(),
            status,
            reason: (status == Status::Cancelled).then_some(Reason::TtlExpired),
            creation_date: Timestamp(1_000_000),
            labels: domain::Labels::default(),
        };
        let tasks = TaskList { tasks: vec![summary(Status::Running), summary(Status::Cancelled)] };
        let expected = "\
01890a5d-ac96-774b-bcce-b302099a8057  RUNNING    GENERATE_LOGIN   2 min ago
01890a5d-ac96-774b-bcce-b302099a8057  CANCELLED  GENERATE_LOGIN   2 min ago  TTL_EXPIRED";
        let now = Timestamp(122_000_000);
        assert_eq!(PLAIN.list(&tasks, now, Some(98)), expected);
        let coloured = View { has_colours: true }.list(&tasks, now, None);
        assert!(coloured.contains("\u{1b}[34mRUNNING  \u{1b}[0m  GENERATE_LOGIN"), "{coloured:?}");
    }

    #[test]
    fn on_a_narrow_terminal_ids_are_as_short_as_they_can_be() {
        let summary = |id: &str| TaskSummary {
            id: id.parse().unwrap(),
            type_name: "GENERATE_LOGIN".parse().unwrap(),
            status: Status::Cancelled,
            reason: Some(Reason::OperationFailed),
            creation_date: Timestamp(0),
            labels: domain::Labels::default(),
        };
        let [one, other, third] = [
            "01890a5d-ac96-774b-bcce-b302099a8057",
            "01890a5d-ac96-774c-8cce-b302099a8057",
            "01890a5d-ac97-774b-bcce-b302099a8057",
        ];
        let list = |ids: &[&str], columns| {
            let tasks = ids.iter().map(|id| summary(id)).collect();
            PLAIN.list(&TaskList { tasks }, Timestamp(0), columns)
        };
        assert!(list(&[one], None).starts_with(one));
        let line = "01890a5d-ac96  CANCELLED  GENERATE_LOGIN     0 s ago  OPERATION_FAILED";
        assert_eq!(list(&[one], Some(80)), line);
        assert_eq!(list(&[third, one], Some(80)).lines().nth(1), Some(line));
        assert!(list(&[third, other, one], Some(80)).ends_with(&line.replace("ac96", "ac96-774b")));
        assert!(list(&[one, one], Some(80)).starts_with(one), "no shorter ones tell them apart");
    }
}
