//! The limits that the kernel keeps for each process (setrlimit(2)).

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::launch::Limits;

/// Sets the limits of this process, which its children inherit. No process writes a core file.
pub(crate) fn apply(limits: &Limits) -> io::Result<()> {
    set(Resource::Core, Some(0))?;
    set(Resource::Nofile, limits.open_files)?;
    set(Resource::Fsize, limits.file_bytes)?;
    set(Resource::Cpu, limits.cpu_seconds)
}

fn set(resource: Resource, most: Option<u64>) -> io::Result<()> {
    let Some(most) = most else { return Ok(()) };
    let now = getrlimit(resource);
    let most = now.maximum.map_or(most, |allowed| most.min(allowed));
    // SIGXCPU comes at the lower limit of processor time, SIGKILL at the upper one.
    let upper = if matches!(resource, Resource::Cpu) { most.saturating_add(1) } else { most };
    let upper = now.maximum.map_or(upper, |allowed| upper.min(allowed));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(upper) })?)
}
