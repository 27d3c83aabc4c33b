//! Problems of requests that workers send.

use crate::problem_types::problem_type::{INVALID_REQUEST, problem_types};

problem_types! { "Workers" &["Workers"];
    NOT_GRANTED = 409, "not-granted", "Not granted",
        "The task was granted to another worker, is delayed, or has ended.",
        "Do not run the task.",
        "the task is granted to another worker, or it has ended";
    DUPLICATE_CLAIM = 409, "duplicate-claim", "Claim in progress",
        "Another request with the same claim id is in progress.",
        "Send the same request again: its answer has what was granted under the claim id.",
        "another request with this claim id is in progress; repeat the request to get what it is granted";
    WORKER_NAME_TAKEN = 409, "worker-name-taken", "Worker's name taken",
        "Another process, account or client has the name of the worker.",
        "Give the worker another name, or try again when the other process has stopped.",
        "the worker's name w1 belongs to another account or client";
    TOO_MANY_WORKERS = 429, "too-many-workers", "Too many workers",
        "As many workers run under the account or client as may run.",
        "Try again when a worker has stopped, or use another account or client.",
        "1000 workers are running under your account or client, as many as may run; a name is free when its worker has stopped";
    TOO_MANY_REPORTS = 422, "too-many-reports", INVALID_REQUEST,
        "The request has more reports than one request may have.",
        "Send them in several requests.",
        "at most 1000 reports" at "/reports";
    ANOTHER_INSTALLATION = 421, "another-installation", "Another installation",
        "The request is for another installation than the one of this Backend: the addresses that the worker has lead to different installations.",
        "Give the worker addresses of Backends of one installation.",
        "this Backend belongs to another installation";
    PROGRESS_INVALID = 422, "progress-invalid", INVALID_REQUEST,
        "A report of progress has a value that it may not have.",
        "Correct each place that errors lists.",
        "percent must be a whole number from 0 to 100" at "/progress/0/percent";
    SLOTS_OUT_OF_RANGE = 422, "slots-out-of-range", INVALID_REQUEST,
        "The heartbeat names more slots than a worker may have.",
        "Give fewer slots, and start more workers.",
        "slots is 0 to 10000" at "/slots";
    TOO_MANY_TYPES = 422, "too-many-types", INVALID_REQUEST,
        "The heartbeat names more types than a worker may run.",
        "Divide the types between several workers.",
        "at most 1000 types" at "/types";
    TOO_MANY_RUNNING = 422, "too-many-running", INVALID_REQUEST,
        "The heartbeat names more running tasks than a worker may run.",
        "Run fewer tasks in one worker.",
        "at most 20000 tasks" at "/running";
    WAIT_OUT_OF_RANGE = 422, "wait-out-of-range", INVALID_REQUEST,
        "The claim asks to wait longer than a claim may wait.",
        "Give a wait within the range that the detail names.",
        "waitMs is 0 to 30000 milliseconds" at "/waitMs";
    TOO_MANY_DECLINED = 422, "too-many-declined", INVALID_REQUEST,
        "The claim declines more tasks than one request may decline.",
        "Decline them in several requests.",
        "at most 1000 tasks" at "/declined";
    IDS_OUT_OF_RANGE = 422, "ids-out-of-range", INVALID_REQUEST,
        "The claim names no task, or more tasks than one request may claim.",
        "Name between one task and the number that the detail names.",
        "1 to 1000 ids" at "/wanted/ids";
    PULL_OUT_OF_RANGE = 422, "pull-out-of-range", INVALID_REQUEST,
        "The claim names no type or no slot, or more of them than one request may name.",
        "Give numbers within the range that the detail names.",
        "1 to 1000 types, and 1 to 1000 slots" at "/wanted/pull";
    MIN_AGE_OUT_OF_RANGE = 422, "min-age-out-of-range", INVALID_REQUEST,
        "The least age of the tasks that the claim asks for is out of its range.",
        "Give an age within the range that the detail names.",
        "0 to 60000 milliseconds" at "/wanted/pull/minAgeMs";
}
