//! Problems of requests about schedules.

use crate::problem_types::problem_type::{INVALID_REQUEST, problem_types};

problem_types! { "Schedules" &["Schedules"];
    NO_SUCH_SCHEDULE = 404, "no-such-schedule", "No such schedule",
        "The caller has no schedule of this name.",
        "GET /api/Schedule lists your schedules.",
        "there is no such schedule";
    TOO_MANY_SCHEDULES = 409, "too-many-schedules", "Too many schedules",
        "The account or client has as many schedules as an owner may have.",
        "Delete schedules that are not needed.",
        "you have 1000 schedules, as many as an owner may have";
    SCHEDULE_INVALID = 422, "schedule-invalid", INVALID_REQUEST,
        "The schedule has no times, no task, or a value that it may not have.",
        "Correct each place that errors lists.",
        "give either cron or everyMs" at "/everyMs";
}
