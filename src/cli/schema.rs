//! `postern schema`: the JSON Schema files, made from the definitions the reader itself uses.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::Exit;
use super::args::SchemaArgs;
use super::terminal::{Style, Terminal};
use crate::config::schema;

/// Why the schema files could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct SchemaError {
    path: PathBuf,
    source: io::Error,
}

pub(super) fn run(args: &SchemaArgs, terminal: &Terminal) -> Result<Exit, SchemaError> {
    let mut exit = Exit::Success;
    for file in schema::all() {
        let path = args.dir.join(file.name);
        let current = fs::read_to_string(&path).is_ok_and(|text| text == file.text);
        if current {
            terminal.line(format_args!("{} is up to date", path.display()));
        } else if args.check {
            terminal.line(terminal.paint(Style::Bad, format_args!("{} is out of date", path.display())));
            exit = Exit::Failure;
        } else {
            let written = fs::create_dir_all(&args.dir).and_then(|()| fs::write(&path, &file.text));
            written.map_err(|source| SchemaError { path: path.clone(), source })?;
            terminal.line(format_args!("{} written", path.display()));
        }
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::recording;

    #[test]
    fn the_files_are_out_of_date_until_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("config");
        let run = |check| {
            let (terminal, out, _) = recording::terminal();
            let exit = run(&SchemaArgs { dir: dir.clone(), check }, &terminal).unwrap();
            (exit, out.text())
        };
        let (exit, told) = run(true);
        assert_eq!(exit, Exit::Failure);
        assert!(told.contains("postern.schema.json is out of date"), "{told}");
        assert_eq!(run(false).0, Exit::Success);
        let (exit, told) = run(true);
        assert_eq!((exit, told.lines().count()), (Exit::Success, schema::all().len()));
    }
}
