//! What a figure is worth depends on where it was measured: the machine, in one paragraph.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process;

/// Processor, cores, memory, kernel and file system of `data`, as far as they can be found out.
pub(crate) fn describe(data: &Path) -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or_else(|| "unknown memory".into(), |kib| format!("{:.0} GB", kib * 1024.0 / 1e9));
    let kernel = output(Command::new("uname").arg("-sr")).unwrap_or_else(|| "unknown kernel".into());
    let files = output(Command::new("stat").args(["-f", "-c", "%T"]).arg(data))
        .unwrap_or_else(|| "unknown file system".into());
    let cores = process::all_cores();
    format!("cores {cores} of {cpu}, {memory}, {kernel}, data on {files}")
}

/// The date in UTC.
pub(crate) fn date() -> String {
    output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])).unwrap_or_default()
}

/// How much else the machine had to do: the load averages.
pub(crate) fn load() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split_whitespace().take(2).collect::<Vec<_>>().join(" / ")
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
