//! The image that all parts run from: their programs, the shared libraries that these need, CA
//! certificates. Made without Docker, the same bytes from the same programs.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, ensure};
use shoal_cluster::OciImage;

use crate::binaries::{self, Profile};
use crate::step::step;
use crate::{process, workspace};

/// Name of the image in `manifests/install.yaml`.
pub const NAME: &str = "shoal.dev/shoal";

/// Who all parts run as.
const USER: &str = "65532:65532";

/// Where a machine keeps the certificate authorities that it trusts: Debian's place, then others'.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Files that are the same in every image. Without nsswitch.conf glibc asks DNS before /etc/hosts.
const FIXED: [(&str, &str); 3] = [
    (
        "/etc/passwd",
        "root:x:0:0:root:/:/sbin/nologin\nshoal:x:65532:65532:shoal:/:/sbin/nologin\n",
    ),
    ("/etc/group", "root:x:0:\nshoal:x:65532:\n"),
    ("/etc/nsswitch.conf", "hosts: files dns\n"),
];

/// Build Shoal's image as an OCI archive; prints its reference and its file.
///
/// `kind load image-archive FILE` and `ctr -n k8s.io images import FILE` read it.
#[derive(clap::Args)]
pub struct Arguments {
    /// As for real clusters: optimised. Takes minutes longer to compile.
    #[arg(long)]
    release: bool,
}

/// An image in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `shoal.dev/shoal:<hash of what is in it>`.
    pub reference: String,
    /// OCI archive.
    pub archive: PathBuf,
}

/// `cargo xtask image`.
///
/// # Errors
/// The programs do not build, or the image cannot be written.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let image = make(Profile::of(arguments.release))?;
    println!("{}\n{}", image.reference, image.archive.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds the programs and the image; what has not changed is not made again.
///
/// # Errors
/// As [`run`].
pub fn make(profile: Profile) -> Result<Image> {
    let programs = binaries::parts(profile)?;
    let folder = folder(profile);
    step("Make the image", |step| {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let inputs = fingerprint(&programs)?;
        if let Some(image) = made_before(&folder, &inputs) {
            step.say(format!("{}, unchanged", image.reference));
            return Ok(image);
        }
        let image = write(&programs, &folder)?;
        let size = std::fs::metadata(&image.archive).map_or(0, |data| data.len());
        step.say(format!("{}, {} MiB", image.reference, size >> 20));
        let stamp = format!("{}\n{inputs}", image.reference);
        std::fs::write(folder.join("stamp"), stamp).context("cannot write the image's stamp")?;
        Ok(image)
    })
}

/// The programs as they are in the image, once it was made.
pub fn programs(profile: Profile) -> Vec<PathBuf> {
    binaries::in_image()
        .map(|program| folder(profile).join("bin").join(program.name))
        .collect()
}

fn folder(profile: Profile) -> PathBuf {
    workspace::target().join(profile.folder()).join("image")
}

fn write(programs: &[PathBuf], folder: &Path) -> Result<Image> {
    let stripped = stripped(programs, &folder.join("bin"))?;
    let fixed = fixed(&folder.join("root"))?;
    let archive = folder.join("shoal.tar");
    // The digest is of what is in the image, not of its name, which is to hold it.
    let digest = image(NAME, &stripped, &fixed)?.write(&archive)?;
    let tag: String = digest
        .trim_start_matches("sha256:")
        .chars()
        .take(12)
        .collect();
    let reference = format!("{NAME}:{tag}");
    image(&reference, &stripped, &fixed)?.write(&archive)?;
    Ok(Image { reference, archive })
}

fn image(name: &str, programs: &[PathBuf], fixed: &[(String, PathBuf)]) -> Result<OciImage> {
    let mut image = OciImage::new(name).user(USER);
    for (path, file) in fixed {
        image = image.file(path, file);
    }
    for program in programs {
        let name = program
            .file_name()
            .context("a program without a name")?
            .to_string_lossy();
        image = image.program(&format!("/usr/local/bin/{name}"), program)?;
    }
    Ok(image)
}

/// The fixed files, written to `folder`, and this machine's CA certificates: path and source.
fn fixed(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let certificates = CERTIFICATES
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .context("no CA certificates on this machine: install the package ca-certificates")?;
    let mut files = vec![(CERTIFICATES[0].to_owned(), certificates)];
    for (path, text) in FIXED {
        let file = folder.join(path.replace('/', "-").trim_start_matches('-'));
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        files.push((path.to_owned(), file));
    }
    Ok(files)
}

/// Copies of `programs` in `folder`, without debug information.
fn stripped(programs: &[PathBuf], folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut copies = Vec::new();
    for program in programs {
        let copy = folder.join(program.file_name().context("a program without a name")?);
        let mut strip = Command::new("strip");
        process::output(
            strip.arg("--strip-debug").arg("-o").arg(&copy).arg(program),
            None,
        )
        .context("`strip` (package binutils) takes the debug information out of programs")?;
        copies.push(copy);
    }
    Ok(copies)
}

/// Which programs, as their files' sizes and times: reading them would take longer than all the rest.
fn fingerprint(programs: &[PathBuf]) -> Result<String> {
    let mut text = String::from("format 1\n");
    for program in programs {
        let data = std::fs::metadata(program)
            .with_context(|| format!("cannot read {}", program.display()))?;
        let time = data
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        ensure!(data.len() > 0, "{} is empty", program.display());
        let nanoseconds = time.map_or(0, |time| time.as_nanos());
        text.push_str(&format!(
            "{} {} {nanoseconds}\n",
            program.display(),
            data.len()
        ));
    }
    Ok(text)
}

fn made_before(folder: &Path, inputs: &str) -> Option<Image> {
    let stamp = std::fs::read_to_string(folder.join("stamp")).ok()?;
    let (reference, before) = stamp.split_once('\n')?;
    let archive = folder.join("shoal.tar");
    (before == inputs && archive.is_file()).then(|| Image {
        reference: reference.to_owned(),
        archive,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_again_until_a_program_changes() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, "one").unwrap();
        let inputs = fingerprint(std::slice::from_ref(&program)).unwrap();
        std::fs::write(folder.path().join("shoal.tar"), "").unwrap();
        std::fs::write(folder.path().join("stamp"), format!("name:tag\n{inputs}")).unwrap();
        assert_eq!(
            made_before(folder.path(), &inputs).unwrap().reference,
            "name:tag"
        );

        std::fs::write(&program, "other").unwrap();
        let inputs = fingerprint(&[program]).unwrap();
        assert_eq!(made_before(folder.path(), &inputs), None);
    }

    #[test]
    fn the_same_programs_give_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let first = write(std::slice::from_ref(&program), folder.path()).unwrap();
        let second = write(&[program], folder.path()).unwrap();
        assert_eq!(first, second);
        assert!(
            first.reference.starts_with("shoal.dev/shoal:"),
            "{}",
            first.reference
        );
    }
}
