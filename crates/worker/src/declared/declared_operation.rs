//! A declaration that keeps every rule: what is registered with the Backend, and how its tasks are run.

use std::path::Path;

use domain::{ExecutionIsolation, Operation, TtlBounds};
use json_schema::JsonSchema;

use crate::declared::declaration::OperationDeclaration;
use crate::declared::declaration_error::{BrokenRules, DeclarationError};
use crate::declared::declaration_source::{DeclarationSource, path_in};
use crate::declared::exec_settings::ExecSettings;
use crate::declared::schemas;
use crate::declared::submission_settings;
use crate::http_operation::call::HttpOperation;
use crate::output_format::OutputFormat;

/// An operation that the settings declare, checked.
#[derive(Debug)]
pub struct DeclaredOperation {
    pub(crate) specification: Operation,
    pub(crate) parameters: JsonSchema,
    pub(crate) result: JsonSchema,
    pub(crate) run: DeclaredRun,
}

/// What a task of a declared operation runs.
#[derive(Debug)]
pub(crate) enum DeclaredRun {
    /// A program.
    Exec(ExecSettings),
    /// A request, and the form of the response.
    Http(HttpOperation, OutputFormat),
}

/// The highest version of an operation: the greatest that a Backend registers.
const MAX_VERSION: u32 = i32::MAX.cast_unsigned();

/// The longest description of an operation, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1000;

impl OperationDeclaration {
    /// Checks every rule and makes an operation of the declaration. Its relative paths are relative to `directory`.
    ///
    /// # Errors
    ///
    /// Every rule that the declaration breaks.
    pub fn compile(
        self,
        directory: &Path,
        source: &DeclarationSource<'_>,
    ) -> Result<DeclaredOperation, DeclarationError> {
        let mut broken = BrokenRules::default();
        check_specification(&self, &mut broken);
        let (parameters, result) = schemas::compile(&self, directory, source, &mut broken);
        let run = compile_run(&self, directory, source, &mut broken);
        let (defaults, maxima) = submission_settings::compile(self.defaults, self.maxima, &mut broken);
        let isolation = match run {
            Some(DeclaredRun::Exec(_)) | None => ExecutionIsolation::Exec,
            Some(DeclaredRun::Http(..)) => ExecutionIsolation::Http,
        };
        let specification = Operation {
            name: self.name,
            version: self.version,
            description: self.description,
            queue: self.queue,
            parameters: parameters.source,
            result: result.source,
            ttl: TtlBounds { default: self.ttl.default_ms, max: self.ttl.max_ms },
            defaults,
            maxima,
            isolation,
        };
        match (broken.into_error(&specification.name), run) {
            (None, Some(run)) => Ok(DeclaredOperation {
                specification,
                parameters: parameters.compiled,
                result: result.compiled,
                run,
            }),
            (error, _) => Err(error.expect("a declaration that runs nothing breaks a rule")),
        }
    }
}

impl DeclaredOperation {
    /// The operation as it is registered with the Backend.
    pub const fn specification(&self) -> &Operation {
        &self.specification
    }

    /// The program and its arguments as they are run, if the operation runs a program.
    pub fn program(&self) -> Option<&[String]> {
        match &self.run {
            DeclaredRun::Exec(settings) => Some(&settings.program),
            DeclaredRun::Http(..) => None,
        }
    }

    /// The user as whom the operation's program runs, if the declaration names one.
    pub fn user(&self) -> Option<&str> {
        match &self.run {
            DeclaredRun::Exec(settings) => settings.user.as_deref(),
            DeclaredRun::Http(..) => None,
        }
    }
}

fn check_specification(declaration: &OperationDeclaration, broken: &mut BrokenRules) {
    let is_version = (1..=MAX_VERSION).contains(&declaration.version);
    broken.check(is_version, || format!("`version` must be 1 to {MAX_VERSION}"));
    let is_short = declaration.description.chars().count() <= MAX_DESCRIPTION_CHARS;
    broken.check(is_short, || format!("`description` must have at most {MAX_DESCRIPTION_CHARS} characters"));
    let ttl = declaration.ttl;
    let is_ordered = ttl.default_ms.zip(ttl.max_ms).is_none_or(|(default, max)| default <= max);
    broken.check(is_ordered, || "`ttl.default_ms` must be at most `ttl.max_ms`".to_owned());
}

/// What the declaration runs; `None` if it says so twice or not at all.
fn compile_run(
    declaration: &OperationDeclaration,
    directory: &Path,
    source: &DeclarationSource<'_>,
    broken: &mut BrokenRules,
) -> Option<DeclaredRun> {
    match (&declaration.run, &declaration.http) {
        (Some(_), None) => {
            let settings = ExecSettings::compile(declaration, directory, source, broken);
            Some(DeclaredRun::Exec(settings))
        }
        (None, Some(http)) => {
            check_http(declaration, broken);
            let operation = HttpOperation::new(http, &path_in(directory, Path::new("")));
            let operation = operation.inspect_err(|error| broken.add(error.as_str())).ok()?;
            Some(DeclaredRun::Http(operation, declaration.output))
        }
        (Some(_), Some(_)) => {
            broken.add("`run` and `http` are both set: an operation has exactly one of them");
            None
        }
        (None, None) => {
            broken.add("`run` or `http` must be set: an operation has exactly one of them");
            None
        }
    }
}

