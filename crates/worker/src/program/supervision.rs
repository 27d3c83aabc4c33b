//! How a worker has its programs supervised.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use domain::StopMeansKind;
use supervisor::{MeansPreference, StopMeans, SupervisorProgram, remove_leftovers};
use tracing::{info, warn};

/// The program that is started as a supervisor, and the means by which it kills. They are found when the first worker of the process starts.
#[derive(Debug)]
pub struct Supervision {
    program: SupervisorProgram,
    preference: MeansPreference,
    means: OnceLock<StopMeans>,
}

impl Default for Supervision {
    fn default() -> Self {
        Self::new(SupervisorProgram::own(), MeansPreference::default())
    }
}

impl Supervision {
    /// Supervisors are processes of `program` and use the means of `preference`.
    pub fn new(program: SupervisorProgram, preference: MeansPreference) -> Self {
        Self { program, preference, means: OnceLock::new() }
    }

    /// The program that is started as a supervisor.
    pub(crate) const fn program(&self) -> &SupervisorProgram {
        &self.program
    }

    /// By what means this host lets a supervisor kill. Found at the first call, which starts processes, and removes what killed workers
    /// have left.
    pub(crate) fn means(&self) -> &StopMeans {
        self.means.get_or_init(|| {
            let left = remove_leftovers();
            if left > 0 {
                warn!("killed workers have left {left} directories and control groups: what still ran is killed, and they are removed");
            }
            let means = StopMeans::find(&self.program, self.preference);
            if means.contains_programs() {
                info!("programs are stopped by: {means}");
            } else {
                warn!("programs are stopped by: {means}; without control groups and PID namespaces a program that leaves its parent and clears its environment survives if both its supervisor and its init process are killed");
            }
            means
        })
    }

    /// The same means, as heartbeats name them.
    pub(crate) fn kinds(&self) -> BTreeSet<StopMeansKind> {
        let means = self.means();
        let cgroup = means.has_cgroup().then_some(StopMeansKind::Cgroup);
        let namespace = means.has_namespace().then_some(StopMeansKind::Namespace);
        [cgroup, namespace, Some(StopMeansKind::Subreaper)].into_iter().flatten().collect()
    }
}
