//! Runs a program for one task: what it is told, what it prints, how it ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use domain::RawJson;
use supervisor::{
    BootInstant, EndReason, Ended, Grace, Limits, ProcessEvent, ProgramToRun, SupervisedProcess,
};

use crate::declared::exec_settings::ExecSettings;
use crate::output_format::OutputFormat;
use crate::program::line_protocol::ProgramLine;
use crate::program::program_failure::failure_of;
use crate::program::supervision::Supervision;
use crate::sdk::context::Context;
use crate::sdk::operation::Failure;

/// The variable that tells a program the id of its task.
pub(crate) const TASK_ID: &str = "TASKER_TASK_ID";
/// The variable that tells a program the number of its attempt.
pub(crate) const ATTEMPT: &str = "TASKER_ATTEMPT";
/// The variable that tells a program how many milliseconds it has.
pub(crate) const DEADLINE_MS: &str = "TASKER_DEADLINE_MS";
/// The variable that tells a program the trace that its task belongs to (W3C Trace Context).
pub(crate) const TRACE: &str = "TRACEPARENT";

/// A program that runs the tasks of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramOperation {
    /// The program and its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its environment, without the variables of the task.
    pub(crate) environment: BTreeMap<String, String>,
    /// Its working directory; `None`: a new one for each attempt.
    pub(crate) directory: Option<PathBuf>,
    /// The user to run as; `None`: that of the worker.
    pub(crate) user: Option<String>,
    /// The time between SIGTERM and SIGKILL.
    pub(crate) grace: Grace,
    /// The most that it may use.
    pub(crate) limits: Limits,
    /// How its output becomes a result.
    pub(crate) output: OutputFormat,
}

/// What a program that prints lines has said so far of its end.
type LineEnd = Option<Result<RawJson, Failure>>;

impl ProgramOperation {
    /// How long after a deadline or a stop its processes may still be there.
    pub(crate) const fn grace(&self) -> Duration {
        self.grace.duration
    }

    /// Runs the program with `parameters` as its input. When the task must stop, this returns once no process of the program is left.
    pub(crate) async fn run(
        &self,
        supervision: &Supervision,
        parameters: &RawJson,
        context: &Context,
    ) -> Result<RawJson, Failure> {
        let program = self.program_to_run(parameters, context);
        let started = SupervisedProcess::start(supervision.program(), supervision.means(), program).await;
        let mut process =
            started.map_err(|error| Failure::new(format!("no supervisor can be started: {error}")))?;
        let (mut line_end, mut is_stopped) = (None, false);
        loop {
            let event = tokio::select! {
                event = process.next_event() => event,
                () = context.stopped(), if !is_stopped => {
                    is_stopped = true;
                    process.stop().await;
                    continue;
                }
            };
            match event {
                ProcessEvent::Line(line) => read_line(&line, &mut line_end, context),
                ProcessEvent::Ended(ended) => {
                    if ended.reason == EndReason::DeadlinePassed {
                        // With a grace before the deadline it is some time until then, when the Backend ends the task.
                        context.stopped().await;
                    }
                    return self.result_of(ended, line_end, context);
                }
            }
        }
    }

    fn program_to_run(&self, parameters: &RawJson, context: &Context) -> ProgramToRun {
        let remaining = context.remaining();
        let mut environment = self.environment.clone();
        let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
        set(TASK_ID, context.task().to_string());
        set(ATTEMPT, context.attempt().to_string());
        set(DEADLINE_MS, remaining.as_millis().to_string());
        if let Some(trace) = context.trace() {
            set(TRACE, trace.to_string());
        }
        ProgramToRun {
            arguments: self.arguments.clone(),
            input: parameters.text().to_owned(),
            environment,
            directory: self.directory.clone(),
            user: self.user.clone(),
            deadline: BootInstant::now().plus(remaining),
            grace: self.grace,
            limits: self.limits,
            sends_lines: self.output == OutputFormat::Lines,
        }
    }

    fn result_of(&self, ended: Ended, mut line_end: LineEnd, context: &Context) -> Result<RawJson, Failure> {
        if let Some(failure) = failure_of(&ended) {
            // A program that says why it fails does so with a line and any exit code.
            return match line_end {
                Some(Err(said)) if ended.is_confirmed => Err(said),
                _ => Err(failure),
            };
        }
        let Some(output) = ended.output else {
            return Err(Failure::new("the output of the program is not UTF-8").permanent());
        };
        match self.output {
            OutputFormat::Json if output.trim().is_empty() => Ok(RawJson::parse("null".to_owned())?),
            OutputFormat::Json => RawJson::parse(output.trim().to_owned()).map_err(|error| {
                Failure::new(format!("the output of the program is not one JSON document: {error}"))
                    .permanent()
            }),
            OutputFormat::Text => Ok(RawJson::of(&output)?),
            OutputFormat::Lines => {
                if !output.is_empty() {
                    read_line(&output, &mut line_end, context);
                }
                line_end.unwrap_or_else(|| {
                    Err(Failure::new("the program ended without a result line").permanent())
                })
            }
        }
    }
}

/// Reads a line of a program that prints lines. What follows a result or a failure does not count.
fn read_line(line: &str, end: &mut LineEnd, context: &Context) {
    if end.is_some() || line.trim().is_empty() {
        return;
    }
    match serde_json::from_str(line) {
        Ok(ProgramLine::Progress(progress)) => context.progress(progress.percent, &progress.message),
        Ok(ProgramLine::Result(result)) => *end = Some(Ok(result)),
        Ok(ProgramLine::Failure(failure)) => *end = Some(Err(failure.into())),
        Err(error) => {
            let failure =
                format!("the program printed a line that is none of progress, result and failure: {error}");
            *end = Some(Err(Failure::new(failure).permanent()));
        }
    }
}

impl From<ExecSettings> for ProgramOperation {
    fn from(settings: ExecSettings) -> Self {
        let ExecSettings { program, output, grace, grace_is_inside, limits, environment, directory, user } =
            settings;
        let in_bytes = |mebibytes: Option<u64>| mebibytes.map(|mebibytes| mebibytes << 20);
        Self {
            arguments: program,
            environment,
            directory,
            user,
            grace: Grace { duration: grace, is_before_deadline: grace_is_inside },
            limits: Limits {
                memory_bytes: in_bytes(limits.memory_mb),
                processes: limits.processes,
                open_files: limits.open_files,
                output_bytes: limits.output_bytes,
                cpu_seconds: limits.cpu_seconds,
                file_bytes: in_bytes(limits.file_mb),
            },
            output,
        }
    }
}
