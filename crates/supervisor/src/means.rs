//! By what means the descendants of a program can be killed on this host.

use std::fmt;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::role_names;
use crate::supervisor_program::SupervisorProgram;
use crate::worker_cgroup::{WorkerCgroup, own_cgroup};

/// Which means may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeansPreference {
    /// All that the host allows.
    #[default]
    Auto,
    /// Control groups, without PID namespaces.
    Cgroup,
    /// PID namespaces, without control groups.
    Namespace,
    /// Neither.
    Subreaper,
}

/// By what means the descendants of a program are killed. The child subreaper always is one: orphans are adopted by the supervisor, which
/// stops and kills its descendants until none is left.
#[derive(Debug)]
pub struct StopMeans {
    /// The control group below which each attempt has one of its own (version 2, `cgroup.kill`). It is removed with this.
    pub(crate) cgroup: Option<WorkerCgroup>,
    /// Whether each attempt has a PID namespace, with which the kernel ends all its processes.
    pub(crate) has_namespace: bool,
}

impl StopMeans {
    /// Finds out what this host allows of what `preference` asks for. Creates a control group, and starts processes
    /// of `supervisor` to try it and a namespace.
    pub fn find(supervisor: &SupervisorProgram, preference: MeansPreference) -> Self {
        let (wants_cgroup, wants_namespace) = match preference {
            MeansPreference::Auto => (true, true),
            MeansPreference::Cgroup => (true, false),
            MeansPreference::Namespace => (false, true),
            MeansPreference::Subreaper => (false, false),
        };
        Self {
            cgroup: wants_cgroup.then(|| WorkerCgroup::create(&own_cgroup()?, supervisor)).flatten(),
            has_namespace: wants_namespace && is_namespace_allowed(supervisor),
        }
    }

    /// Whether each attempt has a control group.
    pub fn has_cgroup(&self) -> bool {
        self.cgroup.is_some()
    }

    /// Whether each attempt has a PID namespace.
    pub fn has_namespace(&self) -> bool {
        self.has_namespace
    }

    /// Whether no program can leave the processes that are killed, even if its supervisor and its init process were killed.
    pub fn contains_programs(&self) -> bool {
        self.has_cgroup() || self.has_namespace
    }
}

impl fmt::Display for StopMeans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cgroup = self.has_cgroup().then_some("control group");
        let namespace = self.has_namespace.then_some("PID namespace");
        let means: Vec<&str> = [cgroup, namespace, Some("child subreaper")].into_iter().flatten().collect();
        f.write_str(&means.join(", "))
    }
}

/// Whether the children of a process of this user can have a PID namespace of their own.
fn is_namespace_allowed(supervisor: &SupervisorProgram) -> bool {
    let trial = Command::new(supervisor.path()).arg(role_names::NAMESPACE_TRIAL).status();
    trial.is_ok_and(|status| status.success())
}
