// SPDX-License-Identifier: GPL-2.0
//! A disk that is reached over NVMe over TCP: the target of this machine serves it at the other end of a wire, in a
//! network namespace of its own.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::controller;
use crate::disk::{appears, Disk, Driver};
use crate::system::{self, command};

const NVMET: &str = "/sys/kernel/config/nvmet";
const NQN: &str = "nqn.2026-11.org.copy-offload:bench";
const PORT: &str = "17";

/// The namespace of the target, and the two ends of the wire with their addresses.
const FAR: &str = "copy_bench";
const NEAR_END: (&str, &str) = ("copy_near", "10.47.12.1");
const FAR_END: (&str, &str) = ("copy_far", "10.47.12.2");

/// The disk, the target and the wire; all of them are removed when this is dropped.
pub struct Fabric {
    pub disk: Disk,
    // After the disk, in this order: the connection, the target, the wire.
    _undo: Undo,
}

/// Commands that undo what was done, last one first.
#[derive(Default)]
struct Undo(Vec<Vec<String>>);

impl Undo {
    /// Runs a command; when this is dropped, another one undoes it.
    fn step(&mut self, now: &[&str], later: &[&str]) -> Result<()> {
        run(now)?;
        self.0.push(later.iter().map(ToString::to_string).collect());
        Ok(())
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for words in self.0.iter().rev() {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            if let Err(err) = run(&words) {
                eprintln!("{err:#}");
            }
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        [program, args @ ..] => command(program, args),
        [] => Ok(()),
    }
}

/// The same in the namespace of the target.
fn far(words: &[&str]) -> Result<()> {
    let namespace = format!("--net=/run/netns/{FAR}");
    command("nsenter", &[&[namespace.as_str()], words].concat())
}

impl Fabric {
    /// Serves a block device or a file over a wire of this rate, as `tc` wants it.
    pub fn new(below: &Path, rate: &str) -> Result<Self> {
        system::mounted("/sys/kernel/config", "configfs")?;
        controller::with_one_path()?;
        for module in ["veth", "sch_tbf", "nvme_tcp", "nvmet_tcp"] {
            command("modprobe", &[module])?;
        }
        let mut undo = Undo::default();
        wire(&mut undo, rate)?;
        serve(&mut undo, below)?;
        let address = ["--traddr", FAR_END.1, "--trsvcid", "4420", "--nqn", NQN];
        let connect = ["nvme", "connect", "--transport", "tcp"];
        undo.step(
            &[&connect[..], &address].concat(),
            &["nvme", "disconnect", "--nqn", NQN],
        )?;
        let name = connected(Path::new(controller::CLASS))?;
        let path = Path::new("/dev").join(&name);
        appears(&path)?;
        Ok(Self {
            disk: Disk::found(name, path, Driver::NvmeTcp),
            _undo: undo,
        })
    }

    /// Bytes that have crossed the wire so far, in both directions, with all that the protocols add.
    pub fn bytes(&self) -> Result<u64> {
        let count = |name: &str| -> Result<u64> {
            let path = format!("/sys/class/net/{}/statistics/{name}", NEAR_END.0);
            let text = system::get(Path::new(&path))?;
            text.trim()
                .parse()
                .with_context(|| format!("{path}: {text:?}"))
        };
        Ok(count("rx_bytes")? + count("tx_bytes")?)
    }
}

/// Two ends of a wire, each of which sends no faster than the rate.
fn wire(undo: &mut Undo, rate: &str) -> Result<()> {
    undo.step(&["ip", "netns", "add", FAR], &["ip", "netns", "del", FAR])?;
    let ((near, near_address), (end, far_address)) = (NEAR_END, FAR_END);
    let add = [
        "ip", "link", "add", near, "type", "veth", "peer", "name", end,
    ];
    undo.step(
        &[&add[..], &["netns", FAR]].concat(),
        &["ip", "link", "del", near],
    )?;
    let limit = |end| {
        let tbf = ["tbf", "rate", rate, "burst", "256kb", "latency", "50ms"];
        [&["tc", "qdisc", "add", "dev", end, "root"], &tbf[..]].concat()
    };
    for (on, name, address) in [
        (run as fn(&[&str]) -> Result<()>, near, near_address),
        (far, end, far_address),
    ] {
        on(&[
            "ip",
            "address",
            "add",
            &format!("{address}/24"),
            "dev",
            name,
        ])?;
        on(&["ip", "link", "set", name, "up"])?;
        on(&limit(name))?;
    }
    Ok(())
}

/// Has the target serve a block device or a file at its end of the wire.
fn serve(undo: &mut Undo, below: &Path) -> Result<()> {
    let make = |undo: &mut Undo, dir: &Path| {
        let dir = dir.to_string_lossy();
        undo.step(&["mkdir", &dir], &["rmdir", &dir])
    };
    let subsystem = PathBuf::from(format!("{NVMET}/subsystems/{NQN}"));
    make(undo, &subsystem)?;
    system::set(&subsystem.join("attr_allow_any_host"), "1")?;
    let namespace = subsystem.join("namespaces/1");
    make(undo, &namespace)?;
    system::set(&namespace.join("device_path"), &below.to_string_lossy())?;
    system::set(&namespace.join("enable"), "1")?;
    let port = PathBuf::from(format!("{NVMET}/ports/{PORT}"));
    make(undo, &port)?;
    for (attribute, value) in [
        ("addr_adrfam", "ipv4"),
        ("addr_trtype", "tcp"),
        ("addr_traddr", FAR_END.1),
        ("addr_trsvcid", "4420"),
    ] {
        system::set(&port.join(attribute), value)?;
    }
    let link = port.join("subsystems").join(NQN);
    let (subsystem, link) = (subsystem.to_string_lossy(), link.to_string_lossy());
    // The socket belongs to the network of who makes the link.
    far(&["ln", "-s", &subsystem, &link])?;
    undo.step(&[], &["rm", &link])
}

/// The disk of the connection.
fn connected(class: &Path) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(name) = controller::disk(class, "subsysnqn", |nqn| nqn == NQN)? {
            return Ok(name);
        }
        sleep(Duration::from_millis(50));
    }
    bail!("the disk of the target does not appear")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_last_step_is_undone_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut undo = Undo::default();
        for name in ["a", "a/b"] {
            let path = dir.path().join(name);
            let path = path.to_string_lossy();
            undo.step(&["mkdir", &path], &["rmdir", &path]).unwrap();
        }
        assert!(dir.path().join("a/b").exists());
        drop(undo);
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn the_disk_of_the_connection_is_found() {
        let dir = tempfile::tempdir().unwrap();
        for (controller, nqn, disk) in [("nvme0", "other", "nvme0n1"), ("nvme1", NQN, "nvme1n1")] {
            let controller = dir.path().join(controller);
            fs::create_dir_all(controller.join(disk)).unwrap();
            fs::write(controller.join("subsysnqn"), format!("{nqn}\n")).unwrap();
        }
        assert_eq!(connected(dir.path()).unwrap(), "nvme1n1");
    }
}
