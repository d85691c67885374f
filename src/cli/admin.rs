//! `postern admin`: what operators of the admin API sign in with.

use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::Exit;
use super::args::{AdminArgs, AdminCommand};
use super::terminal::Terminal;
use crate::config::{HashingError, PasswordHash};
use crate::limits::PASSWORD_BYTES_MAX;
use crate::secret::Secret;

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It could not be read.
    #[error("cannot read the password from the standard input: {0}")]
    Unreadable(#[source] io::Error),
    /// It holds what no client can send.
    #[error("the password is not UTF-8 text")]
    NotText,
    /// It was typed twice, in two ways.
    #[error("the password was repeated otherwise; nothing was hashed")]
    RepeatedOtherwise,
    /// It cannot be used.
    #[error(transparent)]
    Hashing(#[from] HashingError),
}

pub(super) fn run(args: &AdminArgs, terminal: &Terminal) -> Result<Exit, AdminError> {
    match args.command {
        AdminCommand::HashPassword => {
            let input = io::stdin();
            let password = if input.is_terminal() { asked(terminal)? } else { first_line(input.lock())? };
            print_hash(&password, terminal)
        }
    }
}

fn print_hash(password: &Secret, terminal: &Terminal) -> Result<Exit, AdminError> {
    terminal.line(PasswordHash::of(password)?.expose());
    Ok(Exit::Success)
}

/// Asks twice: nobody sees what they type.
fn asked(terminal: &Terminal) -> Result<Secret, AdminError> {
    let _silence = Silence::begin().map_err(AdminError::Unreadable)?;
    let ask = |prompt| {
        terminal.remark(prompt);
        first_line(io::stdin().lock())
    };
    let password = ask("Password:")?;
    if password != ask("The same again:")? {
        return Err(AdminError::RepeatedOtherwise);
    }
    Ok(password)
}

/// The first line without its end. A byte beyond the bound is read, so that a longer one is told from one that just fits.
fn first_line(input: impl BufRead) -> Result<Secret, AdminError> {
    // Room for all of it at once: a buffer that grows leaves its earlier contents behind.
    let room = PASSWORD_BYTES_MAX.saturating_add("\r\n".len());
    let mut line = Zeroizing::new(Vec::with_capacity(room));
    let bound = u64::try_from(room).unwrap_or(u64::MAX);
    input.take(bound).read_until(b'\n', &mut line).map_err(AdminError::Unreadable)?;
    let text = std::str::from_utf8(&line).map_err(|_| AdminError::NotText)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

/// The terminal does not show what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that went away in the meantime needs nothing restored.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::recording;

    fn read(text: impl AsRef<[u8]>) -> Result<String, AdminError> {
        first_line(text.as_ref()).map(|password| password.expose().to_owned())
    }

    #[test]
    fn the_password_is_the_first_line() {
        for text in ["correct horse", "correct horse\n", "correct horse\r\n", "correct horse\nmore\n"] {
            assert_eq!(read(text).unwrap(), "correct horse");
        }
        assert_eq!(read(" blanks count \n").unwrap(), " blanks count ");
        assert_eq!(read("").unwrap(), "");
        assert!(matches!(read(b"\xff\xfe\n"), Err(AdminError::NotText)));
        let longest = "x".repeat(PASSWORD_BYTES_MAX);
        assert_eq!(read(format!("{longest}\r\n")).unwrap(), longest);
        assert!(read("x".repeat(1_000_000)).unwrap().len() > PASSWORD_BYTES_MAX);
    }

    #[test]
    fn the_hash_is_printed_and_the_password_is_not() {
        let (terminal, out, err) = recording::terminal();
        let password = Secret::new("correct horse".to_owned());
        assert_eq!(print_hash(&password, &terminal).unwrap(), Exit::Success);
        let printed = out.text();
        assert!(PasswordHash::parse(printed.trim_end()).unwrap().matches(&password));
        assert_eq!((printed.lines().count(), err.text().as_str()), (1, ""));
    }

    #[test]
    fn a_password_that_can_be_guessed_is_refused() {
        let (terminal, out, _) = recording::terminal();
        for password in ["", "hunter2"] {
            let refused = print_hash(&Secret::new(password.to_owned()), &terminal).unwrap_err();
            assert!(refused.to_string().contains("shorter than 8 bytes"), "{refused}");
        }
        assert_eq!(out.text(), "");
    }
}
