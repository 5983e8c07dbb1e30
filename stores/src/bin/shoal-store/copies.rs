//! `shoal-store backup` and `shoal-store restore`.

use std::{
    io::{self, BufReader, BufWriter, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
};

use shoal_stores::backup;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Write a copy of the folder to standard output, as a tar archive, while `shoal-store` serves from it
    Backup(Folder),
    /// Make the folder from such a copy on standard input; `shoal-store` must not run on it
    Restore {
        #[command(flatten)]
        folder: Folder,
        /// Remove what the folder holds, once the copy was read whole
        #[arg(long)]
        replace: bool,
    },
}

#[derive(clap::Args)]
pub(crate) struct Folder {
    /// Folder of the stores
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/shoal")]
    data_dir: PathBuf,
}

impl Command {
    /// Does it, and says on standard error what went wrong.
    pub(crate) fn run(&self) -> ExitCode {
        let done = match self {
            Self::Backup(_) if io::stdout().is_terminal() => {
                eprintln!("error: standard output is a terminal: write the archive to a file");
                return ExitCode::FAILURE;
            }
            Self::Backup(folder) => {
                backup::write(&folder.data_dir, BufWriter::new(io::stdout().lock()))
            }
            Self::Restore { folder, replace } => {
                let archive = BufReader::new(io::stdin().lock());
                backup::restore(&folder.data_dir, archive, *replace)
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
