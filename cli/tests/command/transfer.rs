//! `shoal stores export` and `import` with a server that cuts answers, as an API server does after a minute.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};

use crate::{shoal, stderr, stdout};

/// One request: method and path, and its body.
type Asked = (String, String);
/// Status and body; a body without end is cut.
type Answer = (u16, String, bool);

/// A server that answers as it is told, and what it was asked.
struct Server {
    asked: Arc<Mutex<Vec<Asked>>>,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let address = listener.local_addr().unwrap();
        let config = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, \
             clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}], \
             users: [{{name: c, user: {{}}}}], \
             contexts: [{{name: c, context: {{cluster: c, user: c, namespace: shop}}}}]}}"
        );
        fs::write(folder.path().join("kubeconfig"), config).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let request = take(&stream);
                seen.lock().unwrap().push(request);
                give(stream, &answer);
            }
        });
        Self { asked, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = shoal();
        command.arg("stores").args(args);
        command.env("KUBECONFIG", self.file("kubeconfig"));
        command.output().unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn take(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    reader.read_line(&mut head).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = head.trim_end().trim_end_matches(" HTTP/1.1");
    (request.to_owned(), String::from_utf8(body).unwrap())
}

fn give(mut stream: TcpStream, (status, body, whole): &Answer) {
    let length = body.len() + usize::from(!whole);
    let head =
        format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
}

fn entry(key: &str) -> String {
    format!("{{\"key\":\"{key}\",\"value\":\"MQ==\"}}\n")
}

fn status(code: u16, message: &str) -> String {
    format!(
        "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\
         \"reason\":\"x\",\"code\":{code},\"message\":\"{message}\"}}"
    )
}

const EXPORT: &str =
    "GET /apis/runtime.shoal.dev/v1alpha1/namespaces/shop/stores/hello%2Ddefault/export";

#[test]
fn an_export_is_whole_however_many_answers_it_takes() {
    let whole = |text: String| (200, text, true);
    let server = Server::start(vec![
        whole(entry("a") + "{\"keys\":1,\"next\":\"a\"}\n"),
        (200, entry("b") + "{\"key\":\"c", false),
        (503, status(503, "busy"), true),
        whole(entry("c") + "{\"keys\":1}\n"),
    ]);
    let file = server.file("out.jsonl");
    let output = server.run(&["export", "hello-default", "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        entry("a") + &entry("b") + &entry("c") + "{\"keys\":3}\n"
    );
    assert!(!server.file("out.jsonl.part").exists());
    let asked: Vec<String> = server
        .asked()
        .into_iter()
        .map(|(request, _)| request)
        .collect();
    let after = |key: &str| format!("{EXPORT}?after={key}");
    assert_eq!(
        asked,
        [EXPORT.to_owned(), after("a"), after("b"), after("b")]
    );
}

#[test]
fn an_export_that_is_refused_leaves_no_file() {
    let server = Server::start(vec![(
        403,
        status(403, "ada cannot get stores/export"),
        true,
    )]);
    let file = server.file("out.jsonl");
    let output = server.run(&["export", "hello-default", "-o", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("ada cannot get"),
        "{}",
        stderr(&output)
    );
    assert!(!file.exists());
    assert_eq!(stdout(&output), "");
}

#[test]
fn a_cluster_without_the_api_says_so() {
    let missing = status(404, "the server could not find the requested resource");
    let server = Server::start(vec![(404, missing, true)]);
    let output = server.run(&["orphans"]);
    let said = stderr(&output);
    assert!(
        said.contains("runtime.shoal.dev, which is optional"),
        "{said}"
    );
}

#[test]
fn an_import_asks_whether_the_store_is_empty_and_sends_again_what_may_pass() {
    let done = |keys: u32| (200, format!("{{\"keys\":{keys}}}"), true);
    let server = Server::start(vec![done(0), (503, status(503, "busy"), true), done(2)]);
    let file = server.file("in.jsonl");
    let entries = entry("a") + &entry("b");
    fs::write(&file, entries.clone() + "{\"keys\":2}\n").unwrap();
    let output = server.run(&["import", "hello-default", "-f", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let import = EXPORT.replace("GET", "POST").replace("export", "import");
    let first = (
        format!("{import}?overwrite=false"),
        "{\"keys\":0}\n".to_owned(),
    );
    let again = (
        format!("{import}?overwrite=true"),
        entries + "{\"keys\":2}\n",
    );
    assert_eq!(server.asked(), [first, again.clone(), again]);
}
