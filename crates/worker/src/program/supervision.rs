//! How a worker has its programs supervised.

use std::sync::OnceLock;

use supervisor::{MeansPreference, StopMeans, SupervisorProgram, remove_leftovers};
use tracing::{info, warn};

/// The program that is started as a supervisor, and the means by which it kills. They are found when the first worker of the process starts.
#[derive(Debug)]
pub(crate) struct Supervision {
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
    pub(crate) fn new(program: SupervisorProgram, preference: MeansPreference) -> Self {
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
            if means.has_cgroup() || means.has_namespace() {
                info!("programs are stopped by: {means}");
            } else {
                warn!("programs are stopped by: {means}; this host allows neither control groups nor PID namespaces, so a program that leaves its parent and clears its environment survives if both its supervisor and its init process are killed");
            }
            means
        })
    }
}
