//! Problems of submissions, and of requests about tasks.

use crate::problem_types::problem_type::{INVALID_REQUEST, problem_types};

problem_types! { "Tasks" &["Tasks"];
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
        "type is a string" at "/type";
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
        "ttl is a whole number of milliseconds" at "/ttl";
    TTL_NEGATIVE = 422, "ttl-negative", INVALID_REQUEST,
        "The time to live is below zero.",
        "Give at least 1 millisecond.",
        "ttl is -5 ms; it is at least 1" at "/ttl";
    TTL_FRACTIONAL = 422, "ttl-fractional", INVALID_REQUEST,
        "The time to live is written with a decimal point or an exponent.",
        "Write it with digits alone: 5000.",
        "ttl is 5e3; it is a whole number of milliseconds, written with digits alone" at "/ttl";
    TTL_ZERO = 422, "ttl-zero", INVALID_REQUEST,
        "The time to live is zero, so the task could never run.",
        "Give at least 1 millisecond.",
        "ttl is 0 ms; it is at least 1" at "/ttl";
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
        "delayMs is a whole number of milliseconds, 0 to 31622400000" at "/delayMs";
}
