// SPDX-License-Identifier: GPL-2.0
//! A slow network: connections to one port of this machine are passed on to another one, and what comes
//! from the client can be kept back, also after the client is gone.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

/// How often the files are looked at.
const TICK: Duration = Duration::from_millis(20);

#[derive(Args, Debug)]
pub struct RelayArgs {
    /// The port to listen at
    listen: u16,
    /// The port that connections are passed on to
    target: u16,
    /// While it has the file `hold`, nothing that comes from clients is passed on; while it has `cut`, they
    /// are disconnected, but what they have sent before is not lost; `stop` ends the program
    folder: PathBuf,
}

/// What the files in the folder say.
#[derive(Clone)]
struct Orders(PathBuf);

impl Orders {
    fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }
}

impl RelayArgs {
    /// Runs until the file `stop` is there.
    pub fn run(&self) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.listen))
            .with_context(|| format!("cannot listen at port {}", self.listen))?;
        listener.set_nonblocking(true)?;
        let orders = Orders(self.folder.clone());
        while !orders.has("stop") {
            match listener.accept() {
                Ok((client, _)) if !orders.has("cut") => {
                    // A client that cannot be served finds its connection closed.
                    let _ = pass_on(client, self.target, &orders);
                }
                Ok(_) => {}
                Err(err) if err.kind() == ErrorKind::WouldBlock => thread::sleep(TICK),
                Err(err) => return Err(err).context("cannot accept a connection"),
            }
        }
        Ok(())
    }
}

/// Passes on what comes from either side, in threads that end with the connection.
fn pass_on(client: TcpStream, port: u16, orders: &Orders) -> Result<()> {
    client.set_nonblocking(false)?;
    let target = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    for stream in [&client, &target] {
        stream.set_read_timeout(Some(TICK))?;
        stream.set_nodelay(true)?;
    }
    let (mut to_client, mut from_target) = (client.try_clone()?, target.try_clone()?);
    let forth = orders.clone();
    thread::spawn(move || {
        to_target(client, target, &forth);
    });
    thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Some(count) = receive(&mut from_target, &mut buffer) {
            // The client may be gone. The target is to notice that only from the other direction.
            let _ = to_client.write_all(&buffer[..count]);
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// Passes on what the client sends, or sent before it was gone.
fn to_target(mut client: TcpStream, mut target: TcpStream, orders: &Orders) {
    let mut buffer = [0; 65536];
    let mut kept = Vec::new();
    let mut connected = true;
    while connected || !kept.is_empty() || orders.has("cut") {
        if orders.has("stop") {
            break;
        }
        if connected && orders.has("cut") {
            connected = false;
            let _ = client.shutdown(Shutdown::Both);
        }
        if connected {
            match receive(&mut client, &mut buffer) {
                Some(count) => kept.extend_from_slice(&buffer[..count]),
                None => connected = false,
            }
        } else {
            thread::sleep(TICK);
        }
        if !orders.has("hold") && !kept.is_empty() {
            if target.write_all(&kept).is_err() {
                break;
            }
            kept.clear();
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = target.shutdown(Shutdown::Both);
}

/// Receives what is there, which may be nothing yet; [`None`] at the end.
fn receive(from: &mut TcpStream, buffer: &mut [u8]) -> Option<usize> {
    match from.read(buffer) {
        Ok(0) => None,
        Ok(count) => Some(count),
        Err(err) => match err.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Some(0),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A relay before an echo server, its folder, and a connection to it.
    fn relay() -> (tempfile::TempDir, TcpStream) {
        let folder = tempfile::tempdir().unwrap();
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = echo.local_addr().unwrap().port();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listen = free.local_addr().unwrap().port();
        drop(free);
        let log = folder.path().join("log");
        thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut buffer = [0; 16];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut text = fs::read(&log).unwrap_or_default();
                text.extend_from_slice(&buffer[..count]);
                fs::write(&log, text).unwrap();
                let _ = stream.write_all(&buffer[..count]);
            }
        });
        let args = RelayArgs {
            listen,
            target,
            folder: folder.path().to_owned(),
        };
        thread::spawn(move || args.run().unwrap());
        let stream = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, listen)) {
                Ok(stream) => break stream,
                Err(_) => thread::sleep(TICK),
            }
        };
        (folder, stream)
    }

    #[test]
    fn passes_on_both_ways() {
        let (folder, mut stream) = relay();
        stream.write_all(b"hello").unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"hello");
        fs::write(folder.path().join("stop"), "").unwrap();
    }

    #[test]
    fn keeps_what_was_sent_by_a_client_that_is_gone() {
        let (folder, mut stream) = relay();
        let file = |name| folder.path().join(name);
        fs::write(file("hold"), "").unwrap();
        thread::sleep(5 * TICK);
        stream.write_all(b"late").unwrap();
        thread::sleep(5 * TICK);
        fs::write(file("cut"), "").unwrap();
        // The client sees the end of the connection.
        assert_eq!(stream.read(&mut [0; 5]).unwrap_or(0), 0);
        assert!(!file("log").exists());
        fs::remove_file(file("hold")).unwrap();
        let arrived = || fs::read(file("log")).unwrap_or_default() == b"late";
        assert!((0..100).any(|_| {
            thread::sleep(TICK);
            arrived()
        }));
        fs::write(file("stop"), "").unwrap();
    }
}
