//! What becomes of blocked tasks once tasks that they wait for have ended.

use database::DatabaseError;
use domain::limits::truncate_error;
use domain::{RawJson, TaskId};
use store::{ParameterSources, Store};

use crate::error::ApiError;
use crate::lifecycle::announce_ended::announce_ended;
use crate::lifecycle::submit::Submitter;
use crate::notify::notifier::Notifier;

/// Decides about the blocked tasks that wait for one of `parents`, or about all of them. Those that are cancelled are parents of others,
/// perhaps: they are announced as ended, and so come back to the loop that calls this.
pub(crate) async fn resolve_dependents(
    store: &Store,
    submitter: &Submitter,
    notifier: &Notifier,
    parents: Option<&[TaskId]>,
) -> Result<(), ApiError> {
    loop {
        let resolved = store.resolve_dependents(parents).await?;
        announce_ended(notifier, &resolved.ended);
        notifier.schedule_ready(resolved.freed.iter().map(|freed| freed.ready_at), store.now());
        for id in resolved.awaiting_parameters {
            complete_parameters(store, submitter, notifier, id).await?;
        }
        if !resolved.has_more {
            return Ok(());
        }
    }
}

/// Completes the parameters of a task whose parents have all finished. If they are not valid, the task is cancelled.
async fn complete_parameters(
    store: &Store,
    submitter: &Submitter,
    notifier: &Notifier,
    id: TaskId,
) -> Result<(), ApiError> {
    let Some(sources) = store.parameter_sources(id).await? else { return Ok(()) };
    let parameters = completed(&sources);
    match submitter.check_parameters(sources.type_name.as_str(), &parameters).await {
        Ok(()) => {
            let ready = store.complete_parameters(id, &parameters).await?;
            notifier.schedule_ready(ready.into_iter(), store.now());
        }
        Err(error) if error.is_refusal() => refuse_parameters(store, notifier, id, &error).await?,
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn refuse_parameters(
    store: &Store,
    notifier: &Notifier,
    id: TaskId,
    error: &ApiError,
) -> Result<(), DatabaseError> {
    let error = match error {
        ApiError::Invalid { faults, .. } => {
            let faults: Vec<String> =
                faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            faults.join("; ")
        }
        other => other.to_string(),
    };
    let error = format!("the results of the tasks that it waited for make no valid parameters: {error}");
    let ended = store.refuse_parameters(id, &truncate_error(error)).await?;
    announce_ended(notifier, ended.as_slice());
    Ok(())
}

/// The parameters with the members that are results. What was submitted stays as it is, byte for byte.
fn completed(sources: &ParameterSources) -> RawJson {
    let submitted =
        sources.parameters.as_ref().filter(|json| !json.is_null()).map_or("{}", RawJson::text).trim();
    let submitted =
        submitted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default().trim();
    let member = |(name, value): &(String, RawJson)| {
        format!("{}:{}", serde_json::Value::from(name.as_str()), value.text())
    };
    let submitted = Some(submitted.to_owned()).filter(|members| !members.is_empty());
    let members: Vec<String> = submitted.into_iter().chain(sources.members.iter().map(member)).collect();
    RawJson::parse(format!("{{{}}}", members.join(","))).expect("members of JSON objects make a JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_members_and_what_was_submitted_stays_as_it_is() {
        let json = |text: &str| RawJson::parse(text.to_owned()).unwrap();
        let completed = |parameters: Option<&str>| {
            let members = vec![("a\"b".to_owned(), json("[1.0]")), ("c".to_owned(), json("null"))];
            let (type_name, parameters) = ("ECHO".parse().unwrap(), parameters.map(json));
            completed(&ParameterSources { type_name, parameters, members }).text().to_owned()
        };
        assert_eq!(
            completed(Some(r#" { "big": 1e2, "x": {} } "#)),
            r#"{"big": 1e2, "x": {},"a\"b":[1.0],"c":null}"#
        );
        for nothing in [None, Some("null"), Some("{ }")] {
            assert_eq!(completed(nothing), r#"{"a\"b":[1.0],"c":null}"#);
        }
    }
}
