// SPDX-License-Identifier: GPL-2.0
//! QEMU x86-64: the kernel boots directly, its root is the host's through 9p.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;

use super::exchange::Exchange;
use super::kvm;
use super::options::Nvme;
use super::options::Options;
use super::process;
use super::process::Channels;
use super::process::Running;
use crate::build::Context;
use crate::build::Kernel;
use crate::host::command::find;

pub const PROGRAM: &str = "qemu-system-x86_64";

/// Starts the guest.
pub fn start(
    context: &Context,
    kernel: &Kernel,
    options: &Options,
    exchange: &Exchange,
    log: &Path,
    interactive: bool,
) -> Result<Running> {
    let qemu =
        find(PROGRAM).with_context(|| format!("{PROGRAM} is not installed: run `./x setup`"))?;
    let channels = Channels::new(interactive)?;
    let mut program = vec![qemu.display().to_string()];
    program.extend(kvm::accelerator(context, kernel)?.arguments(&qemu));
    program.extend(machine(options));
    program.extend(["-serial".into(), format!("file:{}", log.display())]);
    program.extend(shared("root", Path::new("/"), true));
    program.extend(shared("exchange", exchange.path(), false));
    program.extend(ports(&channels));
    for (index, nvme) in options.nvme.iter().enumerate() {
        let backing = exchange.path().join(format!("nvme{index}.img"));
        let file = File::create(&backing).context("cannot create the NVMe device's file")?;
        file.set_len(nvme.size)
            .context("cannot size the NVMe device's file")?;
        program.extend(nvme_device(index, nvme, &backing));
    }
    program.extend(["-kernel".into(), kernel.image.display().to_string()]);
    program.extend([
        "-append".into(),
        command_line(kernel, options, exchange, interactive),
    ]);
    // QEMU's own messages stand before the kernel's.
    let own = log.with_extension("qemu.log");
    let own = File::create(&own).with_context(|| format!("cannot write {}", own.display()))?;
    process::start(program, channels, own)
}

/// The parts that every guest has.
fn machine(options: &Options) -> Vec<String> {
    let memory = format!("{}M", options.memory >> 20);
    let cpus = options.cpus.to_string();
    [
        "-machine",
        "q35",
        "-m",
        &memory,
        "-smp",
        &cpus,
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
        "-device",
        "virtio-serial-pci",
        "-object",
        "rng-random,id=rng,filename=/dev/urandom",
        "-device",
        "virtio-rng-pci,rng=rng",
    ]
    .map(String::from)
    .to_vec()
}

fn shared(tag: &str, path: &Path, readonly: bool) -> Vec<String> {
    let readonly = if readonly { ",readonly=on" } else { "" };
    vec![
        "-fsdev".into(),
        format!(
            "local,id={tag},path={},security_model=none,multidevs=remap{readonly}",
            path.display()
        ),
        "-device".into(),
        format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
    ]
}

/// The job's output: ports for a command, a console for a terminal.
fn ports(channels: &Channels) -> Vec<String> {
    let mut arguments = Vec::new();
    let out = channels.out.number();
    let port = |name: &str| format!("virtserialport,chardev={name},name={name}");
    let out_chardev = channels.input.as_ref().map_or_else(
        || format!("file,id=out,path=/dev/fd/{out}"),
        |input| {
            format!(
                "file,id=out,path=/dev/fd/{out},input-path=/dev/fd/{}",
                input.number()
            )
        },
    );
    arguments.extend(["-chardev".into(), out_chardev]);
    let device = if channels.input.is_some() {
        String::from("virtconsole,chardev=out")
    } else {
        port("out")
    };
    arguments.extend(["-device".into(), device]);
    let err = format!("file,id=err,path=/dev/fd/{}", channels.err.number());
    arguments.extend(["-chardev".into(), err, "-device".into(), port("err")]);
    arguments
}

fn nvme_device(index: usize, nvme: &Nvme, backing: &Path) -> Vec<String> {
    let limits: String = nvme
        .limits
        .iter()
        .map(|(name, value)| format!(",{name}={value}"))
        .collect();
    vec![
        "-drive".into(),
        format!(
            "file={},if=none,format=raw,discard=unmap,id=disk{index}",
            backing.display()
        ),
        "-device".into(),
        format!("nvme,id=nvme{index},serial=copy{index}"),
        "-device".into(),
        format!("nvme-ns,drive=disk{index},bus=nvme{index},nsid=1{limits}"),
    ]
}

fn command_line(
    kernel: &Kernel,
    options: &Options,
    exchange: &Exchange,
    interactive: bool,
) -> String {
    let mut words = vec![
        String::from("root=root rootfstype=9p ro console=ttyS0 panic=-1"),
        String::from("rootflags=trans=virtio,version=9p2000.L,msize=524288,cache=loose"),
        format!("init={}", exchange.init().display()),
        String::from("X_HOST=9p"),
        format!("X_MODE={}", if interactive { "shell" } else { "run" }),
        format!("X_MODULES={}", kernel.modules.display()),
    ];
    words.extend(options.append.iter().cloned());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_limits_belong_to_the_namespace() {
        let nvme: Nvme = "1G,mssrl=256,mcl=2048".parse().unwrap();
        let arguments = nvme_device(0, &nvme, Path::new("/x"));
        assert_eq!(
            arguments[5],
            "nvme-ns,drive=disk0,bus=nvme0,nsid=1,mcl=2048,mssrl=256"
        );
    }

    #[test]
    fn the_root_is_read_only() {
        assert!(shared("root", Path::new("/"), true)[1].ends_with(",readonly=on"));
        assert!(!shared("exchange", Path::new("/x"), false)[1].contains("readonly"));
    }
}
