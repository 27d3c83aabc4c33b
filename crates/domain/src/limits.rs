//! Sizes and counts that Backend and workers must agree on.

use std::fmt::Display;

/// Bytes of a task's parameters, unless the setting `backend.max_parameters_bytes` says otherwise.
pub const DEFAULT_MAX_PARAMETERS_BYTES: usize = 256 * 1024;

/// Bytes of a result, unless the setting `backend.max_result_bytes` says otherwise. A larger result is a failure of its task.
pub const DEFAULT_MAX_RESULT_BYTES: usize = 1024 * 1024;

/// Bytes of a result beyond which a worker does not send it at all, whatever the Backend's setting: a batch of reports must
/// stay below the limit of a request's body.
pub const MAX_SENT_RESULT_BYTES: usize = 8 << 20;

/// Bytes of a failure's text; [`truncate_error`] cuts what is longer.
pub const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Tasks that one claim request may name by id, ask slots for, or decline.
pub const MAX_TASKS_PER_CLAIM: usize = 1000;

/// The greatest `minAgeMs` of a claim by type, in milliseconds.
pub const MAX_MIN_AGE_MS: u64 = 60_000;

/// Tasks that a user may submit in one batch.
pub const MAX_TASKS_PER_BATCH: usize = 1000;

/// Bytes of the body of a batch of submissions.
pub const MAX_BATCH_BYTES: u32 = 8 << 20;

/// Tasks that a worker can run at once.
pub const MAX_SLOTS: u32 = 10_000;

/// Types that a heartbeat or a claim may name.
pub const MAX_TYPES_PER_WORKER: usize = 1000;

/// Grants that a heartbeat may name as running: those of the slots, and those whose results are not confirmed yet.
pub const MAX_RUNNING_PER_HEARTBEAT: usize = 20_000;

/// Bytes of the JSON Schemas of an operation's parameters and of its result, together.
pub const MAX_SCHEMA_BYTES: usize = 256 * 1024;

/// The longest delay of a task, and the longest `startWithin`, in milliseconds: a year.
pub const MAX_DELAY_OR_START_WITHIN_MS: u64 = 366 * 24 * 60 * 60 * 1000;

/// The shortest period of a schedule, in milliseconds.
pub const MIN_SCHEDULE_PERIOD_MS: u64 = 1000;

/// Schedules that one account or client may have.
pub const MAX_SCHEDULES_PER_OWNER: u32 = 1000;

/// Reports in one request.
pub const MAX_REPORTS_PER_REQUEST: usize = 1000;

/// Reports about progress in one request.
pub const MAX_PROGRESS_REPORTS_PER_REQUEST: usize = 1000;

/// Characters of the message of a report about progress.
pub const MAX_PROGRESS_MESSAGE_CHARS: usize = 255;

/// The marker at the start of a failure's text that says that the operation's result was larger than allowed.
pub const RESULT_TOO_LARGE: &str = "RESULT_TOO_LARGE";

/// The marker at the start of a failure's text that says that the operation's result is not what it must be.
pub const RESULT_INVALID: &str = "RESULT_INVALID";

/// Cuts a failure's text to [`MAX_ERROR_BYTES`], at a character boundary.
pub fn truncate_error(mut error: String) -> String {
    error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
    error
}

/// The text of the failure that replaces a result of `bytes` bytes where `limit` are allowed.
pub fn result_too_large(bytes: usize, limit: usize) -> String {
    format!("{RESULT_TOO_LARGE}: the result has {bytes} bytes; at most {limit} are kept")
}

/// The text of the failure that replaces a result that cannot be read.
pub fn unreadable_result(cause: impl Display) -> String {
    format!("{RESULT_INVALID}: the result cannot be read: {cause}")
}

/// The text of the failure that replaces a result that breaks the rules `violated` of its schema.
pub fn refused_result(violated: impl Display) -> String {
    format!("{RESULT_INVALID}: {violated}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_cut_between_characters() {
        assert_eq!(truncate_error("short".to_owned()), "short");
        let cut = truncate_error("é".repeat(MAX_ERROR_BYTES));
        assert_eq!(cut.len(), MAX_ERROR_BYTES);
        let odd = truncate_error(format!("x{}", "é".repeat(MAX_ERROR_BYTES)));
        assert_eq!(odd.len(), MAX_ERROR_BYTES - 1);
    }
}
