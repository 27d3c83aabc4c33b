//! The process that listens on a port, from Linux's `/proc`: for the error of an address that is in use.
//!
//! Read here, and not with the crate `procfs`, which does not build on other systems.

use std::fs;
use std::path::Path;

/// The state LISTEN in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The process that listens on `port`, such as `process 123 (tasker up)`; `None` if it is not known, for instance because another
/// user runs it. Of the arguments only the command of a Tasker is shown: others may hold secrets.
pub fn describe(port: u16) -> Option<String> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_sockets(&table, port))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let process = processes.filter(|path| path.join("fd").exists()).find(|path| has_open(path, &sockets))?;
    let id = process.file_name()?.to_str()?;
    let program = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let arguments = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
    let command = arguments.split('\0').nth(1).filter(|_| program.trim() == env!("CARGO_BIN_NAME"));
    let shown = [Some(program.trim()), command].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(format!("process {id} ({shown})"))
}

/// The links in `/proc/ID/fd` of the sockets that listen on `port`, from the text of `/proc/net/tcp`.
fn listening_sockets(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    let inode = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_it = columns.get(1)?.ends_with(&port) && *columns.get(3)? == LISTEN;
        is_it.then(|| columns.get(9).map(|inode| format!("socket:[{inode}]")))?
    };
    table.lines().filter_map(inode).collect()
}

/// Whether one of the open files of the process at `path` is one of `sockets`.
fn has_open(path: &Path, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(path.join("fd")) else { return false };
    let targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    targets.into_iter().any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}
