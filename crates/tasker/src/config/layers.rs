//! The sources of settings laid over one another: file, environment, options.
//!
//! Written here, and not taken from a crate such as `figment`, because an error has to name its place (line and column of
//! the file, the variable, the option) and must never show the value, which may be a secret.
//!
//! Every setting has a default, so each source is first read as a configuration of its own. That is how an error is tied
//! to its source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::DeTable;
use toml::{Table, Value};

use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::file_paths;
use crate::config::sections::Config;
use crate::text_file;

/// The file that is read when `--config` names none.
const DEFAULT_PATH: &str = "tasker.toml";

/// The prefix of variables that are settings. It has two underscores: Kubernetes sets `TASKER_PORT` and the like for a
/// service called `tasker`, with one.
const PREFIX: &str = "TASKER__";

/// Settings that are never shown, and whose value the environment may also give as a file: `TASKER__WORKER__PASSWORD_FILE`.
pub const SECRETS: [&str; 7] = [
    "database.url",
    "identity.database_url",
    "kafka.sasl_password",
    "kafka.ssl_key_password",
    "traces.headers",
    "worker.password",
    "worker.client_secret",
];

/// Settings gathered from several sources. A source that is added later overrides those before it.
#[derive(Debug, Default)]
pub struct Layers {
    table: Table,
    /// The source of each setting, by the setting's name.
    origins: BTreeMap<String, String>,
    /// The path of the settings file, whether or not the file exists.
    file: Option<PathBuf>,
}

impl Layers {
    /// Adds the settings file at `path`; without a path `tasker.toml`, if it exists.
    pub fn add_file(mut self, path: Option<&Path>) -> Result<Self, ConfigError> {
        let chosen = path.unwrap_or(Path::new(DEFAULT_PATH));
        self.file = Some(chosen.to_owned());
        match text_file::read_trusted(chosen) {
            Ok(text) => {
                let directory = file_paths::directory_of_settings_file(chosen);
                self.add_text_in(directory.as_deref(), &chosen.display().to_string(), &text)
            }
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(self),
            Err(error) => {
                let file = chosen.display();
                Err(ConfigError::new(format!("the settings file {file} cannot be read: {error}")))
            }
        }
    }

    /// Adds TOML text. `name` is the file's name in errors and origins, and relative paths are relative to `directory`.
    fn add_text_in(mut self, directory: Option<&Path>, name: &str, text: &str) -> Result<Self, ConfigError> {
        let refuse = |error: toml::de::Error| {
            let position = error.span().map(|span| position(text, span.start)).unwrap_or_default();
            ConfigError::new(format!("{name}{position}: {}", redact_message(error.message())))
        };
        toml::from_str::<Config>(text).map_err(refuse)?;
        let lines = lines_of_settings(text);
        let mut table = text.parse().map_err(refuse)?;
        if let Some(directory) = directory {
            file_paths::resolve(&mut table, directory);
        }
        self.overlay(table, |setting| match lines.get(setting) {
            Some(line) => format!("{name}, line {line}"),
            None => name.to_owned(),
        });
        Ok(self)
    }

    #[cfg(test)]
    pub fn add_text(self, name: &str, text: &str) -> Result<Self, ConfigError> {
        self.add_text_in(None, name, text)
    }

    /// Adds every variable `TASKER__SECTION__KEY` of the environment.
    pub fn add_environment(mut self, environment: &Environment) -> Result<Self, ConfigError> {
        for (name, value) in environment.with_prefix(PREFIX) {
            let Some((plain, secret)) = secret_setting_of_file_variable(name) else {
                self = self.add_setting(name, &setting_of(name), value)?;
                continue;
            };
            if environment.get(plain).is_some() {
                return Err(ConfigError::new(format!("{plain} and {name} are both set: remove one of them")));
            }
            self = self.add_setting(name, secret, &read_secret(name, Path::new(value))?)?;
        }
        Ok(self)
    }

