//! Checks what a submission says of the tasks that it is to wait for.

use std::collections::{HashMap, HashSet};

use database::DatabaseError;
use domain::problem_types::tasks::DEPENDENCY_INVALID;
use domain::{Fault, OwnerId, RawJson, TaskId};
use serde::de::IgnoredAny;
use store::Store;

use crate::error::ApiError;
use crate::invalid_input_text::pointer;
use crate::lifecycle::submission_options::RequestedOptions;

/// Checks that what the task is to wait for are tasks of `owner`, and that their results become new members of the parameters. The inner
/// error is the submission's.
pub(crate) async fn check_dependencies(
    store: &Store,
    owner: OwnerId,
    parameters: Option<&RawJson>,
    options: Result<RequestedOptions, ApiError>,
) -> Result<Result<RequestedOptions, ApiError>, DatabaseError> {
    let Ok(options) = options else { return Ok(options) };
    if options.after.is_empty() && options.parameters_from.is_empty() {
        return Ok(Ok(options));
    }
    let own = store.own_tasks(owner, &options.after).await?;
    let faults = dependency_faults(&options, parameters, &own);
    Ok(if faults.is_empty() {
        Ok(options)
    } else {
        Err(ApiError::Invalid { of: &DEPENDENCY_INVALID, faults })
    })
}

/// What is wrong with the tasks that a submission is to wait for: `own` are those of them that are the owner's.
#[expect(clippy::zero_sized_map_values, reason = "a JSON object is read as a map, and only its names matter")]
fn dependency_faults(
    options: &RequestedOptions,
    parameters: Option<&RawJson>,
    own: &HashSet<TaskId>,
) -> Vec<Fault> {
    let RequestedOptions { after, parameters_from, .. } = options;
    let foreign = after.iter().enumerate().filter(|(_, id)| !own.contains(id));
    let mut faults: Vec<Fault> = foreign
        .map(|(index, _)| Fault {
            pointer: format!("/after/{index}"),
            detail: "you have no such task".to_owned(),
        })
        .collect();
    let members = parameters
        .filter(|json| !json.is_null())
        .map(RawJson::read::<HashMap<String, IgnoredAny>>)
        .transpose();
    let Ok(members) = members else {
        let detail = "parameters must be an object, since results become members of it".to_owned();
        faults.push(Fault { pointer: "/parameters".to_owned(), detail });
        return faults;
    };
    let members = members.unwrap_or_default();
    for (name, id) in parameters_from {
        let detail = if members.contains_key(name) {
            format!("parameters has a member {name:?} already")
        } else if !after.contains(id) {
            format!("task {id} must be one of after")
        } else {
            continue;
        };
        faults.push(Fault { pointer: pointer("/parametersFrom", name), detail });
    }
    faults
}
