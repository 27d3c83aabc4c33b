//! The progress of a running task: as a worker reports it, and as the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control_characters::is_control_or_invisible;
use crate::id::{ClaimId, TaskId};
use crate::limits::MAX_PROGRESS_MESSAGE_CHARS;
use crate::name::WorkerName;
use crate::object_only;
use crate::task::attempt::Attempt;
use crate::timestamp::Timestamp;

object_only!(deserialize and serialize: ProgressReports, ProgressReport);

/// How far a task is, as its operation has reported it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// How much of the work is done, in percent.
    #[schema(maximum = 100)]
    pub percent: u32,
    /// What the operation is doing.
    pub message: Option<String>,
    /// When the report arrived.
    pub date: Timestamp,
}

/// A worker's reports about the progress of tasks that it runs (`POST /api/Task/progress`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"worker": "rig-7", "progress": [{"id": "019abe40-7c1e-7d52-8f6a-3f0c5a9be2d1", "attempt": 1,
    "claim": "6f1c2d0e-58b7-4a52-9d3c-0c3a1f8e7b64", "percent": 40, "message": "4 of 10 pages"}]})))]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgressReports {
    /// The name of the worker that was granted the tasks.
    pub worker: WorkerName,
    /// The reports. One about a task that the worker does not run any more has no effect.
    #[schema(max_items = 1000)]
    pub progress: Vec<ProgressReport>,
}

/// A report about the progress of one granted task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgressReport {
    /// The id of the task.
    pub id: TaskId,
    /// The number of the grant, as it was granted.
    #[serde(deserialize_with = "crate::task::attempt::read")]
    #[schema(value_type = u32)]
    pub attempt: Attempt,
    /// The claim id of the grant, as it was granted.
    pub claim: ClaimId,
    /// How much of the work is done, in percent.
    #[schema(maximum = 100)]
    pub percent: u32,
    /// What the operation is doing: at most 255 characters, without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub message: Option<String>,
}

impl ProgressReport {
    /// The member that breaks its rule, and the rule.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let message = self.message.as_deref().unwrap_or_default();
        if self.percent > 100 {
            return Some(("percent", "percent must be 0 to 100".to_owned()));
        }
        if message.chars().count() > MAX_PROGRESS_MESSAGE_CHARS {
            let rule = format!("message must have at most {MAX_PROGRESS_MESSAGE_CHARS} characters");
            return Some(("message", rule));
        }
        message
            .contains(is_control_or_invisible)
            .then(|| ("message", "message must not contain control characters".to_owned()))
    }

    /// A text as a message without a fault: shortened, with spaces for control characters; `None` if it is empty.
    pub fn message(text: &str) -> Option<String> {
        let replace = |character| if is_control_or_invisible(character) { ' ' } else { character };
        let message: String = text.chars().take(MAX_PROGRESS_MESSAGE_CHARS).map(replace).collect();
        Some(message).filter(|message| !message.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn any_text_becomes_a_message_without_a_fault() {
        let report = |percent, message: Option<String>| ProgressReport {
            id: TaskId(Uuid::nil()),
            attempt: 1,
            claim: ClaimId(Uuid::nil()),
            percent,
            message,
        };
        for text in ["", "4 of 10", "two\nlines\u{0}", &"\u{e9}".repeat(300)] {
            assert_eq!(report(100, ProgressReport::message(text)).fault(), None, "{text}");
        }
        assert_eq!(ProgressReport::message("a\nb").as_deref(), Some("a b"));
        assert_eq!(ProgressReport::message(""), None);
        let fault =
            |percent, message: &str| report(percent, Some(message.to_owned())).fault().map(|(name, _)| name);
        assert_eq!(fault(101, ""), Some("percent"));
        assert_eq!(fault(0, &"x".repeat(255)), None);
        assert_eq!(fault(0, &"x".repeat(256)), Some("message"));
        assert_eq!(fault(0, "\u{1b}[31m"), Some("message"));
    }
}
