//! Relative paths in a settings file: they are relative to the directory of the file, wherever the command is started.

use std::path::{Path, PathBuf};

use database::Db;
use toml::{Table, Value};
use worker::is_relative_path;

/// The settings that are paths.
const PATHS: [&str; 15] = [
    "backend.tls_cert",
    "backend.tls_key",
    "backend.tls_ca",
    "identity.tls_cert",
    "identity.tls_key",
    "identity.key_file",
    "worker.tls_ca",
    "worker.operations_directory",
    "metrics.tls_cert",
    "metrics.tls_key",
    "traces.tls_ca",
    "kafka.ssl_ca_location",
    "kafka.ssl_certificate_location",
    "kafka.ssl_key_location",
    "log.file",
];

/// The settings that are URLs of databases: with SQLite a path, with PostgreSQL perhaps paths of certificates.
const DATABASES: [&str; 2] = ["database.url", "identity.database_url"];

/// The directory to which the paths in the settings file at `path` are relative; `None` if it is not a regular file but, for
/// instance, a pipe.
pub fn directory_of_settings_file(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok().filter(|path| path.is_file())?;
    absolute.parent().map(Path::to_owned)
}

/// Makes every relative path in `settings` relative to `directory`.
pub fn resolve(settings: &mut Table, directory: &Path) {
    let absolute = |path: &str| directory.join(path).display().to_string();
    for name in PATHS {
        if let Some(Value::String(path)) = find(settings, name) {
            *path = absolute(path);
        }
    }
    for name in DATABASES {
        if let Some(Value::String(url)) = find(settings, name) {
            *url = Db::with_paths_in(url, directory);
        }
    }
    if let Some(Value::Array(clients)) = find(settings, "identity.clients") {
        for client in clients {
            if let Some(Value::String(path)) = client.get_mut("secret_file") {
                *path = absolute(path);
            }
        }
    }
    if let Some(Value::Array(operations)) = find(settings, "worker.operations") {
        for path in operations.iter_mut().flat_map(|operation| paths_of_operation(operation, directory)) {
            *path = absolute(path);
        }
    }
}

/// The paths in a declaration of an operation: of files and a directory, in the words of `run`, and of secret headers.
fn paths_of_operation<'a>(operation: &'a mut Value, directory: &Path) -> Vec<&'a mut String> {
    let mut paths = Vec::new();
    let keys = operation.as_table_mut().into_iter().flat_map(|table| table.iter_mut());
    for (key, value) in keys {
        match (key.as_str(), value) {
            ("parameters_file" | "result_file" | "directory", Value::String(path)) => paths.push(path),
            ("run", Value::Array(words)) => {
                for (index, word) in words.iter_mut().enumerate() {
                    if let Value::String(word) = word
                        && is_relative_path(directory, index, word)
                    {
                        paths.push(word);
                    }
                }
            }
            ("http", http) => {
                let headers = http.get_mut("headers").and_then(Value::as_table_mut);
                for (_, header) in headers.into_iter().flat_map(|headers| headers.iter_mut()) {
                    if let Some(Value::String(path)) = header.get_mut("file") {
                        paths.push(path);
                    }
                }
            }
            _ => {}
        }
    }
    paths
}

fn find<'a>(settings: &'a mut Table, name: &str) -> Option<&'a mut Value> {
    let (section, key) = name.split_once('.')?;
    settings.get_mut(section)?.get_mut(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of [`crate::config::sections::Config`] are read from its source, so that a new path is not forgotten.
    #[test]
    fn every_setting_that_is_a_path_is_resolved() {
        let mut section = "";
        let mut paths = Vec::new();
        for line in
            [include_str!("sections.rs"), include_str!("kafka.rs")].iter().flat_map(|text| text.lines())
        {
            if let Some(name) =
                line.strip_prefix("/// The section `[").and_then(|rest| rest.split(']').next())
            {
                section = name;
            }
            if let Some((key, _)) = line.trim().split_once(": Option<PathBuf>") {
                paths.push(format!("{section}.{}", key.trim_start_matches("pub ")));
            }
        }
        let mut known: Vec<&str> = PATHS.to_vec();
        known.sort_unstable();
        paths.sort_unstable();
        assert_eq!(paths, known);
    }

    #[test]
    fn absolute_paths_and_other_databases_stay() {
        let text = r#"
            [database]
            url = "postgres://ann@db/tasks"
            [identity]
            database_url = "sqlite:data/identity.db"
            key_file = "/etc/tasker/identity.key"
            clients = [{ id = "rig", secret_file = "secrets/rig", roles = ["Worker"] }]
        "#;
        let mut settings: Table = text.parse().unwrap();
        resolve(&mut settings, Path::new("/srv/tasker"));
        assert_eq!(settings["database"]["url"].as_str(), Some("postgres://ann@db/tasks"));
        let identity = &settings["identity"];
        assert_eq!(identity["database_url"].as_str(), Some("sqlite:/srv/tasker/data/identity.db"));
        assert_eq!(identity["key_file"].as_str(), Some("/etc/tasker/identity.key"));
        assert_eq!(identity["clients"][0]["secret_file"].as_str(), Some("/srv/tasker/secrets/rig"));
    }

    #[test]
    fn the_paths_of_declared_operations_are_resolved_and_their_other_words_stay() {
        let text = r#"
            [[worker.operations]]
            run = ["bin/count", "bin/words"]
            parameters_file = "count.json"
            directory = "/srv/work"
            [[worker.operations]]
            run = ["python3", "bin/count"]
            [[worker.operations]]
            http = { url = "https://a.example/b", headers = { A = { file = "token" }, file = "text" } }
        "#;
        let mut settings: Table = text.parse().unwrap();
        resolve(&mut settings, Path::new("/etc/tasker"));
        let expected = r#"
            [[worker.operations]]
            run = ["/etc/tasker/bin/count", "bin/words"]
            parameters_file = "/etc/tasker/count.json"
            directory = "/srv/work"
            [[worker.operations]]
            run = ["python3", "bin/count"]
            [[worker.operations]]
            http = { url = "https://a.example/b", headers = { A = { file = "/etc/tasker/token" }, file = "text" } }
        "#;
        assert_eq!(settings, expected.parse().unwrap());
    }
}
