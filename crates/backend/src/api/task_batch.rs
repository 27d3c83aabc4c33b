//! `POST /api/Task/batch`: a user submits many tasks, all of them or none.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::limits::MAX_TASKS_PER_BATCH;
use domain::problem_types::tasks::{BATCH_SIZE, TASK_TOO_LARGE, TASKS_MISSING, UNKNOWN_FIELD};
use domain::{Fault, RawJson, TaskId};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use web::request_span::RequestTrace;

use crate::api::extract::authenticated::UserCaller;
use crate::api::extract::budgeted_body::BatchBody;
use crate::api::extract::idempotency_key::OptionalIdempotencyKey;
use crate::api::submission_answer::repeated_header;
use crate::api::task_body::{BODY_OVERHEAD_BYTES, TaskBody};
use crate::app::AppState;
use crate::error::ApiError;
use crate::invalid_input_text::pointer;
use crate::lifecycle::submit::NewTask;

/// Tasks to submit: all of them are accepted, or none is.
#[derive(Debug, Default, ToSchema)]
#[schema(as = NewTaskBatch, examples(json!({"tasks": [{"type": "GENERATE_NUMBER", "parameters": {"length": 6}, "ttl": 60_000}, {"type": "ECHO", "ttl": 5000}]})))]
pub(crate) struct TaskBatchBody {
    /// The tasks, each as in a submission of one task.
    #[schema(value_type = Vec<TaskBody>, required = true, min_items = 1, max_items = 1000)]
    tasks: Option<TaskTexts>,
    /// Members that there are not, and `tasks` if it occurs twice: at most as many as are reported.
    #[schema(ignore)]
    unknown: Vec<Fault>,
}

/// The ids of the tasks of an accepted batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedBatch {
    /// The ids, in the order of the tasks.
    ids: Vec<TaskId>,
}

/// Submit up to 1,000 tasks
///
/// All of them are accepted, or none is: a fault of one task refuses the batch, and `errors` lists the faults with the index of each
/// task (`/tasks/3/ttl`), at most the first hundred or so. The tasks may be of several types. The body has at most 8 MiB.
#[utoipa::path(post, path = "/api/Task/batch", operation_id = "submitTasks", tag = "Tasks", security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    request_body = TaskBatchBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key of your own for this request, which may then be repeated: see `POST /api/Task`"),
        ("traceparent" = Option<String>, Header,
            description = "W3C Trace Context: the spans of the tasks become part of this trace")),
    responses((status = 201, body = AcceptedBatch, description = "The tasks are accepted and stored durably",
            headers(("Idempotent-Replayed" = String, description = "`true`: an earlier request with this key made the tasks"))),
        (status = 400, description = "The body is not JSON, or the key is malformed"),
        (status = 409, description = "A request with this key is being processed; repeat the request after `Retry-After`",
            headers(("Retry-After" = u32, description = "After how many seconds to try again"))),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "A task is invalid, and `errors` lists each fault and its place; or the key was used for another request"),
        (status = 429, description = "With these tasks the caller would have more unfinished tasks than an owner may have")))]
pub(crate) async fn submit_batch(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    RequestTrace(trace): RequestTrace,
    key: OptionalIdempotencyKey,
    BatchBody(body, _reserved): BatchBody,
) -> Result<(StatusCode, HeaderMap, Json<AcceptedBatch>), ApiError> {
    let key = key.of_request(owner, "/api/Task/batch", body.bytes());
    let TaskBatchBody { tasks, unknown } = body.parse()?;
    if !unknown.is_empty() {
        return Err(ApiError::Invalid { of: &UNKNOWN_FIELD, faults: unknown });
    }
    let TaskTexts { texts, count } =
        tasks.ok_or_else(|| ApiError::invalid(&TASKS_MISSING, "/tasks", "tasks is missing"))?;
    if !(1..=MAX_TASKS_PER_BATCH).contains(&count) {
        let rule = format!("a batch must have 1 to {MAX_TASKS_PER_BATCH} tasks; this one has {count}");
        return Err(ApiError::invalid(&BATCH_SIZE, "/tasks", rule));
    }
    let max_bytes = app.settings.max_parameters + BODY_OVERHEAD_BYTES;
    let tasks = texts.into_iter().map(|text| parse(&text, max_bytes)).collect();
    let accepted = app.submitter.accept_batch(owner, trace, tasks, key).await?;
    Ok((StatusCode::CREATED, repeated_header(&accepted), Json(AcceptedBatch { ids: accepted.ids })))
}

/// A task of a batch, which has as many bytes at most as the body of a single submission.
fn parse(text: &RawJson, max_bytes: usize) -> Result<NewTask, ApiError> {
    if text.text().len() > max_bytes {
        return Err(ApiError::invalid(
            &TASK_TOO_LARGE,
            "",
            format!("the task is larger than {max_bytes} bytes"),
        ));
    }
    TaskBody::read(text)?.into_new_task()
}

/// The most members that are reported as unknown.
const MAX_UNKNOWN_MEMBERS: usize = 10;

impl<'de> Deserialize<'de> for TaskBatchBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = TaskBatchBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with tasks")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TaskBatchBody, A::Error> {
                let mut members = TaskBatchBody::default();
                while let Some(name) = map.next_key::<String>()? {
                    let is_tasks = name.eq_ignore_ascii_case("tasks");
                    if is_tasks && members.tasks.is_none() {
                        members.tasks = Some(map.next_value()?);
                        continue;
                    }
                    map.next_value::<IgnoredAny>()?;
                    if members.unknown.len() < MAX_UNKNOWN_MEMBERS {
                        let detail = if is_tasks {
                            format!("{name} occurs twice")
                        } else {
                            format!("there is no field {name:?}: a batch has the field tasks")
                        };
                        members.unknown.push(Fault { pointer: pointer("", &name), detail });
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The texts of the tasks of a batch: of one that has too many, the first ones, and the number of all.
#[derive(Debug)]
struct TaskTexts {
    texts: Vec<RawJson>,
    count: usize,
}

impl<'de> Deserialize<'de> for TaskTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = TaskTexts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of tasks")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<TaskTexts, A::Error> {
                let mut texts = Vec::new();
                while texts.len() < MAX_TASKS_PER_BATCH
                    && let Some(text) = array.next_element()?
                {
                    texts.push(text);
                }
                let mut count = texts.len();
                while array.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(TaskTexts { texts, count })
            }
        }

        deserializer.deserialize_seq(Array)
    }
}
