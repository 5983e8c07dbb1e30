//! What a confined process can and cannot do, tried by one.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    process::Command,
};

use shoal_builder::compile::sandbox::{Limits, enter};

/// Set for the process that tries.
const PROBE: &str = "SHOAL_SANDBOX_PROBE";

/// Tries, in a process of its own: this test does nothing where nobody asked it to.
#[test]
fn probe() {
    let Ok(arguments) = std::env::var(PROBE) else {
        return;
    };
    let (port, key) = arguments.split_once(' ').unwrap();
    let open_before = File::open(key).unwrap();
    enter(&Limits {
        cpu_seconds: 10,
        memory_bytes: 4 << 30,
    })
    .unwrap();
    let attempts = [
        ("read a file", File::open("/etc/passwd").is_ok()),
        ("read the key", fs::read(key).is_ok()),
        ("list a folder", fs::read_dir("/").is_ok()),
        (
            "write a file",
            fs::write("/tmp/shoal-sandbox-probe", "").is_ok(),
        ),
        (
            "open an open file again",
            File::open(format!("/proc/self/fd/{}", fd(&open_before))).is_ok(),
        ),
        ("read another process", fs::read("/proc/1/environ").is_ok()),
        (
            "connect",
            TcpStream::connect(format!("127.0.0.1:{port}")).is_ok(),
        ),
        ("bind", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("make a socket pair", UnixStream::pair().is_ok()),
        ("start a process", Command::new("/bin/true").spawn().is_ok()),
        ("fork", fork()),
        (
            "signal its parent",
            nix::sys::signal::kill(nix::unistd::getppid(), None).is_ok(),
        ),
        ("make memory executable", executable()),
        ("lift a limit", lift_limit()),
    ];
    let done: Vec<&str> = attempts
        .iter()
        .filter(|(_, done)| *done)
        .map(|(what, _)| *what)
        .collect();
    let work = std::thread::spawn(|| vec![1_u8; 64 << 20].len())
        .join()
        .unwrap();
    println!("PROBED {work} {done:?}");
    std::process::exit(0);
}

fn fd(file: &File) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(file)
}

#[expect(unsafe_code, reason = "tries what the sandbox must refuse")]
fn fork() -> bool {
    // SAFETY: where it is not refused, the new process ends at once.
    match unsafe { libc::fork() } {
        // SAFETY: ends the process and touches nothing.
        0 => unsafe { libc::_exit(0) },
        process => process > 0,
    }
}

#[expect(unsafe_code, reason = "tries what the sandbox must refuse")]
fn executable() -> bool {
    let (prot, flags) = (
        libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: an anonymous mapping at an address that the kernel chooses.
    unsafe { libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0) != libc::MAP_FAILED }
}

fn lift_limit() -> bool {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_FSIZE, 1 << 20, 1 << 20).is_ok()
}

#[test]
fn a_confined_process_reaches_no_file_network_or_process_and_still_computes() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("signing-key");
    fs::write(&key, "secret").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::probe", "--nocapture"])
        .env(PROBE, format!("{port} {}", key.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("PROBED 67108864 []"), "{output:?}");
}
