//! `tasker operation check`: declarations in files and in the settings, each valid or refused by its key.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::command::{CommandOutput, run, tasker_command};
use crate::kit::tasker_up::TaskerUp;

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
    let program = home.path().join("bin/count").display().to_string();
    let expected = format!(
        "WORD_COUNT  v1  exec  ok
  declared  count.toml
  run       {program} -w
  ttl       default 5000 ms, max -
  limits    memory_mb 256, output_bytes 1048576"
    );
    assert_eq!((text.code, text.stdout.as_str()), (0, expected.as_str()), "{}", text.stderr);
    let output = check(&home, &["count.toml", "-o", "json"]);
    let reports: Value = serde_json::from_str(&output.stdout).expect("the output is JSON");
    let expected = json!([{"type": "WORD_COUNT", "version": 1, "isolation": "exec", "run": [program, "-w"],
        "url": null, "defaultTtlMs": 5000, "maxTtlMs": null, "limits": {"memory_mb": 256, "output_bytes": 1_048_576},
        "place": "count.toml", "errors": []}]);
    assert_eq!((output.code, reports), (0, expected));
}

/// A Python program beside its declaration, which the first word of `run` does not name.
const SCRIPT: &str = "import json, sys, time\np = json.load(sys.stdin)\ntime.sleep(p.get('sleep', 0))\nprint(len(p['text'].split()))\n";
const SCRIPT_DECLARATION: &str = r#"
type = "WORD_COUNT"
run = ["python3", "count.py", "other.py"]
parameters = { type = "object", properties = { text = { type = "string" } }, required = ["text"] }
grace_ms = 0
"#;

#[test]
fn an_argument_that_names_a_file_beside_the_declaration_is_its_path() {
    let home = home(&[("count.toml", SCRIPT_DECLARATION), ("count.py", SCRIPT)]);
    let output = check(&home, &["count.toml"]);
    let run = format!("  run       python3 {} other.py", home.path().join("count.py").display());
    assert!(output.stdout.lines().any(|line| line == run), "{}", output.stdout);
    let settings = format!("[[worker.operations]]\n{SCRIPT_DECLARATION}");
    std::fs::write(home.path().join("tasker.toml"), settings).expect("a file");
    let output = check(&home, &["WORD_COUNT"]);
    assert!(output.stdout.lines().any(|line| line == run), "{}", output.stdout);
}

#[test]
fn an_operation_is_tried_with_parameters() {
    let home = home(&[("count.toml", SCRIPT_DECLARATION), ("count.py", SCRIPT)]);
    let check = |arguments: &[&str]| check(&home, &[&["count.toml", "-o", "json"], arguments].concat());
    let tried = |arguments: &[&str], code: i32| {
        let output = check(arguments);
        assert_eq!(output.code, code, "{}{}", output.stdout, output.stderr);
        let reports: Value = serde_json::from_str(&output.stdout).expect("the output is JSON");
        reports[0]["trial"].clone()
    };
    let trial = tried(&["--parameters", r#"{"text": "to be or not to be"}"#], 0);
    assert_eq!((&trial["result"], &trial["error"]), (&json!(6), &Value::Null));
    let trial = tried(&["--parameters", r#"{"text": 1}"#], 5);
    let error = trial["error"].as_str().expect("an error");
    assert!(error.starts_with("PARAMETERS_REFUSED: /text: "), "{error}");
    let trial = tried(&["--parameters", r#"{"text": "", "sleep": "x"}"#], 5);
    let error = trial["error"].as_str().expect("an error");
    assert!(
        error.starts_with("the program failed with exit code 1") && error.contains("TypeError"),
        "{error}"
    );
    let trial = tried(&["--parameters", r#"{"text": "", "sleep": 600}"#, "--ttl", "1s"], 6);
    assert_eq!((&trial["result"], &trial["error"]), (&Value::Null, &Value::Null));
    let bad = check(&["--parameters", "{"]);
    assert!(bad.code == 2 && bad.stderr.contains("the parameters are not JSON"), "{}", bad.stderr);
    let text = run(&mut tasker_command(
        home.path(),
        ["operation", "check", "count.toml", "--parameters", r#"{"text": "a b"}"#],
    ));
    assert!(text.stdout.ends_with("\n  result    2"), "{}", text.stdout);
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

/// The bundled worker says it, the doctor tries it, and the log of the start has it.
#[test]
fn the_means_of_stopping_programs_are_shown() {
    let settings = |means: &str| {
        format!(
            "[log]\nlevel = \"info\"\n[worker]\nstop_means = \"{means}\"\n[[worker.operations]]\ntype = \"A\"\nrun = [\"a\"]\n"
        )
    };
    let home = home(&[("tasker.toml", &settings("subreaper"))]);
    let mut up = TaskerUp::start_in(home, &[]);
    assert_eq!(up.process().count_lines("programs are stopped by: child subreaper;"), 1);
    let workers = up.run_command(["workers"]);
    assert_eq!(workers.code, 1, "the local account is no administrator: {}", workers.stderr);
    let doctor = up.run_command(["doctor", "worker", "-o", "json"]);
    let findings: Vec<Value> = serde_json::from_str(&doctor.stdout).expect("the findings are JSON");
    let finding = findings.iter().find(|finding| finding["subject"] == "stopping programs");
    let finding = finding.expect("the doctor has tried it");
    assert_eq!(finding["verdict"], "warn");
    assert!(finding["message"].as_str().expect("a text").starts_with("by child subreaper only"), "{finding}");
}
