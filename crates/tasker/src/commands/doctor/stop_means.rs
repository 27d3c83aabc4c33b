//! By what means this host lets a worker stop programs.

use worker::{StopMeans, SupervisorProgram};

use crate::commands::doctor::finding::{Finding, Verdict};
use crate::config::environment::Environment;
use crate::config::sections;
use crate::services::worker_operations;

/// What is checked.
const SUBJECT: &str = "stopping programs";

/// Tries the means that a worker with these settings would use on this host, as this user. `None` if it runs no program.
pub fn check(section: &sections::Worker, environment: &Environment) -> Option<Finding> {
    // Invalid declarations are a finding of the settings.
    let declared = worker_operations::declared(section, environment).ok()?;
    declared.iter().find(|operation| operation.program().is_some())?;
    let means = StopMeans::find(&SupervisorProgram::own(), section.stop_means);
    let finding = if means.contains_programs() {
        Finding::new(SUBJECT, Verdict::Ok, format!("by {means}"))
    } else {
        let message = format!(
            "by {means} only: neither control groups nor PID namespaces; a hostile program can escape by killing its supervisor, so run none that you do not trust"
        );
        Finding::new(SUBJECT, Verdict::Warn, message)
    };
    Some(finding)
}
