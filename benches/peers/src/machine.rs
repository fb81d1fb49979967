//! The machine of the measurement.

use std::fs;
use std::process::Command;

/// Returns the machine as lines of a Markdown list. Unknown properties are left out.
pub fn description() -> String {
    let mut text = String::new();
    let mut add = |what: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text += &format!("- {what}: {value}\n");
        }
    };
    let cores = std::thread::available_parallelism().ok().map(|cores| cores.to_string());
    add("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]));
    add("processor", field("/proc/cpuinfo", "model name"));
    add("cores to use", cores);
    add("caches", Some(caches()));
    add("memory", field("/proc/meminfo", "MemTotal"));
    add("kernel", output("uname", &["-sr"]));
    add("huge pages", read("/sys/kernel/mm/transparent_hugepage/enabled"));
    add("GLIBC_TUNABLES", std::env::var("GLIBC_TUNABLES").ok());
    add("compiler", output("rustc", &["--version"]));
    add("load when it began (1, 5, 15 minutes)", load());
    text
}

/// Returns the resident memory of this process, and its maximum.
pub fn resident() -> String {
    let field = |name| field("/proc/self/status", name).unwrap_or_else(|| "?".into());
    format!("{} (at most {})", field("VmRSS"), field("VmHWM"))
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = read(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    value.map(|(_, value)| value.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn caches() -> String {
    let cache = |at: usize| {
        let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{at}");
        let (level, size) = (read(&format!("{folder}/level"))?, read(&format!("{folder}/size"))?);
        Some(format!("L{level} {size}"))
    };
    (0..5).filter_map(cache).collect::<Vec<_>>().join(", ")
}

fn load() -> Option<String> {
    let text = read("/proc/loadavg")?;
    Some(text.split(' ').take(3).collect::<Vec<_>>().join(", "))
}