/// Refuses what only a program has.
fn check_http(declaration: &OperationDeclaration, broken: &mut BrokenRules) {
    for (key, is_set) in [
        ("grace_ms", declaration.grace_ms.is_some()),
        ("grace", declaration.grace.is_some()),
        ("limits", declaration.limits.is_some()),
        ("environment", declaration.environment.is_some()),
        ("pass_environment", declaration.pass_environment.is_some()),
        ("directory", declaration.directory.is_some()),
        ("user", declaration.user.is_some()),
    ] {
        broken.check(!is_set, || format!("`{key}` belongs to a program: it needs `run`, and not `http`"));
    }
    broken.check(declaration.output != OutputFormat::Lines, || {
        "`output = \"lines\"` belongs to a program: it needs `run`, and not `http`".to_owned()
    });
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use domain::{BackoffFactor, Reason};
    use serde_json::json;

    use super::*;
    use crate::declared::exec_settings::ProcessLimits;

    /// Compiles a declaration in `/etc/ops`, where `schema.json` is the only file and LANG the only variable.
    fn compile(text: &str) -> Result<DeclaredOperation, DeclarationError> {
        let read = |path: &Path| {
            if path == Path::new("/etc/ops/schema.json") {
                Ok(r#"{"type": "object", "maxProperties": 3}"#.to_owned())
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        };
        let variable = |name: &str| (name == "LANG").then(|| "C.UTF-8".to_owned());
        let declaration: OperationDeclaration = toml::from_str(text).expect("the form of a declaration");
        declaration.compile(Path::new("/etc/ops"), &DeclarationSource { read: &read, variable: &variable })
    }

    /// The rules that a program breaks whose declaration goes on with `keys`.
    fn broken(keys: &str) -> Vec<String> {
        let refused = compile(&format!("type = \"A\"\nrun = [\"a\"]\n{keys}"));
        refused.expect_err(keys).sentences().to_vec()
    }

    fn program(text: &str) -> ExecSettings {
        match compile(text).expect("a valid declaration").run {
            DeclaredRun::Exec(settings) => settings,
            DeclaredRun::Http(..) => panic!("the declaration runs a program"),
        }
    }

    #[test]
    fn what_a_declaration_leaves_out_has_defaults() {
        let DeclaredOperation { specification, run, .. } =
            compile("type = \"A\"\nrun = [\"a\", \"b/c\"]").unwrap();
        assert_eq!((specification.version, specification.queue.as_str()), (1, "default"));
        assert_eq!(specification.parameters, json!({"type": "object"}));
        assert_eq!(specification.result, json!({}));
        assert_eq!(
            (specification.ttl, specification.isolation),
            (TtlBounds::default(), ExecutionIsolation::Exec)
        );
        assert!(specification.defaults.is_empty() && specification.maxima.is_empty());
        let DeclaredRun::Exec(settings) = run else { panic!("the declaration runs a program") };
        let limits = ProcessLimits {
            memory_mb: None,
            processes: None,
            open_files: None,
            output_bytes: 1 << 20,
            cpu_seconds: None,
            file_mb: None,
        };
        let expected = ExecSettings {
            program: vec!["a".to_owned(), "b/c".to_owned()],
            output: OutputFormat::Json,
            grace: Duration::from_secs(1),
            grace_is_inside: false,
            limits,
            environment: [].into(),
            directory: None,
            user: None,
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn every_key_of_a_program_is_compiled() {
        let text = r#"
            type = "WORD_COUNT"
            version = 2
            description = "Counts words"
            queue = "text"
            run = ["bin/count", "bin/words"]
            output = "lines"
            parameters_file = "schema.json"
            result = { type = "array" }
            ttl = { default_ms = 5000, max_ms = 60000 }
            defaults = { max_attempts = 3, retry = { factor = 3, on = ["WORKER_LOST"] } }
            maxima = { delay_ms = 7, max_attempts = 3 }
            grace_ms = 500
            grace = "inside"
            limits = { memory_mb = 256, processes = 32, open_files = 64, output_bytes = 9, cpu_seconds = 10, file_mb = 1 }
            environment = { PATH = "/usr/bin:/bin" }
            pass_environment = ["LANG", "TZ"]
            directory = "work"
            user = "nobody"
        "#;
        let operation = compile(text).unwrap();
        assert_eq!(operation.user(), Some("nobody"));
        let specification = operation.specification();
        assert_eq!(specification.parameters["maxProperties"], json!(3));
        assert_eq!(specification.ttl.max.map(domain::Ttl::millis), Some(60_000));
        let retry = specification.defaults.retry.clone().unwrap();
        assert_eq!(retry.factor, Some(BackoffFactor::try_from(3.0).unwrap()));
        assert_eq!(retry.on, Some(vec![Reason::WorkerLost]));
        assert_eq!(specification.maxima.delay_ms, Some(7));
        let settings = program(text);
        assert_eq!(settings.program, ["/etc/ops/bin/count", "bin/words"]);
        assert_eq!((settings.grace, settings.grace_is_inside), (Duration::from_millis(500), true));
        assert_eq!((settings.limits.file_mb, settings.limits.output_bytes), (Some(1), 9));
        let variables: Vec<(&str, &str)> =
            settings.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(variables, [("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")], "TZ is not set");
        assert_eq!(settings.directory.as_deref(), Some(Path::new("/etc/ops/work")));
    }

    #[test]
    fn an_operation_runs_either_a_program_or_a_request() {
        let http = "http = { url = \"https://example.org/count\" }";
        let request = compile(&format!("type = \"A\"\n{http}")).unwrap();
        assert_eq!(request.specification.isolation, ExecutionIsolation::Http);
        let exactly_one = "an operation has exactly one of them";
        assert_eq!(broken(http), [format!("`run` and `http` are both set: {exactly_one}")]);
        let neither = compile("type = \"A\"").unwrap_err().to_string();
        assert_eq!(neither, format!("operation A: `run` or `http` must be set: {exactly_one}"));
        let keys = "grace_ms = 1\nuser = \"nobody\"\noutput = \"lines\"";
        let refused = compile(&format!("type = \"A\"\n{http}\n{keys}")).unwrap_err();
        let needs = "belongs to a program: it needs `run`, and not `http`";
        assert_eq!(
            refused.sentences(),
            [
                format!("`grace_ms` {needs}"),
                format!("`user` {needs}"),
                format!("`output = \"lines\"` {needs}")
            ]
        );
    }

    #[test]
    fn each_broken_rule_is_a_sentence_that_names_its_key() {
        for (keys, sentence) in [
            ("version = 0", "`version` must be 1 to 2147483647"),
            ("ttl = { default_ms = 2, max_ms = 1 }", "`ttl.default_ms` must be at most `ttl.max_ms`"),
            ("limits = { memory_mb = 0 }", "`limits.memory_mb` must be at least 1"),
            ("limits = { processes = 0 }", "`limits.processes` must be at least 1"),
            ("limits = { output_bytes = 8388609 }", "`limits.output_bytes` must be at most 8388608"),
            ("grace_ms = 60001", "`grace_ms` must be at most 60000"),
            (
                "grace = \"inside\"\nttl = { max_ms = 1000 }",
                "`grace_ms` must be less than `ttl.max_ms`: `grace = \"inside\"` spends it before the deadline",
            ),
            ("user = \"\"", "`user` must be the name of a user: not empty, without NUL and colons"),
            ("defaults = { max_attempts = 101 }", "`defaults.max_attempts` must be 1 to 100"),
            (
                "defaults = { priority = 5 }\nmaxima = { priority = 4 }",
                "`defaults.priority` must be at most `maxima.priority`",
            ),
            (
                "defaults = { retry = { on = [\"REQUESTED\"] } }",
                "`defaults.retry.on` may hold OPERATION_FAILED, TTL_EXPIRED, LATE_RESULT and WORKER_LOST only",
            ),
            (
                "environment = { \"A=B\" = \"\" }",
                "`environment`: \"A=B\" is no name of a variable: it must not be empty or contain `=` or NUL",
            ),
            (
                "pass_environment = [\"TASKER_TOKEN\"]",
                "`pass_environment` must not name \"TASKER_TOKEN\": variables that begin with TASKER_ are settings and \
                 tokens of Tasker",
            ),
            (
                "environment = { LANG = \"C\" }\npass_environment = [\"LANG\"]",
                "`pass_environment` must not name \"LANG\", which `environment` sets",
            ),
            (
                "result = true\nresult_file = \"r\"",
                "`result` and `result_file` are both set: keep one of them",
            ),
        ] {
            assert_eq!(broken(keys), [sentence]);
        }
        let words = |run: &str| compile(&format!("type = \"A\"\nrun = {run}")).unwrap_err().to_string();
        assert_eq!(words("[]"), "operation A: `run` must not be empty: its first word is the program");
        assert_eq!(words("[\"\"]"), "operation A: the first word of `run` must not be empty");
        assert_eq!(words(r#"["a", "b\u0000"]"#), "operation A: `run` must not contain NUL");
    }

    #[test]
    fn all_broken_rules_are_told_at_once() {
        let both = broken("version = 0\ngrace_ms = 60001");
        assert_eq!(both, ["`version` must be 1 to 2147483647", "`grace_ms` must be at most 60000"]);
    }

    #[test]
    fn a_schema_that_does_not_compile_or_cannot_be_read_is_refused() {
        let unicorn = broken("parameters = { type = \"unicorn\" }");
        assert!(
            unicorn[0].starts_with("`parameters` must be a JSON Schema that is supported: "),
            "{unicorn:?}"
        );
        let absent = broken("result_file = \"absent.json\"");
        assert!(absent[0].starts_with("`result_file` cannot be read: /etc/ops/absent.json: "), "{absent:?}");
    }
}