    /// Adds the setting `SECTION.KEY=VALUE` of an option `--set`.
    pub fn add_assignment(self, text: &str) -> Result<Self, ConfigError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| ConfigError::new(format!("--set {text}: write it as SECTION.KEY=VALUE")))?;
        self.add_setting(&format!("--set {key}"), key, value)
    }

    /// Adds one setting. `origin` is how the user wrote its name. `text` is taken as a string, or as a TOML value where
    /// the setting is not a string.
    pub fn add_setting(mut self, origin: &str, key: &str, text: &str) -> Result<Self, ConfigError> {
        let Some((section, name)) = key.split_once('.').filter(|(_, name)| !name.contains('.')) else {
            return Err(ConfigError::new(format!("{origin}: a setting is written as SECTION.KEY")));
        };
        let alone = |value| {
            let keys = Table::from_iter([(name.to_owned(), value)]);
            Table::from_iter([(section.to_owned(), Value::Table(keys))])
        };
        let as_text = alone(Value::String(text.to_owned()));
        let fitting = match (Config::deserialize(as_text.clone()), text.parse::<Value>()) {
            (Ok(_), _) => Ok(as_text),
            (Err(refusal), Err(_)) => Err(refusal),
            (Err(_), Ok(value)) => Config::deserialize(alone(value.clone())).map(|_| alone(value)),
        };
        let fitting = fitting
            .map_err(|error| ConfigError::new(format!("{origin}: {}", redact_message(error.message()))))?;
        self.overlay(fitting, |_| origin.to_owned());
        Ok(self)
    }

    /// The configuration that results from all layers.
    pub fn build(&self) -> Result<Config, ConfigError> {
        Config::deserialize(self.table.clone()).map_err(|error| ConfigError::new(error.message()))
    }

    /// The path of the settings file, which may not exist.
    pub fn settings_file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The settings file and the first secret written in it, if the file holds any.
    pub fn first_secret_in_settings_file(&self) -> Option<(&Path, &'static str)> {
        let path = self.file.as_deref()?;
        let prefix = format!("{}, ", path.display());
        let is_in_file =
            |secret: &&str| self.find(secret).is_some_and(|(_, origin)| origin.starts_with(&prefix));
        Some((path, SECRETS.into_iter().find(is_in_file)?))
    }

    /// The value of a setting and the source that set it; `None` if the default applies.
    pub fn find(&self, setting: &str) -> Option<(&Value, &str)> {
        let (section, key) = setting.split_once('.')?;
        Some((self.table.get(section)?.get(key)?, self.origins.get(setting)?))
    }

    /// Overrides our keys one by one with those of `over`; `origin` gives the source of each.
    fn overlay(&mut self, over: Table, origin: impl Fn(&str) -> String) {
        for (section, keys) in over {
            for key in keys.as_table().into_iter().flat_map(Table::keys) {
                let setting = format!("{section}.{key}");
                let origin = origin(&setting);
                self.origins.insert(setting, origin);
            }
            match (self.table.get_mut(&section), keys) {
                (Some(Value::Table(ours)), Value::Table(theirs)) => ours.extend(theirs),
                (_, keys) => drop(self.table.insert(section, keys)),
            }
        }
    }
}

/// The line number of each setting in the TOML text, counted from 1.
fn lines_of_settings(text: &str) -> BTreeMap<String, usize> {
    let Ok(document) = DeTable::parse(text) else { return BTreeMap::new() };
    let mut lines = BTreeMap::new();
    for (section, keys) in document.get_ref() {
        for (key, _) in keys.get_ref().as_table().into_iter().flatten() {
            let line = 1 + text[..key.span().start].matches('\n').count();
            lines.insert(format!("{}.{}", section.get_ref(), key.get_ref()), line);
        }
    }
    lines
}

/// The name of the setting that a variable sets.
fn setting_of(variable: &str) -> String {
    variable[PREFIX.len()..].to_lowercase().replacen("__", ".", 1)
}

/// For a variable `…_FILE` of a secret: the variable without `_FILE`, and the secret's setting.
fn secret_setting_of_file_variable(variable: &str) -> Option<(&str, &'static str)> {
    let plain = variable.strip_suffix("_FILE")?;
    let setting = setting_of(plain);
    SECRETS.into_iter().find(|secret| *secret == setting).map(|secret| (plain, secret))
}

