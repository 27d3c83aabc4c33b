//! Examples of the problems with which an operation refuses a request, from the table of problem types.

use domain::Problem;
use domain::problem_types::accounts::CROSS_SITE;
use domain::problem_types::problem_type::ProblemType;
use domain::problem_types::requests::{BODY_TIMED_OUT, TOO_MANY_REQUESTS};
use domain::problem_types::table::{self, SECTIONS};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Components, Ref, RefOr};

/// Adds an example of every type of problems.
pub(super) fn add_examples(components: &mut Components) {
    for of in table::all() {
        let value = serde_json::to_value(Problem::example(of)).expect("a problem is JSON");
        let example =
            ExampleBuilder::new().summary(of.title).description(of.meaning).value(Some(value)).build();
        components.examples.insert(of.slug.to_owned(), example.into());
    }
}

/// Refers, in each refusal of an operation, to the examples of its status. The refusal `default` has those of the statuses that are not
/// documented one by one.
pub(super) fn refer_to_examples(operation: &mut Operation) {
    let tags = operation.tags.clone().unwrap_or_default();
    let sections = SECTIONS.iter().filter(|section| {
        section.tags.is_empty() || section.tags.iter().any(|tag| tags.iter().any(|other| other == tag))
    });
    let types: Vec<&ProblemType> = sections.flat_map(|section| section.types.iter().copied()).collect();
    let has_body = operation.request_body.is_some();
    let responses = &mut operation.responses.responses;
    let is_rate_limited = responses.get("429").is_some_and(|response| match response {
        RefOr::T(response) => response.headers.contains_key("RateLimit"),
        RefOr::Ref(_) => false,
    });
    let statuses: Vec<String> = responses.keys().cloned().collect();
    let is_possible = |of: &ProblemType| {
        (is_rate_limited || *of != TOO_MANY_REQUESTS)
            && (has_body || *of != BODY_TIMED_OUT)
            && *of != CROSS_SITE
    };
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        let Some(content) = response.content.get_mut(Problem::MEDIA_TYPE) else { continue };
        let RefOr::T(content) = content else { continue };
        for of in types.iter().copied().filter(|of| is_possible(of)) {
            let own = of.status.to_string();
            if own == *status || (status == "default" && !statuses.contains(&own)) {
                let reference = Ref::new(format!("#/components/examples/{}", of.slug));
                content.examples.insert(of.slug.to_owned(), RefOr::Ref(reference));
            }
        }
    }
}
