//! `tasker operation check`: declarations in files and in the settings, each valid or refused by its key.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::command::{CommandOutput, run, tasker_command};

/// A directory with a file `NAME` for each declaration.
fn home(files: &[(&str, &str)]) -> TempDir {
    let home = TempDir::new().expect("a temporary directory");
    for (name, text) in files {
        std::fs::write(home.path().join(name), text).expect("a file");
    }
    home
}

fn check(home: &TempDir, arguments: &[&str]) -> CommandOutput {
    run(&mut tasker_command(home.path(), [&["operation", "check"], arguments].concat()))
}

const WORD_COUNT: &str = r#"
type = "WORD_COUNT"
run = ["bin/count", "-w"]
parameters = { type = "object", properties = { text = { type = "string" } }, required = ["text"] }
ttl = { default_ms = 5000 }
limits = { memory_mb = 256 }
"#;

#[test]
fn a_valid_declaration_is_shown_with_its_program_and_its_limits() {
    let home = home(&[("count.toml", WORD_COUNT)]);
    let text = check(&home, &["count.toml"]);
    let expected = "WORD_COUNT  v1  exec  ok
  declared  count.toml
  run       bin/count -w
  ttl       default 5000 ms, max -
  limits    memory_mb 256, output_bytes 1048576";
    assert_eq!((text.code, text.stdout.as_str()), (0, expected), "{}", text.stderr);
    let output = check(&home, &["count.toml", "-o", "json"]);
    let reports: Value = serde_json::from_str(&output.stdout).expect("the output is JSON");
    let expected = json!([{"type": "WORD_COUNT", "version": 1, "isolation": "exec", "run": ["bin/count", "-w"],
        "url": null, "defaultTtlMs": 5000, "maxTtlMs": null, "limits": {"memory_mb": 256, "output_bytes": 1_048_576},
        "place": "count.toml", "errors": []}]);
    assert_eq!((output.code, reports), (0, expected));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_key() {
    let home = home(&[("count.toml", "type = \"A\"\nrun = [\"a\"]\ngrace_sm = 1\n")]);
    let refused = check(&home, &["count.toml"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    let place = "error: count.toml, line 3, column 1: unknown field `grace_sm`";
    assert!(refused.stderr.starts_with(place), "{}", refused.stderr);
    assert!(refused.stderr.ends_with("did you mean `grace_ms`?"), "{}", refused.stderr);
}

#[test]
fn every_broken_rule_is_told_with_exit_code_2() {
    let both = "type = \"A\"\nrun = [\"a\"]\nhttp = { url = \"https://example.org\" }\nversion = 0\n";
    let home =
        home(&[("both.toml", both), ("schema.toml", &WORD_COUNT.replace("\"string\"", "\"unicorn\""))]);
    let both = check(&home, &["both.toml"]);
    assert_eq!(both.code, 2);
    for line in [
        "A  v0  -  BAD",
        "  error     `version` must be 1 to 2147483647",
        "  error     `run` and `http` are both set: an operation has exactly one of them",
    ] {
        assert!(both.stdout.lines().any(|shown| shown == line), "{line}: {}", both.stdout);
    }
    let schema = check(&home, &["schema.toml", "-o", "json"]);
    let reports: Value = serde_json::from_str(&schema.stdout).expect("the output is JSON");
    let error = reports[0]["errors"][0].as_str().expect("an error");
    assert_eq!(schema.code, 2);
    assert!(error.starts_with("`parameters` must be a JSON Schema that is supported: "), "{error}");
}

#[test]
fn without_a_file_the_settings_and_their_directory_are_checked() {
    let settings =
        "[worker]\noperations_directory = \"ops\"\n[[worker.operations]]\ntype = \"A\"\nrun = [\"a\"]\n";
    let home = home(&[("tasker.toml", settings)]);
    std::fs::create_dir(home.path().join("ops")).expect("a directory");
    std::fs::write(home.path().join("ops/b.toml"), "type = \"B\"\nhttp = { url = \"https://example.org\" }")
        .unwrap();
    for arguments in [&[][..], &["tasker.toml"]] {
        let all = check(&home, arguments);
        assert_eq!(all.code, 0, "{}{}", all.stdout, all.stderr);
        assert!(
            all.stdout.contains("A  v1  exec  ok\n  declared  worker.operations, entry 1\n"),
            "{}",
            all.stdout
        );
        assert!(
            all.stdout.contains("B  v1  http  ok\n") && all.stdout.contains("/ops/b.toml\n"),
            "{}",
            all.stdout
        );
    }
    let one = check(&home, &["B"]);
    assert!(one.code == 0 && one.stdout.starts_with("B  v1"), "{}{}", one.stdout, one.stderr);
    let absent = check(&home, &["C"]);
    assert_eq!(absent.code, 8);
    assert!(absent.stderr.contains("the settings declare no operation C"), "{}", absent.stderr);
}

#[test]
fn a_worker_whose_declarations_are_invalid_does_not_start() {
    let settings = "[[worker.operations]]\ntype = \"ECHO\"\nrun = [\"a\"]\n";
    let home = home(&[("tasker.toml", settings)]);
    let refused = run(&mut tasker_command(home.path(), ["up"]));
    assert_eq!(refused.code, 2);
    let sentence =
        "error: worker.operations, entry 1: operation ECHO: `type` must not be that of a built-in operation";
    assert_eq!(refused.stderr, sentence);
}