/// The variables that name files of secrets, each with its file.
pub fn secret_files(environment: &Environment) -> impl Iterator<Item = (&str, &Path)> {
    let named =
        environment.with_prefix(PREFIX).filter(|(name, _)| secret_setting_of_file_variable(name).is_some());
    named.map(|(name, path)| (name, Path::new(path)))
}

/// Reads a secret from the file that `origin` names, without the newline that editors put at the end.
pub fn read_secret(origin: &str, path: &Path) -> Result<String, ConfigError> {
    match text_file::read_trusted(path) {
        Ok(text) => match text.trim_end_matches(['\r', '\n']) {
            "" => Err(ConfigError::new(format!("{origin}: the secret file {} is empty", path.display()))),
            secret => Ok(secret.to_owned()),
        },
        Err(error) => {
            let path = path.display();
            Err(ConfigError::new(format!("{origin}: the secret file {path} cannot be read: {error}")))
        }
    }
}

/// Line and column of a byte offset. The line's text is not shown: it may hold a secret, whatever its key is.
fn position(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(", line {line}, column {column}")
}

/// An error message of serde without values, followed by a suggestion.
pub fn redact_message(message: &str) -> String {
    redact_value(message) + &suggestion(message)
}

/// An error message of serde without the value that does not fit: the value may be a secret.
fn redact_value(message: &str) -> String {
    let end = message.rfind(", expected ").filter(|_| message.starts_with("invalid "));
    let value = end.and_then(|end| Some((message[..end].find(['`', '"'])?, end)));
    match value {
        Some((begin, end)) => format!("{}{}", message[..begin].trim_end(), &message[end..]),
        None => message.to_owned(),
    }
}

/// The known name nearest to an unknown one. serde's message: unknown field `prot`, expected one of `port`, `host`.
fn suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown "));
    let nearest = unknown.and_then(|unknown| {
        quoted
            .map(|known| (strsim::jaro_winkler(unknown, known), known))
            .filter(|(similarity, _)| *similarity > 0.8)
            .max_by(|one, other| one.0.total_cmp(&other.0))
    });
    nearest.map_or_else(String::new, |(_, known)| format!("\ndid you mean `{known}`?"))
}

