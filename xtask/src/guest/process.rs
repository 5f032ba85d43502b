// SPDX-License-Identifier: GPL-2.0
//! The process that is the guest: started, its output handed on, ended in time, whatever happens.

use std::fs::File;
use std::io::IsTerminal;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::Pid;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::Signal;
use rustix::termios::OptionalActions;
use rustix::termios::Termios;

use crate::host::command::find;

/// Where the job's output goes.
pub enum Sink<'a> {
    /// To our own standard output and error.
    Stream,
    /// Line by line to a function, both kinds alike.
    Lines(&'a mut dyn FnMut(&str)),
    /// To and from the terminal.
    Terminal,
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Itself,
    TimedOut,
}

/// A pipe of which the guest has one end.
pub struct Channel {
    /// Our end.
    host: OwnedFd,
    /// The guest's, which it inherits under this very number.
    guest: OwnedFd,
}

impl Channel {
    /// A pipe from the guest to us.
    pub fn from_guest() -> Result<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context("no pipe")?;
        Self::inherited(reader, writer)
    }

    /// A pipe from us to the guest.
    pub fn to_guest() -> Result<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context("no pipe")?;
        Self::inherited(writer, reader)
    }

    fn inherited(host: OwnedFd, guest: OwnedFd) -> Result<Self> {
        rustix::io::fcntl_setfd(&guest, FdFlags::empty()).context("cannot share a pipe")?;
        Ok(Self { host, guest })
    }

    /// The number under which the guest has its end.
    pub fn number(&self) -> i32 {
        self.guest.as_raw_fd()
    }
}

/// The pipes of a guest.
pub struct Channels {
    pub out: Channel,
    pub err: Channel,
    /// For a terminal only.
    pub input: Option<Channel>,
}

impl Channels {
    pub fn new(interactive: bool) -> Result<Self> {
        Ok(Self {
            out: Channel::from_guest()?,
            err: Channel::from_guest()?,
            input: interactive.then(Channel::to_guest).transpose()?,
        })
    }
}

/// A guest that runs.
pub struct Running {
    child: Child,
    out: File,
    err: File,
    input: Option<File>,
}

/// Starts the guest's program; it dies when we die.
pub fn start(mut program: Vec<String>, channels: Channels, log: File) -> Result<Running> {
    if let Some(setpriv) = find("setpriv") {
        let wrap = [
            setpriv.display().to_string(),
            "--pdeathsig".into(),
            "KILL".into(),
        ];
        program.splice(0..0, wrap);
    }
    // A guest that crashes must not leave its whole memory on the disk.
    let limit = rustix::process::getrlimit(Resource::Core);
    let none = Rlimit {
        current: Some(0),
        maximum: limit.maximum,
    };
    let _ = rustix::process::setrlimit(Resource::Core, none);

    let (name, arguments) = program
        .split_first()
        .context("there is no program to start")?;
    let mut log = log;
    let _ = writeln!(log, "$ {}", shell_words::join(&program));
    let child = Command::new(name)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone().context("cannot share the log")?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    // The guest's ends are closed here, so that our ends see when the guest is gone.
    Ok(Running {
        child,
        out: File::from(channels.out.host),
        err: File::from(channels.err.host),
        input: channels.input.map(|channel| File::from(channel.host)),
    })
}

impl Running {
    /// Hands the output on until the guest is over or its time is.
    pub fn wait(self, timeout: Duration, sink: Sink<'_>) -> Result<Ended> {
        let pid = Pid::from_child(&self.child);
        let (sender, receiver) = mpsc::channel();
        let waiter = reap(self.child, sender);
        let ended = match sink {
            Sink::Lines(line) => {
                let (lines, read) = mpsc::channel();
                let pumps = [split(self.out, lines.clone()), split(self.err, lines)];
                // The deadline has to hold while lines are awaited: a thread looks at the clock.
                let clock = thread::spawn(move || watch(&receiver, timeout, pid));
                for text in read {
                    line(&text);
                }
                for pump in pumps {
                    let _ = pump.join();
                }
                clock.join().unwrap_or(Ended::TimedOut)
            }
            Sink::Stream => {
                let pumps = [
                    pump(self.out, std::io::stdout()),
                    pump(self.err, std::io::stderr()),
                ];
                let ended = watch(&receiver, timeout, pid);
                for pump in pumps {
                    let _ = pump.join();
                }
                ended
            }
            Sink::Terminal => {
                let _raw = RawTerminal::new()?;
                if let Some(input) = self.input {
                    // Ends with the process: it may wait in a read for ever.
                    let _ = pump(std::io::stdin(), input);
                }
                let pumps = [
                    pump(self.out, std::io::stdout()),
                    pump(self.err, std::io::stderr()),
                ];
                let ended = watch(&receiver, Duration::MAX, pid);
                for pump in pumps {
                    let _ = pump.join();
                }
                ended
            }
        };
        let _ = waiter.join();
        Ok(ended)
    }
}

