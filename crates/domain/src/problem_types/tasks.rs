//! Problems of submissions, and of requests about tasks.

use crate::problem_types::problem_type::{INVALID_REQUEST, problem_types};

problem_types! { "Tasks" &["Tasks", "Administration"];
    NO_SUCH_TASK = 404, "no-such-task", "No such task",
        "The caller has no task with this id. Tasks of others look the same as tasks that never existed, and ended tasks are deleted after some time \
         (backend.keep_ended_days).",
        "Check the id, and that you use the account or client that submitted the task.",
        "there is no such task";
    NO_RESULT = 404, "no-result", "No result",
        "The task has no result: it has not ended, or it ended without one. The members taskStatus and reason say which.",
        "Wait for the end of a task that is CREATED or RUNNING, with Prefer: wait. A CANCELLED task never has a result.",
        "the task has no result: it is RUNNING";
    ALREADY_ENDED = 409, "already-ended", "Task already ended",
        "The task ended before this request, so it cannot be cancelled. The members taskStatus and reason say how it ended.",
        "There is nothing to do. Read the result of a FINISHED task.",
        "the task has already ended as FINISHED";
    TOO_MANY_UNFINISHED = 429, "too-many-unfinished", "Too many unfinished tasks",
        "The account or client has as many tasks that have not ended as it may have (backend.max_unfinished_per_owner).",
        "Submit the task again when some have ended; the header Retry-After says when to try.",
        "you have 100000 unfinished tasks, as many as an owner may have; try again when some have ended";
    PARAMETERS_TOO_LARGE = 413, "parameters-too-large", "Parameters too large",
        "The parameters have more bytes than the installation allows (backend.max_parameters_bytes).",
        "Send less, or store the data elsewhere and send where it is.",
        "the parameters are larger than 262144 bytes";
    UNKNOWN_FIELD = 422, "unknown-field", INVALID_REQUEST,
        "The body has a member that a submission does not have, or one member twice.",
        "Correct the name or remove the member; errors lists each.",
        "there is no field \"tll\"; did you mean ttl?" at "/tll";
    TYPE_MISSING = 422, "type-missing", INVALID_REQUEST,
        "The submission names no type.",
        "Give the member type; GET /api/Operation lists the types.",
        "type is missing" at "/type";
    TYPE_MALFORMED = 422, "type-malformed", INVALID_REQUEST,
        "The type is not a string, or not a name that a type may have.",
        "Give a name from GET /api/Operation as a JSON string.",
        "type must be a string" at "/type";
    UNKNOWN_TYPE = 422, "unknown-type", INVALID_REQUEST,
        "No operation of this type is registered.",
        "Correct the name: upper and lower case differ, and GET /api/Operation lists the types. Or start a worker that registers the type.",
        "there is no type ECO (known: ECHO, SLEEP); did you mean ECHO?" at "/type";
    PARAMETERS_REFUSED = 422, "parameters-refused", INVALID_REQUEST,
        "The parameters break rules of the JSON Schema of their type.",
        "Correct each place that errors lists; GET /api/Operation has the schema.",
        "0 is less than the minimum of 1" at "/parameters/length";
    PARAMETERS_UNREADABLE = 422, "parameters-unreadable", INVALID_REQUEST,
        "The parameters are JSON that cannot be checked: an object has a member twice, or a string has half a character.",
        "Write the parameters with a JSON library, which writes neither.",
        "the parameters cannot be read: the member \"a\" occurs twice" at "/parameters";
    TTL_MISSING = 422, "ttl-missing", INVALID_REQUEST,
        "The submission has no time to live, and neither its type nor the installation has a default.",
        "Give the member ttl, in milliseconds.",
        "ttl is missing: give it in milliseconds" at "/ttl";
    TTL_NOT_A_NUMBER = 422, "ttl-not-a-number", INVALID_REQUEST,
        "The time to live is not a JSON number.",
        "Give it as a whole number of milliseconds, without quotation marks.",
        "ttl must be a whole number of milliseconds" at "/ttl";
    TTL_NEGATIVE = 422, "ttl-negative", INVALID_REQUEST,
        "The time to live is below zero.",
        "Give at least 1 millisecond.",
        "ttl is -5 ms; it must be at least 1" at "/ttl";
    TTL_FRACTIONAL = 422, "ttl-fractional", INVALID_REQUEST,
        "The time to live is written with a decimal point or an exponent.",
        "Write it with digits alone: 5000.",
        "ttl is 5e3; it is a whole number of milliseconds, written with digits alone" at "/ttl";
    TTL_ZERO = 422, "ttl-zero", INVALID_REQUEST,
        "The time to live is zero, so the task could never run.",
        "Give at least 1 millisecond.",
        "ttl is 0 ms; it must be at least 1" at "/ttl";
    TTL_TOO_LARGE = 422, "ttl-too-large", INVALID_REQUEST,
        "The time to live is above the maximum of the type or of the installation (backend.max_ttl_ms).",
        "Give at most what the detail says.",
        "ttl is above 86400000 ms, the longest that is allowed here" at "/ttl";
    NOT_BEFORE_INVALID = 422, "not-before-invalid", INVALID_REQUEST,
        "The member notBefore is no date and time of RFC 3339, is more than a year away, or is given together with delayMs.",
        "Give either notBefore, like 2026-11-24T09:30:00Z, or delayMs.",
        "give either notBefore or delayMs" at "/notBefore";
    DURATION_INVALID = 422, "duration-invalid", INVALID_REQUEST,
        "A duration is not a whole number of milliseconds, or is out of its range.",
        "Give a whole number within the range that the detail names.",
        "delayMs must be a whole number of milliseconds, 0 to 31622400000" at "/delayMs";
    IDEMPOTENCY_KEY_REUSED = 422, "idempotency-key-reused", "Idempotency key reused",
        "Another request was sent with this Idempotency-Key within the last 24 hours. A key is for one request, which may be repeated unchanged.",
        "Send the new request with a new key.",
        "another request was sent with this Idempotency-Key: a key is for one request, which may be repeated unchanged";
    SUBMISSION_UNDER_WAY = 409, "submission-under-way", "Submission under way",
        "A request with this Idempotency-Key is being processed at this moment.",
        "Repeat the request unchanged to get its answer; the header Retry-After says when.",
        "a request with this Idempotency-Key is being processed; repeat the request to get its answer";
    TOO_MANY_EVENT_STREAMS = 429, "too-many-event-streams", "Too many event streams",
        "The account or client, or all callers of this Backend together, read as many event streams as they may at once.",
        "Close streams that are not needed; the header Retry-After says when to try again.",
        "you read 100 event streams, as many as a caller may read at once";
    TASKS_MISSING = 422, "tasks-missing", INVALID_REQUEST,
        "The batch has no member tasks.",
        "Give the tasks as a list in the member tasks.",
        "tasks is missing" at "/tasks";
    BATCH_SIZE = 422, "batch-size", INVALID_REQUEST,
        "The batch has no task, or more than a batch may have.",
        "Split the batch. Each part is accepted as a whole or not at all.",
        "a batch must have 1 to 1000 tasks; this one has 1001" at "/tasks";
    TASK_TOO_LARGE = 422, "task-too-large", INVALID_REQUEST,
        "A task of the batch is larger than the body of a single submission may be.",
        "Send less, or store the data elsewhere and send where it is.",
        "the task is larger than 278528 bytes" at "/tasks/0";
    FILTER_INVALID = 422, "filter-invalid", INVALID_REQUEST,
        "A condition that selects tasks is unknown or has no such value, or there is none at all.",
        "Correct each place that errors lists. Without a condition every task would be cancelled, so give at least one.",
        "status must be CREATED or RUNNING: other tasks have ended" at "/status";
    DEPENDENCY_INVALID = 422, "dependency-invalid", INVALID_REQUEST,
        "The tasks that the task is to wait for are not a list of your own tasks, or parametersFrom does not name tasks of that list and new members of the parameters.",
        "Correct what errors lists.",
        "you have no such task" at "/after/0";
    OPTION_INVALID = 422, "option-invalid", INVALID_REQUEST,
        "The priority, the attempts, the pauses between them or their time is no such value, or more than the type allows.",
        "Give a value within the range that the detail names; GET /api/Operation has the maxima of the type.",
        "priority must be a whole number from 0 to 9" at "/priority";
}
