//! `tasker config show`: every setting, its value and its source. Secrets are never shown.

use std::io;

use serde::Serialize;
use toml::Value;

use crate::commands::output::ReportFormat;
use crate::config::layers::{Layers, SECRETS};
use crate::config::reference::{Entry, entries};
use crate::terminal;

/// A setting in the output.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Setting {
    #[serde(rename = "setting")]
    name: String,
    /// The environment variable of the setting.
    variable: String,
    /// The value as TOML; `null` if it is not set and has no default.
    value: Option<String>,
    /// The source of the value, or `default`.
    origin: String,
}

/// Prints all settings.
pub fn print(layers: &Layers, format: ReportFormat) -> io::Result<()> {
    let all: Vec<Setting> = entries().iter().map(|entry| setting(entry, layers)).collect();
    match format {
        ReportFormat::Json => terminal::print_line(&serde_json::to_string(&all)?),
        ReportFormat::Table => terminal::print_line(&table(&all)),
    }
}

fn table(all: &[Setting]) -> String {
    let width = all.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
    let line = |Setting { name, value, origin, .. }: &Setting| {
        let value = value.as_deref().unwrap_or("-");
        format!("{name:<width$}  {}  ({origin})", terminal::escape_control_chars(value))
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn setting(entry: &Entry, layers: &Layers) -> Setting {
    let name = entry.name();
    let (value, origin) = match layers.find(&name) {
        Some((value, origin)) => (Some(masked(&name, value)), origin.to_owned()),
        None => (entry.default.map(str::to_owned), "default".to_owned()),
    };
    Setting { name, variable: entry.variable(), value, origin }
}

/// The value without secrets: those in [`SECRETS`], the values of librdkafka's properties, which may hold any secret, and the
/// declarations of operations.
fn masked(setting: &str, value: &Value) -> String {
    match value {
        Value::Table(properties) if setting == "kafka.properties" => {
            let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
            format!("{{ {} }} (values are not shown)", keys.join(", "))
        }
        // Headers and environments of declared operations may hold secrets.
        Value::Array(operations) if setting == "worker.operations" && !operations.is_empty() => {
            let name = |operation: &Value| Some(operation.get("type")?.as_str()?.to_owned());
            let names: Vec<String> = operations.iter().filter_map(name).collect();
            format!("[{}] (only the types are shown)", names.join(", "))
        }
        _ if SECRETS.contains(&setting) => "(secret)".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_other_values_shown() {
        let layers = Layers::default()
            .add_assignment("database.url=postgres://ann:hush@db/tasker")
            .unwrap()
            .add_assignment(
                r#"kafka.properties={ "sasl.oauthbearer.client.secret" = "hush", "linger.ms" = "5" }"#,
            )
            .unwrap()
            .add_assignment("worker.password=hush")
            .unwrap()
            .add_assignment("worker.slots=4")
            .unwrap()
            .add_assignment(
                r#"worker.operations=[{ type = "A", run = ["a"], environment = { KEY = "hush" } }]"#,
            )
            .unwrap();
        let all: Vec<Setting> = entries().iter().map(|entry| setting(entry, &layers)).collect();
        let text = table(&all);
        assert!(!text.contains("hush"), "{text}");
        assert!(text.contains("database.url") && text.contains("(secret)  (--set database.url)"), "{text}");
        assert!(text.contains("linger.ms"), "{text}");
        assert!(text.contains("[A] (only the types are shown)"), "{text}");
        let of = |name: &str| all.iter().find(|setting| setting.name == name).unwrap();
        assert_eq!(of("worker.slots").value.as_deref(), Some("4"));
        assert_eq!(
            (of("worker.drain_ms").value.as_deref(), &*of("worker.drain_ms").origin),
            (Some("8000"), "default")
        );
        assert_eq!(of("worker.name").value, None);
    }
}
