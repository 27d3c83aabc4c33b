//! The descendants of a process, as `/proc` shows them.

use std::collections::HashMap;
use std::fs;

use rustix::process::Pid;

/// A process of `/proc`.
#[derive(Debug, Clone, Copy)]
struct ProcessEntry {
    pid: i32,
    parent: i32,
    is_zombie: bool,
}

/// The descendants of the process `root` that still run, in no order, without `root`. Zombies are left out, but not their children.
pub(crate) fn descendants_of(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<ProcessEntry>> = HashMap::new();
    for process in processes() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents = vec![root.as_raw_nonzero().get()];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            if !child.is_zombie {
                found.extend(Pid::from_raw(child.pid));
            }
        }
    }
    found
}

/// Every process of `/proc`. One that ends meanwhile may be left out.
fn processes() -> impl Iterator<Item = ProcessEntry> {
    process_ids().filter_map(|pid| parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// The id of every process of `/proc`.
pub(crate) fn process_ids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Reads `/proc/PID/stat`: the name in parentheses may contain anything, and is followed by the state and the parent.
fn parse_stat(pid: i32, stat: &[u8]) -> Option<ProcessEntry> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(&stat[name_end + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    Some(ProcessEntry { pid, parent: fields.next()?.parse().ok()?, is_zombie: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_contain_spaces_and_parentheses() {
        let process = parse_stat(7, b"7 (a) S (b c) R 42 7 7 0 -1").unwrap();
        assert_eq!((process.pid, process.parent, process.is_zombie), (7, 42, false));
        assert!(parse_stat(7, b"7 (sh) Z 1 7").unwrap().is_zombie);
        assert!(parse_stat(7, b"nonsense").is_none());
    }
}
