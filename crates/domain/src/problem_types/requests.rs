//! Problems that any request may have.

use crate::problem_types::problem_type::{INVALID_REQUEST, problem_types};

problem_types! { "Any request" &[];
    UNAUTHENTICATED = 401, "unauthenticated", "No access token",
        "The request has no access token, and what it asks for requires one.",
        "Get a token from Identity (POST /connect/token) and send it in the header Authorization: Bearer.",
        "send a bearer token in the Authorization header";
    INVALID_TOKEN = 401, "invalid-token", "Invalid access token",
        "The access token is malformed, has expired, was revoked, or was issued by another Identity or for another service.",
        "Get a new token from the issuer that the header WWW-Authenticate names, and send the request again with it.",
        "the bearer token is malformed, expired, revoked, or not for this service";
    INSUFFICIENT_SCOPE = 403, "insufficient-scope", "Insufficient scope",
        "The access token lacks the scope that the service requires.",
        "Request the scope that the header WWW-Authenticate names when you get the token.",
        "the token lacks the scope TaskerWebAPI";
    ROLE_MISSING = 403, "role-missing", "Role missing",
        "The account or client has none of the roles that may do this. The OpenAPI document lists the roles of each operation.",
        "Use an account or client with such a role, or ask an administrator for the role.",
        "this requires the role Worker or Admin";
    NO_SUCH_ADDRESS = 404, "no-such-address", "No such path",
        "There is nothing at the path of the request.",
        "Compare the path with the OpenAPI document (/swagger/v1/swagger.json).",
        "there is no such path";
    METHOD_NOT_ALLOWED = 405, "method-not-allowed", "Method not allowed",
        "The path exists and does not support the method of the request.",
        "Use one of the methods that the header Allow of the answer lists.",
        "this path does not support the method";
    MALFORMED = 400, "malformed", "Malformed request",
        "The request cannot be read: its body is not JSON, its path or its query is invalid, it has a query parameter that the path does not have, \
         or it does not name exactly one host.",
        "Correct what the detail names. The same request fails again.",
        "there is no query parameter \"limt\": there are status, type, from, limit, before";
    WRONG_SHAPE = 422, "wrong-shape", INVALID_REQUEST,
        "The body is JSON and has another shape than the schema of the operation: a member is missing, unknown, or of another JSON type.",
        "Compare the body with the schema in the OpenAPI document.",
        "missing field `worker` at line 1 column 2" at "";
    BODY_TOO_LARGE = 413, "body-too-large", "Body too large",
        "The body has more bytes than the largest request of its path. The limit is that of the decompressed body.",
        "Send less in one request.",
        "the body is too large";
    BODY_TIMED_OUT = 408, "body-timed-out", "Request body timed out",
        "The body of the request did not arrive in time, counted from the end of its head. The connection was closed.",
        "Send the request again, over a faster connection or with a smaller body.",
        "the body of the request did not arrive within 8 s";
    UNSUPPORTED_MEDIA_TYPE = 415, "unsupported-media-type", "Unsupported media type",
        "The header Content-Type of the request does not name JSON.",
        "Send Content-Type: application/json.",
        "the body is JSON: send it with Content-Type: application/json";
    UNSUPPORTED_ENCODING = 415, "unsupported-encoding", "Unsupported encoding",
        "The body is compressed in another way than gzip.",
        "Send the body uncompressed, or compressed with gzip and the header Content-Encoding: gzip.",
        "Content-Encoding is gzip or identity";
    MISDIRECTED = 421, "misdirected", "Misdirected request",
        "The header Host names a host under which the service is not reached. So no web page whose name leads to the service by a trick gets an answer.",
        "Use an address under which the service is reached, or ask its operator to add the name to the setting allowed_hosts.",
        "this service is not reached under the host name tasker.example; if it should be, its operator adds the name to backend.allowed_hosts";
    TOO_MANY_REQUESTS = 429, "too-many-requests", "Too many requests",
        "The account or client has sent as many requests as it may send in a time. The header RateLimit-Policy says how many, and RateLimit how many are \
         left.",
        "Send the request again after the seconds in the header Retry-After.",
        "you may send 600 requests a minute; try again in 1 s";
    BUSY = 503, "busy", "Service overloaded",
        "The service has more requests in progress than it can serve. The request had no effect.",
        "Send the request again after the seconds in the header Retry-After.",
        "too many requests are in progress; try again shortly";
    TIMED_OUT = 503, "timed-out", "Request timed out",
        "The request took longer than the service allows. It may have had its effect or have it yet.",
        "Look whether it had its effect, or send it again after the seconds in the header Retry-After.",
        "the request took too long";
    UNAVAILABLE = 503, "unavailable", "A dependency is unavailable",
        "The database, or Identity, does not serve the service at the moment.",
        "Send the request again after the seconds in the header Retry-After. If this lasts, the log of the service says why.",
        "the database cannot be reached; try again later";
    INTERNAL = 500, "internal", "Internal error",
        "The service failed in a way that it did not expect. The log of the service has the cause, under the id of the request.",
        "Give the value of instance, or of the header X-Request-Id, to the operator.",
        "an internal error occurred; it has been logged";
}
