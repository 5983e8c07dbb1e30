//! The process that is measured: a node, told what to do on standard input.

use std::{
    io::{BufRead as _, Write as _},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use shoal_runtime::{
    AppRef, Assignment, Assignments, ComponentSpec, Limits, Node, NodeConfig, Role, State,
    StoreClasses, Variables,
};
use shoal_stores::{
    Embedded, EmbeddedBlobs, EmbeddedSql, Memory,
    embedded::{Durability, EmbeddedOptions},
    memory::MemoryOptions,
};

use crate::{FIRST_PORT, argument, code, code::Compiled, number};

/// Code that is not used for so long is unmapped.
const IDLE: Duration = Duration::from_secs(20);

/// Says one line for each that it reads.
pub fn run() {
    shoal_runtime::process::set_up();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(serve());
}

async fn serve() {
    let folder = PathBuf::from(argument("--node").unwrap());
    let apps = number("--apps").unwrap();
    // Of both processes: what the first keeps, the second takes.
    let source = Arc::new(Compiled::hello(&[7; 32]));
    let node = start(&folder, Arc::clone(&source));
    say("started");
    for line in std::io::stdin().lock().lines() {
        let began = Instant::now();
        match line.unwrap().as_str() {
            "serve" => ready(&node, &source, apps).await,
            "serve-kept" => {
                source.away.store(true, Ordering::SeqCst);
                ready(&node, &source, apps).await;
            }
            "unmap" => until_unmapped(&node).await,
            "scrape" => {
                let text = node.metrics();
                say(&text.len().to_string());
                continue;
            }
            other => panic!("{other}"),
        }
        say(&began.elapsed().as_millis().to_string());
    }
    node.shutdown(Duration::from_secs(1)).await;
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").unwrap();
    output.flush().unwrap();
}

fn start(folder: &std::path::Path, source: Arc<Compiled>) -> Node {
    let mut config = NodeConfig::new(folder.to_owned()).unwrap();
    config.code_idle = IDLE;
    eprintln!("code of {} bytes", source.bytes());
    let part = |name: &str| {
        let part = folder.join(name);
        std::fs::create_dir_all(&part).unwrap();
        part
    };
    let embedded = Embedded::open(&part("kv"), EmbeddedOptions::default()).unwrap();
    let sql = EmbeddedSql::open(&part("sql"), Durability::Relaxed).unwrap();
    let blobs = EmbeddedBlobs::open(&part("blobs"), Durability::Relaxed).unwrap();
    let stores = StoreClasses::new(
        Arc::new(embedded),
        Arc::new(Memory::new(MemoryOptions::default())),
        Arc::new(sql),
        Arc::new(blobs),
    );
    Node::start(config, source, stores).unwrap()
}

/// Serves them all; returns when each is ready.
async fn ready(node: &Node, source: &Compiled, apps: usize) {
    let mut reports = node.reports();
    node.apply(Assignments {
        code_keys: vec![source.public_key()],
        ..Assignments::all((0..apps).map(app).collect::<Vec<_>>())
    });
    let mut ready = std::collections::HashSet::new();
    while ready.len() < apps {
        for report in reports.changed().await.reports {
            if report.state == State::Ready {
                ready.insert(report.app);
            } else {
                let (app, message) = (&report.app, &report.message);
                assert!(message.is_empty(), "{app}: {message}");
            }
        }
    }
}

fn app(index: usize) -> Assignment {
    let name = format!("app-{index}");
    Assignment {
        app: AppRef {
            namespace: format!("team-{}", index % 100),
            name: name.clone(),
            uid: format!("00000000-0000-0000-0000-{index:012}"),
        },
        revision: format!("{index:016x}"),
        generation: format!("{index:016x}"),
        port: FIRST_PORT + u16::try_from(index).unwrap(),
        listen_address: None,
        components: vec![ComponentSpec {
            name,
            digest: code::digest(index),
            routes: vec!["/...".parse().unwrap()],
            env: Vec::new(),
            variables: Variables::default(),
            stores: Vec::new(),
        }],
        limits: Limits::default(),
        role: Role::Serve,
    }
}

async fn until_unmapped(node: &Node) {
    let nothing = "shoal_runtime_budget{resource=\"code_descriptors\",what=\"used\"} 0\n";
    while !node.metrics().contains(nothing) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
