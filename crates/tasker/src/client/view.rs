//! Answers as text for eyes.

use domain::{Json, Task, TaskList};

/// One line for each task: id, status, type.
pub fn list(TaskList { tasks }: &TaskList) -> String {
    let line = |task: &domain::Summary| format!("{}  {:<9}  {}", task.id, task.status.as_str(), task.name);
    tasks.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One line for each thing that is known about a task.
pub fn task(task: &Task) -> String {
    let known = |value: Option<String>| value.unwrap_or_default();
    let lines = [
        ("id", task.id.to_string()),
        ("type", task.name.to_string()),
        ("parameters", known(task.parameters.clone().map(|json: Json| json.into()))),
        ("status", task.status.to_string()),
        ("reason", known(task.reason.map(|reason| reason.to_string()))),
        ("error", known(task.error.clone())),
        ("ttl", format!("{} ms", task.ttl.millis())),
        ("created", task.creation_date.to_string()),
        ("started", known(task.start_date.map(|date| date.to_string()))),
        ("deadline", known(task.deadline.map(|date| date.to_string()))),
        ("ended", known(task.end_date.map(|date| date.to_string()))),
        ("worker", known(task.worker_name.as_ref().map(ToString::to_string))),
    ];
    let lines = lines.iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<10}  {value}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use domain::{Reason, Status, Summary, Timestamp};

    use super::*;

    #[test]
    fn a_task_shows_what_is_known() {
        let cancelled = Task {
            id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            name: "GENERATE_LOGIN".parse().unwrap(),
            parameters: None,
            status: Status::Cancelled,
            reason: Some(Reason::Requested),
            error: None,
            creation_date: Timestamp(1_795_512_600_125_999),
            start_date: None,
            end_date: Some(Timestamp(1_795_512_601_000_000)),
            deadline: None,
            ttl: 5000.try_into().unwrap(),
            attempt: 0,
            worker_name: None,
        };
        let expected = "\
id          01890a5d-ac96-774b-bcce-b302099a8057
type        GENERATE_LOGIN
status      CANCELLED
reason      REQUESTED
ttl         5000 ms
created     2026-11-24T09:30:00.125Z
ended       2026-11-24T09:30:01.000Z";
        assert_eq!(task(&cancelled), expected);
    }

    #[test]
    fn a_list_is_a_line_for_each_task() {
        let summary = |status| Summary {
            id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            name: "GENERATE_LOGIN".parse().unwrap(),
            status,
        };
        let tasks = TaskList { tasks: vec![summary(Status::Running), summary(Status::Cancelled)] };
        let expected = "\
01890a5d-ac96-774b-bcce-b302099a8057  RUNNING    GENERATE_LOGIN
01890a5d-ac96-774b-bcce-b302099a8057  CANCELLED  GENERATE_LOGIN";
        assert_eq!(list(&tasks), expected);
    }
}
