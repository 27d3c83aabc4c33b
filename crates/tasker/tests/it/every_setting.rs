//! Every setting there is, through its public door: given by the file, the environment and a flag it is shown with its
//! origin; a value that makes no sense is refused by its name.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::kit::process::{run, tasker};

/// A setting, a value unlike its default (TOML), and one that makes no sense.
type Line = (&'static str, &'static str, &'static str);

const EVERY: &[Line] = &[
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
    ("backend.max_parameters_bytes", "1000", "0"),
    ("backend.max_result_bytes", "1000", "8388609"),
    ("identity.listen", r#""127.0.0.1:8091""#, "here"),
    ("identity.tls_cert", r#""cert.pem""#, "/nowhere/cert.pem"),
    ("identity.tls_key", r#""key.pem""#, "/nowhere/key.pem"),
    ("identity.allow_plaintext", "true", "maybe"),
    ("identity.issuer", r#""https://id.example.org""#, "id.example.org"),
    ("identity.database_url", r#""sqlite:people.db""#, "mysql://db/people"),
    ("identity.open_registration", r#""none""#, "everybody"),
    ("identity.min_password_length", "12", "short"),
    ("identity.access_token_ttl_s", "600", "0"),
    ("identity.key_file", r#""other.key""#, "no.key"),
    ("identity.clients", r#"[{ id = "rig", roles = ["Worker"], secret_file = "s" }]"#, r#"[{ id = "rig" }]"#),
    ("worker.name", r#""rig-7""#, ""),
    ("worker.slots", "16", "0"),
    ("worker.delay_between_tasks_ms", "10", "-1"),
    ("worker.steal_after_ms", "500", "60001"),
    ("worker.backend_url", r#""https://tasker.example.org""#, "tasker.example.org"),
    ("worker.identity_url", r#""https://id.example.org""#, "id.example.org"),
    ("worker.tls_ca", r#""ca.pem""#, "/nowhere/ca.pem"),
    ("worker.client_id", r#""rig""#, "rig"),
    ("worker.client_secret", r#""hush-hush""#, "hush-hush"),
    ("worker.username", r#""ann""#, "ann"),
    ("worker.password", r#""hush-hush""#, "hush-hush"),
    ("worker.heartbeat_ms", "1000", "0"),
    ("worker.drain_ms", "5000", "-1"),
    ("worker.simulate_work_ms", "[1, 2]", "[2, 1]"),
    ("metrics.listen", r#""127.0.0.1:9465""#, "here"),
    ("metrics.tls_cert", r#""cert.pem""#, "/nowhere/cert.pem"),
    ("metrics.tls_key", r#""key.pem""#, "/nowhere/key.pem"),
    ("metrics.allow_plaintext", "true", "maybe"),
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

const SECRETS: [&str; 7] = [
    "database.url",
    "kafka.sasl_password",
    "kafka.ssl_key_password",
    "identity.database_url",
    "worker.client_secret",
    "worker.password",
    "traces.headers",
];

fn variable(key: &str) -> String {
    format!("TASKER__{}", key.to_uppercase().replace('.', "__"))
}

/// What `tasker config show` says of each setting: its value, and where that comes from.
fn shown(home: &Path, sets: &[String], variables: &[(String, &str)]) -> BTreeMap<String, (Value, String)> {
    let sets = sets.iter().flat_map(|set| ["--set", set.as_str()]);
    let mut show = tasker(home, ["config", "show", "-o", "json"].into_iter().chain(sets));
    let said = run(show.envs(variables.iter().map(|(name, value)| (name, value))));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.out.contains("hush") && !said.err.contains("hush"), "{}", said.out);
    let all: Vec<Value> = serde_json::from_str(&said.out).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    all.iter().map(|one| (text(&one["setting"]), (one["value"].clone(), text(&one["origin"])))).collect()
}

/// How a value is shown.
fn seen(key: &str, value: &str) -> Value {
    if SECRETS.contains(&key) {
        "(secret)".into()
    } else if key == "kafka.properties" {
        "{ client.rack } (values are not shown)".into()
    } else {
        value.into()
    }
}

#[test]
fn every_setting_may_come_from_the_file_the_environment_or_a_flag() {
    let home = TempDir::new().expect("a temporary directory");
    let known = shown(home.path(), &[], &[]);
    let listed: Vec<&str> = known.keys().map(String::as_str).collect();
    let mut tested: Vec<&str> = EVERY.iter().map(|(key, ..)| *key).collect();
    tested.sort_unstable();
    assert_eq!(listed, tested, "each has its line in this test");
    for (key, (_, origin)) in &known {
        assert_eq!(origin, "default", "{key}");
    }

    // A flag and a variable need no quotes.
    let bare = |value: &'static str| value.trim_matches('"');
    let sets: Vec<String> = EVERY.iter().map(|(key, value, _)| format!("{key}={}", bare(value))).collect();
    let variables: Vec<_> = EVERY.iter().map(|(key, value, _)| (variable(key), bare(value))).collect();
    let (flags, environment) = (shown(home.path(), &sets, &[]), shown(home.path(), &[], &variables));
    let (mut file, mut section) = (String::new(), "");
    for (key, value, _) in EVERY {
        let (of, key) = key.split_once('.').expect("a section");
        if of != section {
            section = of;
            let _ = writeln!(file, "[{section}]");
        }
        let _ = writeln!(file, "{key} = {value}");
    }
    std::fs::write(home.path().join("tasker.toml"), &file).expect("a file");
    let file = shown(home.path(), &[], &[]);
    for (key, value, _) in EVERY {
        let value = seen(key, value);
        assert_ne!(known[*key].0, value, "{key}: unlike the default");
        assert_eq!(flags[*key], (value.clone(), format!("--set {key}")));
        assert_eq!(environment[*key], (value.clone(), variable(key)));
        assert_eq!(file[*key].0, value, "{key}");
        assert!(file[*key].1.starts_with("tasker.toml, line "), "{key}: {}", file[*key].1);
    }
}

#[test]
fn every_secret_may_come_from_a_file_of_its_own() {
    let home = TempDir::new().expect("a temporary directory");
    let variables = SECRETS.map(|key| {
        let (_, value, _) = EVERY.iter().find(|(known, ..)| *known == key).expect("a setting");
        std::fs::write(home.path().join(key), value.trim_matches('"')).expect("a file");
        (format!("{}_FILE", variable(key)), key)
    });
    let found = shown(home.path(), &[], &variables);
    for (name, key) in variables {
        assert_eq!(found[key], ("(secret)".into(), name));
    }
}

#[test]
fn every_setting_refuses_what_makes_no_sense_by_its_name() {
    let home = TempDir::new().expect("a temporary directory");
    std::fs::write(home.path().join("no.key"), "nothing of the kind").expect("a file");
    let check = |role: &str, more: &[&str]| {
        let sets = more.iter().flat_map(|set| ["--set", *set]);
        let said = run(&mut tasker(home.path(), ["config", "check", role].into_iter().chain(sets)));
        let told = format!("{}{}", said.out, said.err);
        assert!(!told.contains("hush"), "{told}");
        (said.code, told)
    };
    let sound = ["all", "backend", "identity", "worker"].map(|role| (role, check(role, &[]).1));
    let sound = BTreeMap::from(sound);
    for (key, _, bad) in EVERY {
        let (section, name) = key.split_once('.').expect("a section");
        let role = match section {
            "database" | "kafka" => "backend",
            role @ ("backend" | "identity" | "worker") => role,
            _ => "all",
        };
        let bad = format!("{key}={bad}");
        let mut sets = vec![bad.as_str()];
        if section == "kafka" && name != "bootstrap_servers" {
            sets.push("kafka.bootstrap_servers=127.0.0.1:1");
        }
        let (code, told) = check(role, &sets);
        assert_eq!(code, 2, "{bad}: {told}");
        let mut new = told.lines().filter(|line| !sound[role].lines().any(|known| known == *line));
        assert!(new.any(|line| line.contains(key)), "{bad}: {told}");
    }
}