/// The configuration that results from these settings, each as `--set` takes it.
#[cfg(test)]
pub fn config_of(settings: &[&str]) -> Config {
    let assign = |layers: Layers, setting: &&str| layers.add_assignment(setting).expect("a valid setting");
    settings.iter().fold(Layers::default(), assign).build().expect("a valid configuration")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn later_layers_win() {
        let config = Layers::default()
            .add_setting("tasker up", "worker.drain_ms", "1")
            .unwrap()
            .add_text("tasker.toml", "[worker]\nslots = 2\ndrain_ms = 2\nheartbeat_ms = 2")
            .unwrap()
            .add_environment(&environment(&[
                ("TASKER__WORKER__SLOTS", "3"),
                ("TASKER__WORKER__DRAIN_MS", "3"),
            ]))
            .unwrap()
            .add_assignment("worker.slots=4")
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(config.worker.slots.get(), 4);
        assert_eq!(config.worker.drain_ms, 3);
        assert_eq!(config.worker.heartbeat_ms.get(), 2);
        assert_eq!(config.worker.delay_between_tasks_ms, 0);
    }

    #[test]
    fn the_origin_of_every_value_is_known() {
        let layers = Layers::default()
            .add_text("tasker.toml", "[worker]\n\nslots = 2\ndrain_ms = 2\n[log]\nlevel = \"warn\"")
            .unwrap()
            .add_environment(&environment(&[("TASKER__WORKER__SLOTS", "3")]))
            .unwrap()
            .add_assignment("log.format=json")
            .unwrap();
        let origin = |setting: &str| layers.find(setting).map(|(_, origin)| origin.to_owned());
        assert_eq!(origin("worker.slots").as_deref(), Some("TASKER__WORKER__SLOTS"));
        assert_eq!(origin("worker.drain_ms").as_deref(), Some("tasker.toml, line 4"));
        assert_eq!(origin("log.level").as_deref(), Some("tasker.toml, line 6"));
        assert_eq!(origin("log.format").as_deref(), Some("--set log.format"));
        assert_eq!(origin("worker.name"), None);
    }

    #[test]
    fn a_value_is_a_string_where_the_setting_is_one_and_toml_otherwise() {
        let config = Layers::default()
            .add_environment(&environment(&[
                ("TASKER__WORKER__USERNAME", "12345"),
                ("TASKER__WORKER__SIMULATE_WORK_MS", "[1, 2]"),
                ("TASKER__BACKEND__ALLOW_PLAINTEXT", "true"),
                ("TASKER__BACKEND__CORS_ORIGINS", r#"["https://a.example"]"#),
            ]))
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(config.worker.username.as_deref(), Some("12345"));
        assert_eq!(config.worker.simulate_work_ms, [1, 2]);
        assert!(config.backend.allow_plaintext);
        assert_eq!(config.backend.cors_origins, ["https://a.example"]);
    }

    #[test]
    fn an_error_names_its_source_and_the_nearest_known_name() {
        let sentence = |layers: Result<Layers, ConfigError>| layers.unwrap_err().to_string();

        let file = sentence(Layers::default().add_text("tasker.toml", "[worker]\nslot = 4"));
        assert!(file.starts_with("tasker.toml, line 2, column 1: unknown field `slot`"), "{file}");
        assert!(file.ends_with("did you mean `slots`?"), "{file}");

        for secret in
            ["password = 1234567", "pasword = \"1234567\"", "password = \"1234567", "username = 1234567"]
        {
            let file = sentence(Layers::default().add_text("tasker.toml", &format!("[worker]\n{secret}")));
            assert!(file.starts_with("tasker.toml, line 2, ") && !file.contains("1234567"), "{file}");
        }

        let variable = environment(&[("TASKER__WROKER__SLOTS", "4")]);
        let variable = sentence(Layers::default().add_environment(&variable));
        assert!(variable.starts_with("TASKER__WROKER__SLOTS: unknown field"), "{variable}");
        assert!(variable.ends_with("did you mean `worker`?"), "{variable}");

        let flag = sentence(Layers::default().add_assignment("worker.slots=many"));
        assert!(flag.starts_with("--set worker.slots: invalid type"), "{flag}");
        assert!(!flag.contains("did you mean"), "{flag}");

        let value = sentence(Layers::default().add_assignment("log.format=jsn"));
        assert!(value.ends_with("did you mean `json`?"), "{value}");
    }

    #[test]
    fn variables_of_kubernetes_services_are_not_settings() {
        let config =
            environment(&[("TASKER_PORT", "tcp://10.0.0.1:80"), ("TASKER_SERVICE_HOST", "10.0.0.1")]);
        let built = Layers::default().add_environment(&config).unwrap().build().unwrap();
        assert_eq!(format!("{built:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn a_variable_without_a_section_is_refused() {
        for name in ["TASKER__SLOTS", "TASKER__WORKER__SLOTS__MORE"] {
            assert!(Layers::default().add_environment(&environment(&[(name, "1")])).is_err(), "{name}");
        }
    }

    #[test]
    fn the_environment_may_name_the_file_of_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "correct horse\n").unwrap();
        let path = path.to_str().unwrap();

        let file = ("TASKER__WORKER__PASSWORD_FILE", path);
        let config = Layers::default().add_environment(&environment(&[file])).unwrap().build().unwrap();
        assert_eq!(config.worker.password.unwrap().expose_secret(), "correct horse");

        let both = environment(&[file, ("TASKER__WORKER__PASSWORD", "x")]);
        assert!(Layers::default().add_environment(&both).unwrap_err().to_string().contains("both set"));

        let absent = environment(&[("TASKER__WORKER__PASSWORD_FILE", "/nowhere/at/all")]);
        let sentence = Layers::default().add_environment(&absent).unwrap_err().to_string();
        assert!(sentence.contains("TASKER__WORKER__PASSWORD_FILE"), "{sentence}");
        assert!(sentence.contains("/nowhere/at/all"), "{sentence}");

        std::fs::write(path, "\n").unwrap();
        let empty = Layers::default().add_environment(&environment(&[file])).unwrap_err().to_string();
        assert!(empty.ends_with("is empty"), "{empty}");
    }
}
