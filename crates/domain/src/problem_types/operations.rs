//! Problems of requests about operations.

use crate::problem_types::problem_type::{INVALID_REQUEST, problem_types};

problem_types! { "Operations" &["Operations"];
    NO_SUCH_OPERATION = 404, "no-such-operation", "No such operation",
        "No operation of this type, or of this version, is registered.",
        "GET /api/Operation lists the operations.",
        "there is no such operation";
    FOREIGN_OPERATION = 403, "foreign-operation", "Operation of another",
        "The type belongs to another account or client, which registered it first, or comes with Tasker.",
        "Register the operation under another type, or use an account with the role Admin.",
        "the type REVERSE belongs to another account or client";
    CONFLICT = 409, "conflict", "Already exists",
        "This version of the operation is registered with another definition. A registered version cannot be changed.",
        "Give yours a higher version.",
        "version 1 of REVERSE is registered with another definition; give yours a higher version";
    OPERATION_AWAITED = 409, "operation-awaited", "Tasks wait",
        "Tasks of the type wait for a worker, so the operation cannot be removed.",
        "Run or cancel those tasks first, or let an administrator remove the operation.",
        "tasks of this type wait for a worker";
    TOO_MANY_OPERATIONS = 409, "too-many-operations", "Too many operations",
        "The account or client has as many types, queues, versions or bytes of definitions as it may have.",
        "Remove operations that are not used (DELETE /api/Operation/{type}).",
        "you have 1000 types, as many as an account or client may have";
    TYPE_DIFFERS = 422, "type-differs", INVALID_REQUEST,
        "The type in the body is not the type in the path.",
        "Give the same type in both.",
        "the type in the path is REVERSE" at "/type";
    VERSION_OUT_OF_RANGE = 422, "version-out-of-range", INVALID_REQUEST,
        "The version of the operation is out of its range.",
        "Give a whole number from 1 to 2147483647.",
        "1 to 2147483647" at "/version";
    DESCRIPTION_TOO_LONG = 422, "description-too-long", INVALID_REQUEST,
        "The description of the operation has more characters than are allowed.",
        "Shorten it.",
        "a description has at most 1000 characters" at "/description";
    TTL_BOUNDS_CROSSED = 422, "ttl-bounds-crossed", INVALID_REQUEST,
        "The default time to live of the operation is above its maximum.",
        "Lower the default or raise the maximum.",
        "the default is above the maximum" at "/ttl/default";
    SCHEMA_REFUSED = 422, "schema-refused", INVALID_REQUEST,
        "A schema of the operation is no JSON Schema that is supported, or checking documents against it could take too long.",
        "Correct the schema at the place that errors lists; the detail says what is wrong.",
        "not a JSON Schema that is supported: \"strng\" is no type" at "/parameters";
    SCHEMAS_TOO_LARGE = 422, "schemas-too-large", INVALID_REQUEST,
        "The schemas of the operation have more bytes together than are allowed.",
        "Shorten them.",
        "both schemas have 300000 bytes together; at most 262144 are allowed" at "/parameters";
}
