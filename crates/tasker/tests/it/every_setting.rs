//! Every setting through the binary: from the file, the environment and a flag it is shown with its origin, and an invalid value
//! is refused by the name of the setting.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::kit::command::{run, set_arguments, tasker_command};

/// A setting, a value (TOML) that differs from the default, and an invalid value (as for `--set`).
type SettingCase = (&'static str, &'static str, &'static str);

/// Every setting there is.
const SETTINGS: &[SettingCase] = &[
    ("database.url", r#""sqlite:other.db""#, "mysql://db/tasks"),
    ("database.max_connections", "8", "2"),
    ("kafka.bootstrap_servers", r#""127.0.0.1:1,127.0.0.1:2""#, "127.0.0.1:1,,"),
    ("kafka.topic_prefix", r#""other""#, "two words"),
    ("kafka.partitions", "24", "0"),
    ("kafka.replication", "3", "0"),
    ("kafka.provision", "false", "maybe"),
    ("kafka.tickets_retention_hours", "48", "0"),
    ("kafka.results_retention_hours", "48", "0"),
    ("kafka.dead_letters_retention_hours", "48", "0"),
    ("kafka.group_protocol", r#""consumer""#, "newest"),
    ("kafka.security_protocol", r#""sasl_ssl""#, "tls"),
    ("kafka.sasl_mechanism", r#""PLAIN""#, "GSSAPI"),
    ("kafka.sasl_username", r#""ann""#, "ann"),
    ("kafka.sasl_password", r#""hush-hush""#, "hush-hush"),
    ("kafka.ssl_ca_location", r#""ca.pem""#, "/nowhere/ca.pem"),
    ("kafka.ssl_certificate_location", r#""cert.pem""#, "/nowhere/cert.pem"),
    ("kafka.ssl_key_location", r#""key.pem""#, "/nowhere/key.pem"),
    ("kafka.ssl_key_password", r#""hush-hush""#, "hush-hush"),
    ("kafka.properties", r#"{ "client.rack" = "hush-hush" }"#, r#"{ acks = "0" }"#),
    ("backend.listen", r#""127.0.0.1:8090""#, "here"),
    ("backend.tls_cert", r#""cert.pem""#, "/nowhere/cert.pem"),
    ("backend.tls_key", r#""key.pem""#, "/nowhere/key.pem"),
    ("backend.allow_plaintext", "true", "maybe"),
    ("backend.max_connections_per_address", "2000", "0"),
    ("backend.identity_url", r#""https://id.example.org""#, "id.example.org"),
    ("backend.resend_period_ms", "7000", "0"),
    ("backend.tls_ca", r#""ca.pem""#, "/nowhere/ca.pem"),
    ("backend.check_period_ms", "500", "0"),
    ("backend.default_ttl_ms", "5000", "0"),
    ("backend.max_ttl_ms", "60000", "0"),
    ("backend.start_within_ms", "60000", "0"),
    ("backend.keep_ended_days", "7", "0"),
    ("backend.worker_lost_ms", "20000", "1"),
    ("backend.cors_origins", r#"["https://app.example.org"]"#, r#"["app"]"#),
    ("backend.allowed_hosts", r#"["tasker.example.org"]"#, r#"["https://tasker.example.org"]"#),
    ("backend.trusted_proxies", r#"["10.0.0.0/8"]"#, r#"["proxy"]"#),
    ("backend.max_parameters_bytes", "1000", "0"),
    ("backend.max_result_bytes", "1000", "8388609"),
    ("backend.max_unfinished_per_owner", "1000", "-1"),
    ("backend.requests_per_minute", "600", "-1"),
    ("identity.listen", r#""127.0.0.1:8091""#, "here"),
    ("identity.tls_cert", r#""cert.pem""#, "/nowhere/cert.pem"),
    ("identity.tls_key", r#""key.pem""#, "/nowhere/key.pem"),
    ("identity.allow_plaintext", "true", "maybe"),
    ("identity.issuer", r#""https://id.example.org""#, "id.example.org"),
    ("identity.database_url", r#""sqlite:people.db""#, "mysql://db/people"),
    ("identity.max_connections_per_address", "2000", "0"),
    ("identity.open_registration", r#""none""#, "everybody"),
    ("identity.min_password_length", "12", "short"),
    ("identity.access_token_ttl_s", "600", "0"),
    ("identity.key_file", r#""other.key""#, "no.key"),
    ("identity.cors_origins", r#"["https://app.example.org"]"#, r#"["app"]"#),
    ("identity.allowed_hosts", r#"["*.example.org"]"#, r#"["id.example.org:8081"]"#),
    ("identity.trusted_proxies", r#"["2001:db8::/32", "10.0.0.7"]"#, r#"["10.0.0.0/33"]"#),
    ("identity.clients", r#"[{ id = "rig", roles = ["Worker"], secret_file = "s" }]"#, r#"[{ id = "rig" }]"#),
    ("worker.name", r#""rig-7""#, ""),
    ("worker.slots", "16", "10001"),
    ("worker.delay_between_tasks_ms", "10", "-1"),
    ("worker.steal_after_ms", "500", "60001"),
    ("worker.backend_url", r#"["https://a.example.org", "https://b.example.org"]"#, "tasker.example.org"),
    ("worker.identity_url", r#""https://id.example.org""#, "id.example.org"),
    ("worker.tls_ca", r#""ca.pem""#, "/nowhere/ca.pem"),
    ("worker.client_id", r#""rig""#, "rig"),
    ("worker.client_secret", r#""hush-hush""#, "hush-hush"),
    ("worker.username", r#""ann""#, "ann"),
    ("worker.password", r#""hush-hush""#, "hush-hush"),
    ("worker.heartbeat_ms", "1000", "0"),
    ("worker.drain_ms", "5000", "-1"),
    ("worker.simulate_work_ms", "[1, 2]", "[2, 1]"),
    (
        "worker.operations",
        r#"[{ type = "TRUE", run = ["true"], environment = { KEY = "hush" } }]"#,
        r#"[{ type = "TRUE" }]"#,
    ),
    ("worker.stop_means", r#""namespace""#, "magic"),
    ("worker.operations_directory", r#""operations""#, "/nowhere/at/all"),
    ("metrics.listen", r#""127.0.0.1:9465""#, "here"),
    ("metrics.tls_cert", r#""cert.pem""#, "/nowhere/cert.pem"),
    ("metrics.tls_key", r#""key.pem""#, "/nowhere/key.pem"),
    ("metrics.allow_plaintext", "true", "maybe"),
    ("metrics.allowed_hosts", r#"["metrics.example.org"]"#, r#"["*"]"#),
    ("traces.endpoint", r#""https://collector.example.org""#, "collector.example.org"),
    ("traces.tls_ca", r#""ca.pem""#, "/nowhere/ca.pem"),
    ("traces.headers", r#""authorization=hush-hush""#, "hush-hush"),
    ("traces.sample", "0.5", "2"),
    ("log.level", r#""debug""#, "loud"),
    ("log.format", r#""json""#, "xml"),
    ("log.file", r#""tasker.log""#, "/nowhere/at/all/tasker.log"),
    ("log.rotate", r#""daily""#, "weekly"),
    ("log.keep", "3", "-1"),
];

/// The settings whose values are never shown.
const SECRETS: [&str; 7] = [
    "database.url",
    "kafka.sasl_password",
    "kafka.ssl_key_password",
    "identity.database_url",
    "worker.client_secret",
    "worker.password",
    "traces.headers",
];

/// The environment variable of a setting.
fn variable(key: &str) -> String {
    format!("TASKER__{}", key.to_uppercase().replace('.', "__"))
}

/// The value and the origin of each setting, as `tasker config show` prints them.
fn show(home: &Path, settings: &[String], variables: &[(String, &str)]) -> BTreeMap<String, (Value, String)> {
    let arguments = ["config", "show", "-o", "json"].into_iter().chain(set_arguments(settings));
    let mut command = tasker_command(home, arguments);
    let output = run(command.envs(variables.iter().map(|(name, value)| (name, value))));
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(!output.stdout.contains("hush") && !output.stderr.contains("hush"), "{}", output.stdout);
    let entries: Vec<Value> = serde_json::from_str(&output.stdout).expect("the output is JSON");
    let text = |value: &Value| value.as_str().expect("the member is text").to_owned();
    let entry = |entry: &Value| (text(&entry["setting"]), (entry["value"].clone(), text(&entry["origin"])));
    entries.iter().map(entry).collect()
}

/// The form in which `config show` prints a value.
fn shown_value(key: &str, value: &str) -> Value {
    if SECRETS.contains(&key) {
        "(secret)".into()
    } else if key == "kafka.properties" {
        "{ client.rack } (values are not shown)".into()
    } else if key == "worker.operations" {
        "[TRUE] (only the types are shown)".into()
    } else {
        value.into()
    }
}

/// The form in which `config show` prints a value of the settings file in `home`: its paths are absolute.
fn shown_value_of_file(key: &str, value: &str, home: &Path) -> Value {
    let names_file = key.ends_with("_location")
        || key.contains(".tls_")
        || key.ends_with("_file")
        || key.ends_with("_directory")
        || key == "log.file";
    let relative = match key {
        "identity.clients" => "s",
        _ if names_file => value.trim_matches('"'),
        _ => return shown_value(key, value),
    };
    let absolute = format!("\"{}\"", home.join(relative).display());
    shown_value(key, &value.replace(&format!("\"{relative}\""), &absolute))
}

#[test]
fn every_setting_may_come_from_the_file_the_environment_or_a_flag() {
    let home = TempDir::new().expect("a temporary directory can be created");
    let directory = home.path().canonicalize().expect("the directory exists");
    let defaults = show(home.path(), &[], &[]);
    let known: Vec<&str> = defaults.keys().map(String::as_str).collect();
    let mut tested: Vec<&str> = SETTINGS.iter().map(|(key, ..)| *key).collect();
    tested.sort_unstable();
    assert_eq!(known, tested, "this test has a line for each setting");
    for (key, (_, origin)) in &defaults {
        assert_eq!(origin, "default", "{key}");
    }

    // The value of a flag or a variable needs no quotes.
    let unquoted = |value: &'static str| value.trim_matches('"');
    let settings: Vec<String> =
        SETTINGS.iter().map(|(key, value, _)| format!("{key}={}", unquoted(value))).collect();
    let variables: Vec<_> = SETTINGS.iter().map(|(key, value, _)| (variable(key), unquoted(value))).collect();
    let (flags, environment) = (show(home.path(), &settings, &[]), show(home.path(), &[], &variables));
    std::fs::write(home.path().join("tasker.toml"), settings_file()).expect("a file");
    let file = show(home.path(), &[], &[]);
    for (key, text, _) in SETTINGS {
        let value = shown_value(key, text);
        assert_ne!(defaults[*key].0, value, "{key}: the value differs from the default");
        assert_eq!(flags[*key], (value.clone(), format!("--set {key}")));
        assert_eq!(environment[*key], (value.clone(), variable(key)));
        assert_eq!(file[*key].0, shown_value_of_file(key, text, &directory), "{key}");
        assert!(file[*key].1.starts_with("tasker.toml, line "), "{key}: {}", file[*key].1);
    }
}

/// A settings file with every setting.
fn settings_file() -> String {
    let (mut file, mut section) = (String::new(), "");
    for (key, value, _) in SETTINGS {
        let (section_of_key, name) = key.split_once('.').expect("a key has a section");
        if section_of_key != section {
            section = section_of_key;
            let _ = writeln!(file, "[{section}]");
        }
        let _ = writeln!(file, "{name} = {value}");
    }
    file
}

#[test]
fn every_secret_may_come_from_its_own_file() {
    let home = TempDir::new().expect("a temporary directory can be created");
    let variables = SECRETS.map(|key| {
        let (_, value, _) = SETTINGS.iter().find(|(known, ..)| *known == key).expect("the setting exists");
        std::fs::write(home.path().join(key), value.trim_matches('"')).expect("a file");
        (format!("{}_FILE", variable(key)), key)
    });
    let shown = show(home.path(), &[], &variables);
    for (name, key) in variables {
        assert_eq!(shown[key], ("(secret)".into(), name));
    }
}

#[test]
fn an_invalid_value_of_any_setting_is_refused_by_the_name_of_the_setting() {
    let home = TempDir::new().expect("a temporary directory can be created");
    std::fs::write(home.path().join("no.key"), "not a key").expect("a file");
    let check = |service: &str, settings: &[&str]| {
        let arguments = ["config", "check", service].into_iter();
        let arguments = arguments.chain(set_arguments(settings.iter().copied()));
        let output = run(&mut tasker_command(home.path(), arguments));
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(!text.contains("hush"), "{text}");
        (output.code, text)
    };
    let without_settings =
        ["all", "backend", "identity", "worker"].map(|service| (service, check(service, &[]).1));
    let without_settings = BTreeMap::from(without_settings);
    for (key, _, invalid) in SETTINGS {
        let (section, name) = key.split_once('.').expect("a key has a section");
        let service = match section {
            "database" | "kafka" => "backend",
            service @ ("backend" | "identity" | "worker") => service,
            _ => "all",
        };
        let invalid = format!("{key}={invalid}");
        let mut settings = vec![invalid.as_str()];
        // The other settings of Kafka are checked only if Kafka is used.
        if section == "kafka" && name != "bootstrap_servers" {
            settings.push("kafka.bootstrap_servers=127.0.0.1:1");
        }
        let (code, text) = check(service, &settings);
        assert_eq!(code, 2, "{invalid}: {text}");
        let is_new = |line: &&str| !without_settings[service].lines().any(|known| known == *line);
        assert!(text.lines().filter(is_new).any(|line| line.contains(key)), "{invalid}: {text}");
    }
}
