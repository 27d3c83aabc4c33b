//! Environment variables that look like settings and are none.

use crate::config::environment::{COMMAND_VARIABLES, Environment};
use crate::config::layers::SECRETS;
use crate::config::reference::entries;

/// A name is suggested if it is at least so similar (Jaro-Winkler), of at most 1.
const MIN_SIMILARITY: f64 = 0.92;

/// A sentence about each variable that begins with `TASKER_` and is neither a setting nor read by a command.
pub fn about_all(environment: &Environment) -> Vec<String> {
    unknown(environment).map(|(name, _)| sentence(name)).collect()
}

/// [`about_all`], without the variables that Kubernetes sets for a service called `tasker`: no person has set them.
pub fn about_those_of_people(environment: &Environment) -> Vec<String> {
    unknown(environment)
        .filter(|(name, value)| !is_of_kubernetes(name, value))
        .map(|(name, _)| sentence(name))
        .collect()
}

fn unknown(environment: &Environment) -> impl Iterator<Item = (&str, &str)> {
    let variables = environment.with_prefix("TASKER_");
    variables.filter(|(name, _)| !name.starts_with("TASKER__") && !COMMAND_VARIABLES.contains(name))
}

fn sentence(name: &str) -> String {
    let hint = suggestion(name).map_or_else(
        || "environment variables of settings begin with TASKER__".to_owned(),
        |variable| format!("did you mean {variable}?"),
    );
    format!("{name}: not a setting, ignored; {hint}")
}

/// The variable whose name differs least from `name`, if one is similar. How many underscores are where does not count.
fn suggestion(name: &str) -> Option<String> {
    let of_settings = entries().into_iter().map(|entry| entry.variable());
    let of_files = entries().into_iter().filter(|entry| SECRETS.contains(&&*entry.name()));
    let of_files = of_files.map(|entry| format!("{}_FILE", entry.variable()));
    let all = of_settings.chain(of_files).chain(COMMAND_VARIABLES.map(str::to_owned));
    let plain = |name: &str| name.replacen("TASKER_", "", 1).replace('_', "").to_uppercase();
    let sought = plain(name);
    let similar = all.map(|known| (strsim::jaro_winkler(&sought, &plain(&known)), known));
    let nearest = similar.max_by(|(one, _), (other, _)| one.total_cmp(other));
    nearest.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY).map(|(_, known)| known)
}

/// Whether the variable is one of those for the address of a service (`TASKER_PORT_8080_TCP_ADDR`), which are as in Docker's links.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let is_protocol = |text: &str| ["TCP", "UDP", "SCTP"].iter().any(|protocol| text.contains(protocol));
    let after_port = name.split_once("_PORT_").map(|(_, rest)| rest);
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT") && value.contains("://")
        || after_port.is_some_and(is_protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_that_was_meant_is_suggested() {
        for (name, meant) in [
            ("TASKER_WORKER_SLOTS", "TASKER__WORKER__SLOTS"),
            ("TASKER_DATABASE_URL_FILE", "TASKER__DATABASE__URL_FILE"),
            ("TASKER_LOG_LEVL", "TASKER__LOG__LEVEL"),
            ("TASKER_TOKN", "TASKER_TOKEN"),
        ] {
            assert_eq!(suggestion(name).as_deref(), Some(meant), "{name}");
        }
        for name in ["TASKER_PORT", "TASKER_HOME", "TASKER_SERVICE_HOST"] {
            assert_eq!(suggestion(name), None, "{name}");
        }
    }

    #[test]
    fn the_variables_of_kubernetes_are_of_no_person() {
        let set = [
            ("TASKER_PORT", "tcp://10.0.0.1:80"),
            ("TASKER_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("TASKER_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("TASKER_SERVICE_HOST", "10.0.0.1"),
            ("TASKER_SERVICE_PORT_HTTP", "80"),
            ("TASKER_PORT_NAME", "80"),
        ];
        let environment = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(about_all(&environment).len(), 6);
        let told = about_those_of_people(&environment);
        assert!(
            told.len() == 1 && told[0].starts_with("TASKER_PORT_NAME: not a setting, ignored; "),
            "{told:?}"
        );
    }
}
