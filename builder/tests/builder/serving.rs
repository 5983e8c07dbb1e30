//! The program itself, on its local socket.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use shoal_engine::Verifier;
use shoal_protocol::v1::{
    self, build_response::Outcome, builder_client::BuilderClient, code_chunk::Part,
    code_client::CodeClient,
};
use tonic::transport::{Channel, Endpoint};

use crate::{host, images::component, waiting::until};

struct Program {
    process: Child,
    socket: PathBuf,
}

impl Program {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("run/builder.sock");
        let process = Command::new(env!("CARGO_BIN_EXE_shoal-builder"))
            .arg("--local-socket")
            .arg(&socket)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .spawn()
            .unwrap();
        Self { process, socket }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("unix://{}", self.socket.display())).unwrap();
        until("the socket", async || endpoint.connect().await.ok()).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn source(path: &Path) -> Option<v1::ImageSource> {
    let image = format!("file:{}", path.display());
    Some(v1::ImageSource {
        image,
        ..v1::ImageSource::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_file_is_resolved_built_and_fetched_over_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("a.wasm");
    std::fs::write(&wasm, component("a", &[])).unwrap();
    let program = Program::start(folder.path());
    let channel = program.channel().await;
    let mode = program.socket.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut builder = BuilderClient::new(channel.clone());
    let resolved = builder
        .resolve(v1::ResolveRequest {
            source: source(&wasm),
        })
        .await
        .unwrap();
    let digest = resolved.into_inner().digest;
    let engine_keys = vec![
        host().to_string(),
        "wasmtime-1.0.0/of/another/version".into(),
    ];
    let request = v1::BuildRequest {
        source: source(&wasm),
        digest,
        engine_keys,
    };
    let built = builder.build(request).await.unwrap().into_inner();
    let Some(Outcome::Description(description)) = built.outcome else {
        panic!("{built:?}")
    };
    let component = &description.components[0];
    assert_eq!(built.engine_keys, [host().to_string()]);

    let request = v1::FetchRequest {
        digest: component.digest.clone(),
        engine_key: host().to_string(),
    };
    let mut chunks = CodeClient::new(channel)
        .fetch(request)
        .await
        .unwrap()
        .into_inner();
    let Some(Part::Header(header)) = chunks.message().await.unwrap().unwrap().part else {
        panic!()
    };
    let mut code = Vec::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        let Some(Part::Data(data)) = chunk.part else {
            panic!()
        };
        assert!(data.len() <= 1 << 20);
        code.extend(data);
    }
    assert_eq!(code.len() as u64, header.size);
    let keys = builder
        .code_keys(v1::CodeKeysRequest {})
        .await
        .unwrap()
        .into_inner()
        .keys;
    Verifier::new(keys.into_iter().map(Vec::from).collect(), host())
        .verify(&component.digest, &code, &header.signature)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_wrong_requests_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let channel = program.channel().await;
    let mut builder = BuilderClient::new(channel.clone());
    let missing = source(&folder.path().join("none.wasm"));
    let response = builder
        .resolve(v1::ResolveRequest {
            source: missing.clone(),
        })
        .await
        .unwrap();
    let refusal = response.into_inner().refusal.unwrap();
    assert_eq!(refusal.reason, "ImageNotFound");
    assert!(refusal.message.contains("none.wasm"));

    let digest = shoal_artifact::Digest::of(b"nothing").to_string();
    let build = |digest: &str, engine: &str| v1::BuildRequest {
        source: missing.clone(),
        digest: digest.into(),
        engine_keys: vec![engine.into()],
    };
    let code = builder
        .build(build("../x", &host().to_string()))
        .await
        .unwrap_err()
        .code();
    assert_eq!(code, tonic::Code::InvalidArgument);
    let code = builder
        .build(build(&digest, "other"))
        .await
        .unwrap_err()
        .code();
    assert_eq!(code, tonic::Code::FailedPrecondition);
    let request = v1::FetchRequest {
        digest,
        engine_key: host().to_string(),
    };
    let code = CodeClient::new(channel)
        .fetch(request)
        .await
        .unwrap_err()
        .code();
    assert_eq!(code, tonic::Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_others_can_enter_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("run");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut program = Program::start(folder.path());
    let ended = until("the program's end", async || {
        program.process.try_wait().unwrap()
    })
    .await;
    assert_eq!(ended.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_ends_when_asked_and_when_its_parent_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path());
    program.channel().await;
    let pid = nix::unistd::Pid::from_raw(program.process.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = until("the program's end", async || {
        program.process.try_wait().unwrap()
    })
    .await;
    assert_eq!(ended.code(), Some(0));
    assert!(!program.socket.exists());

    // A shell that starts it and ends leaves it without its parent.
    let script = format!(
        "'{}' --local-socket '{}' --data-dir '{}' & echo $!; while ! test -S '{1}'; do sleep 0.05; done",
        env!("CARGO_BIN_EXE_shoal-builder"),
        program.socket.display(),
        folder.path().join("data").display(),
    );
    let shell = tokio::task::spawn_blocking(move || {
        Command::new("sh")
            .args(["-c", &script])
            .stderr(std::process::Stdio::null())
            .output()
            .unwrap()
    });
    let output = tokio::time::timeout(Duration::from_secs(180), shell)
        .await
        .unwrap()
        .unwrap();
    let pid = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let gone = || (!Path::new("/proc").join(&pid).join("exe").exists()).then_some(());
    until("the orphan's end", async || gone()).await;
}
