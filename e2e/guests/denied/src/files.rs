use guest_http::wasip2::filesystem::preopens::get_directories;

pub fn preopens() -> String {
    let directories = get_directories();
    let names: Vec<_> = directories.into_iter().map(|(_, name)| name).collect();
    match names[..] {
        [] => "none".to_owned(),
        _ => names.join(","),
    }
}

pub fn read_root() -> String {
    outcome(std::fs::read_dir("/"))
}

pub fn write_file() -> String {
    outcome(std::fs::write("/written-by-a-guest", "x"))
}

/// How an attempt of the standard library ended: in words, for it has no WIT names.
fn outcome<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "allowed".to_owned(),
        Err(error) => error.to_string(),
    }
}
