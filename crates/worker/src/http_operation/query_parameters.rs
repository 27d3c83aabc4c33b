//! Parameters of a task as parameters of a URL's query, for methods whose requests have no body.

use std::collections::BTreeMap;

use domain::RawJson;
use reqwest::Url;

use crate::sdk::operation::Failure;

/// `url` with the members of `parameters` in its query. Text is sent as it is, numbers and booleans as they stand in the JSON.
///
/// Fails for good if the parameters are no object, if a member is neither text nor a number nor a boolean, or if the query of `url` has a
/// parameter of that name already: whoever submits a task must not change what the settings say.
pub(crate) fn with_parameters(url: &Url, parameters: &RawJson) -> Result<Url, Failure> {
    let mut url = url.clone();
    if parameters.is_null() {
        return Ok(url);
    }
    let members: BTreeMap<String, RawJson> = parameters.read().map_err(|_| {
        Failure::new("the parameters must be an object, since they are sent in the query of a URL")
            .permanent()
    })?;
    let mut query = Vec::new();
    for (name, value) in members {
        if url.query_pairs().any(|(listed, _)| listed == name) {
            let failure = Failure::new(format!("the parameter {name:?} is one that http.url itself has"));
            return Err(failure.permanent());
        }
        let Some(value) = query_value(&value) else {
            let sentence = format!(
                "the parameter {name:?} must be text, a number or a boolean, since it is sent in the query of a URL"
            );
            return Err(Failure::new(sentence).permanent());
        };
        query.push((name, value));
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// The value of a parameter of the query; `None` for `null`, arrays and objects.
fn query_value(value: &RawJson) -> Option<String> {
    match value.text().as_bytes().first() {
        Some(b'"') => value.read().ok(),
        Some(b'{' | b'[' | b'n') | None => None,
        Some(_) => Some(value.text().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use domain::RetryHint;

    use super::*;

    fn query(url: &str, parameters: &str) -> Result<String, Failure> {
        let parameters = RawJson::parse(parameters.to_owned()).unwrap();
        with_parameters(&url.parse().unwrap(), &parameters).map(String::from)
    }

    #[test]
    fn texts_numbers_and_booleans_are_parameters_of_the_query() {
        let parameters =
            r#"{"q": "a&b=c ü", "n": 12345678901234567890123, "f": 1.50, "yes": true, "no": false}"#;
        assert_eq!(
            query("http://example.org/x?key=k", parameters).unwrap(),
            "http://example.org/x?key=k&f=1.50&n=12345678901234567890123&no=false&q=a%26b%3Dc+%C3%BC&yes=true"
        );
    }

    #[test]
    fn no_parameters_leave_the_url_as_it_is() {
        for none in ["{}", "null"] {
            assert_eq!(query("http://example.org/x", none).unwrap(), "http://example.org/x");
        }
    }

    #[test]
    fn other_parameters_are_refused_for_good_and_named() {
        for (parameters, part) in [
            (r#"{"a": 1, "list": [1]}"#, "\"list\""),
            (r#"{"nested": {}}"#, "\"nested\""),
            (r#"{"nothing": null}"#, "\"nothing\""),
            (r#"{"key": "other"}"#, "\"key\""),
            ("[1]", "object"),
        ] {
            let failure = query("http://example.org/?key=k", parameters).unwrap_err();
            assert_eq!(failure.retry_hint(), Some(RetryHint::Never), "{parameters}");
            assert!(failure.to_string().contains(part), "{failure}");
        }
    }
}
