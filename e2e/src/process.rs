//! Processes of pods, as the machine that carries the local cluster sees them.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// SIGKILLs the process of this program in the pod with this UID.
///
/// # Panics
/// There is not exactly one.
pub fn kill_process_of_pod(pod_uid: &str, program: &str) {
    let of_pod: Vec<i32> = fs::read_dir("/proc")
        .expect("a Linux machine")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is(*pid, pod_uid, program))
        .collect();
    let [pid] = of_pod[..] else {
        panic!("processes of {program} in pod {pod_uid}: {of_pod:?}");
    };
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the process can be killed");
}

/// Control groups carry the pod's UID in their path, with `_` for `-` under the systemd driver.
fn is(pid: i32, pod_uid: &str, program: &str) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let groups = read("cgroup").replace('_', "-");
    groups.contains(pod_uid) && read("comm").trim() == program
}