fn reap(mut child: Child, sender: mpsc::Sender<()>) -> JoinHandle<()> {
    thread::spawn(move || {
        let _ = child.wait();
        let _ = sender.send(());
    })
}

/// Waits for the guest; after the time limit it and all its helpers are killed.
fn watch(receiver: &mpsc::Receiver<()>, timeout: Duration, group: Pid) -> Ended {
    let result = if timeout == Duration::MAX {
        receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
    } else {
        receiver.recv_timeout(timeout)
    };
    let ended = match result {
        Err(RecvTimeoutError::Timeout) => Ended::TimedOut,
        _ => Ended::Itself,
    };
    // UML's helpers may outlive it by a crash; of a group that is empty nothing is killed.
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
    ended
}

/// Copies until the end, without waiting for a buffer to fill.
fn pump(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count) = from.read(&mut buffer) {
            let Some(data) = buffer.get(..count).filter(|data| !data.is_empty()) else {
                break;
            };
            if to.write_all(data).and_then(|()| to.flush()).is_err() {
                break;
            }
        }
        // A reader that went away must not stop the guest: swallow the rest.
        let _ = std::io::copy(&mut from, &mut std::io::sink());
    })
}

/// Sends lines to a channel.
fn split(from: File, lines: mpsc::Sender<String>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = std::io::BufReader::new(from);
        let mut line = Vec::new();
        while std::io::BufRead::read_until(&mut reader, b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line)
                .trim_end_matches(['\r', '\n'])
                .to_string();
            if lines.send(text).is_err() {
                break;
            }
            line.clear();
        }
    })
}

/// Whether somebody sits at both ends.
pub fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Rows and columns of our terminal.
pub fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some((size.ws_row, size.ws_col))
}

/// The terminal in raw mode until dropped: the guest's own terminal does the rest.
struct RawTerminal {
    saved: Termios,
}

impl RawTerminal {
    fn new() -> Result<Self> {
        let saved = rustix::termios::tcgetattr(std::io::stdin()).context("no terminal")?;
        let mut raw = saved.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)
            .context("cannot set the terminal")?;
        Ok(Self { saved })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &self.saved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> (Ended, Vec<String>) {
        let channels = Channels::new(false).unwrap();
        let script = script
            .replace("OUT", &channels.out.number().to_string())
            .replace("ERR", &channels.err.number().to_string());
        let program = ["sh", "-c", &script].map(String::from).to_vec();
        let log = tempfile::tempfile().unwrap();
        let mut lines = Vec::new();
        let mut keep = |line: &str| lines.push(String::from(line));
        let ended = start(program, channels, log)
            .unwrap()
            .wait(timeout, Sink::Lines(&mut keep))
            .unwrap();
        (ended, lines)
    }

    #[test]
    fn lines_arrive_and_the_end_is_seen() {
        let (ended, lines) = shell(
            "echo one >/dev/fd/OUT; echo two >/dev/fd/ERR",
            Duration::from_secs(20),
        );
        assert_eq!(ended, Ended::Itself);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_time_limit_ends_children_too() {
        let start = std::time::Instant::now();
        let (ended, lines) = shell(
            "echo up >/dev/fd/OUT; sleep 100 & sleep 100",
            Duration::from_millis(300),
        );
        assert_eq!((ended, lines), (Ended::TimedOut, vec![String::from("up")]));
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
