//! Requests from inside a node, with the cluster's DNS.

use crate::cluster;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; 0 where there was no whole answer.
    pub status: u16,
    /// Body, or curl's message where there was no answer.
    pub body: String,
}

impl Answer {
    /// Whether there was no connection: it was refused, or nobody is at the address. A name of a Service
    /// that was deleted and made again leads to the old address for as long as DNS remembers it.
    pub fn has_no_connection(&self) -> bool {
        let said = |words| self.body.contains(words);
        let late = said("curl: (28) Connection time") || said("curl: (28) Failed to connect");
        self.status == 0 && (said("curl: (7)") || late)
    }
}

/// Between body and status in curl's output; no guest prints it.
const MARK: &str = "\n--status--";

/// GET `url` from a node, within 60 s.
pub fn get(node: u8, url: &str) -> Answer {
    request(node, &[url])
}

/// Between the answers of [`get_all`].
const NEXT: &str = "\n--next--\n";

/// GETs of all `urls` from a node, one after the other and on one connection where they lead to one
/// server: an answer for each, in their order. Paths are sent as they are written.
///
/// # Panics
/// curl cannot be started there.
pub fn get_all(node: u8, urls: &[String]) -> Vec<Answer> {
    let write_out = format!("{MARK}%{{exitcode}} %{{http_code}} %{{errormsg}}{NEXT}");
    let mut args = vec![
        "-sS",
        "--globoff",
        "--path-as-is",
        "--connect-timeout",
        "10",
    ];
    args.extend(["-m", "60", "-w", &write_out]);
    args.extend(urls.iter().map(String::as_str));
    let output = cluster().curl(Some(node), &args).expect("curl starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<Answer> = stdout.split_terminator(NEXT).map(answer).collect();
    assert_eq!(answers.len(), urls.len(), "an answer for each URL");
    answers
}

/// One answer as [`get_all`] has curl write it.
fn answer(text: &str) -> Answer {
    let (body, status) = text.rsplit_once(MARK).unwrap_or(("", text));
    let mut words = status.splitn(3, ' ');
    let (exit, code) = (words.next(), words.next());
    match (exit, code.and_then(|code| code.parse().ok())) {
        (Some("0"), Some(status)) => Answer {
            status,
            body: body.to_owned(),
        },
        _ => Answer {
            status: 0,
            body: words.next().unwrap_or_default().to_owned(),
        },
    }
}

/// curl with `args` on a node.
///
/// # Panics
/// curl cannot be started there.
pub fn request(node: u8, args: &[&str]) -> Answer {
    let write_out = format!("{MARK}%{{http_code}}");
    let common = [
        "-sS",
        "--connect-timeout",
        "10",
        "-m",
        "60",
        "-w",
        &write_out,
    ];
    let output = cluster()
        .curl(Some(node), &[&common, args].concat())
        .expect("curl starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = stdout.rsplit_once(MARK).unwrap_or((&stdout, "0"));
    // An answer that broke off is none, whatever its head said.
    let whole = output.status.success();
    let status = if whole {
        status.trim().parse().unwrap_or(0)
    } else {
        0
    };
    let body = match status {
        0 => String::from_utf8_lossy(&output.stderr).into_owned(),
        _ => body.to_owned(),
    };
    Answer { status, body }
}
