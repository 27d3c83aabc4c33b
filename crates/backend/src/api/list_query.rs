//! The query of a list of tasks: which tasks, in which order, and which part of them.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use domain::{
    ListCursor, OwnerId, PageRequest, Status, TaskFilter, TaskId, TaskOrder, Timestamp, TypeName, WorkerName,
};

use crate::error::ApiError;

/// The parameters of a query with their values, in their order.
type Pairs = Vec<(String, String)>;

/// Which tasks, and which part of their list.
#[derive(Debug, Default, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only tasks with this status.
    #[param(value_type = Status, required = false, example = "RUNNING")]
    status: Option<Status>,
    /// Only tasks of this type.
    #[param(rename = "type", value_type = TypeName, required = false, example = "GENERATE_LOGIN")]
    type_name: Option<TypeName>,
    /// Only tasks that were accepted at this instant or later (`creationDate`), a date and time of RFC 3339. A `+` in it is written
    /// `%2B`.
    #[param(rename = "createdAfter", value_type = Timestamp, required = false, example = "2026-11-24T09:30:00Z")]
    created_after: Option<Timestamp>,
    /// Only tasks that were accepted before this instant.
    #[param(rename = "createdBefore", value_type = Timestamp, required = false, example = "2026-11-25T09:30:00Z")]
    created_before: Option<Timestamp>,
    /// Only tasks that were submitted before the one with this id.
    #[param(value_type = TaskId, required = false)]
    before: Option<TaskId>,
    /// Whether the newest or the oldest tasks come first; the newest if it is absent.
    #[param(value_type = TaskOrder, required = false, example = "newest")]
    order: Option<TaskOrder>,
    /// The most tasks in the answer; without it the answer contains all of them.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Where the page before ended: the header `Link` of its answer has it.
    #[param(value_type = String, required = false, min_length = 32, max_length = 32)]
    cursor: Option<ListCursor>,
}

impl ListQuery {
    /// Reads the parameters of a list; fails at the first that is not one, occurs twice or has an invalid value.
    fn from_pairs(pairs: Pairs) -> Result<Self, ApiError> {
        let mut query = Self::default();
        for (name, value) in pairs {
            match &*name.to_ascii_lowercase() {
                "status" => set(&mut query.status, "status", &value, status)?,
                "type" => set(&mut query.type_name, "type", &value, parse)?,
                "createdafter" => set(&mut query.created_after, "createdAfter", &value, parse)?,
                "createdbefore" => set(&mut query.created_before, "createdBefore", &value, parse)?,
                "before" => set(&mut query.before, "before", &value, uuid)?,
                "order" => set(&mut query.order, "order", &value, parse)?,
                "limit" => set(&mut query.limit, "limit", &value, limit)?,
                "cursor" => set(&mut query.cursor, "cursor", &value, parse)?,
                _ => return Err(ApiError::Malformed(format!("there is no query parameter {name:?}"))),
            }
        }
        Ok(query)
    }

    /// Which tasks the list has.
    pub(crate) fn filter(&self) -> TaskFilter {
        TaskFilter {
            status: self.status,
            type_name: self.type_name.clone(),
            worker: None,
            created_after: self.created_after,
            created_before: self.created_before,
        }
    }

    /// The first page to read; as long as it may be if the query asks for the whole list.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            before: self.before,
            order: self.order.unwrap_or_default(),
            cursor: self.cursor,
            limit: self.limit.unwrap_or(PageRequest::MAX_LIMIT),
        }
    }

    /// Whether the query asks for the whole list.
    pub(crate) fn is_whole(&self) -> bool {
        self.limit.is_none()
    }
}

/// Which tasks of all owners.
#[derive(Debug, Default, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AdminListQuery {
    /// Only tasks of this account or client.
    #[param(value_type = OwnerId, required = false)]
    pub(crate) owner: Option<OwnerId>,
    /// Only tasks that the worker of this name runs or ran last.
    #[param(value_type = WorkerName, required = false, example = "rig-7")]
    pub(crate) worker: Option<WorkerName>,
    /// What every list may be asked for.
    #[param(ignore)]
    pub(crate) list: ListQuery,
}

impl<S: Send + Sync> FromRequestParts<S> for AdminListQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let mut query = Self::default();
        let mut others = Vec::new();
        for (name, value) in pairs(parts, state).await? {
            match &*name.to_ascii_lowercase() {
                "owner" => set(&mut query.owner, "owner", &value, uuid)?,
                "worker" => set(&mut query.worker, "worker", &value, parse)?,
                _ => others.push((name, value)),
            }
        }
        Ok(Self { list: ListQuery::from_pairs(others)?, ..query })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Self::from_pairs(pairs(parts, state).await?)
    }
}

/// The value of `Link` for the page at `cursor`: the query that was sent, as it was sent, with another cursor.
pub(crate) fn next_page(path: &str, sent: &str, cursor: ListCursor) -> String {
    let is_kept = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        !name.is_empty() && !name.eq_ignore_ascii_case("cursor")
    };
    let kept = sent.split('&').filter(is_kept).map(str::to_owned);
    let query: Vec<String> = kept.chain([format!("cursor={cursor}")]).collect();
    format!("<{path}?{}>; rel=\"next\"", query.join("&"))
}

async fn pairs<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Pairs, ApiError> {
    let query = Query::from_request_parts(parts, state).await;
    query.map(|Query(pairs)| pairs).map_err(|error| ApiError::Malformed(error.body_text()))
}

/// Sets a parameter that may occur once.
fn set<T>(
    parameter: &mut Option<T>,
    name: &str,
    value: &str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<(), ApiError> {
    let invalid = |rule: &str| ApiError::Malformed(format!("{name}: {rule}"));
    if parameter.is_some() {
        return Err(invalid("it occurs twice"));
    }
    *parameter = Some(parse(value).map_err(|rule| invalid(&rule))?);
    Ok(())
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn status(text: &str) -> Result<Status, String> {
    text.parse().map_err(|_| {
        let known = Status::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
        format!("{text:?} is no status; there are {known}")
    })
}

fn uuid<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not an id (a UUID)"))
}

fn limit(text: &str) -> Result<u32, String> {
    let limit = text.parse().ok().filter(|limit| (1..=PageRequest::MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("a limit is a whole number, 1 to {}", PageRequest::MAX_LIMIT))
}
