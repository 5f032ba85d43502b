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
use super::options::BPS;
use super::options::STREAMS;
use super::options::ZONE_SIZE;
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
    if options.counts_instructions {
        program.extend(kvm::counting());
    } else {
        program.extend(kvm::accelerator(context, kernel)?.arguments(&qemu));
    }
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
    let cpus = if options.counts_instructions {
        1
    } else {
        options.cpus
    };
    let cpus = cpus.to_string();
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

/// Controllers with serial numbers copy0, copy1 and so on, and a namespace 1 each. Several
/// controllers of one device are a subsystem, and share its namespace.
fn nvme_device(index: usize, nvme: &Nvme, backing: &Path) -> Vec<String> {
    let mut properties: String = nvme
        .properties
        .iter()
        .map(|(name, value)| match name.as_str() {
            ZONE_SIZE => format!(",zoned=true,zoned.zone_size={value}"),
            BPS => String::new(),
            STREAMS => format!(",fdp.ruhs=0-{}", value.saturating_sub(1)),
            _ => format!(",{name}={value}"),
        })
        .collect();
    if let Some(size) = nvme.properties.get("logical_block_size") {
        // A physical block cannot be smaller, and is one of 512 bytes unless told otherwise.
        properties += &format!(",physical_block_size={size}");
    }
    let mut drive = format!(
        "file={},if=none,format=raw,discard=unmap,id=disk{index}",
        backing.display()
    );
    if let Some(bps) = nvme.properties.get(BPS) {
        drive += &format!(",throttling.bps-total={bps}");
    }
    let mut arguments = vec!["-drive".into(), drive];
    let mut device = |words: String| arguments.extend([String::from("-device"), words]);
    let controller = format!("nvme,serial=copy{index}");
    // What places data is a subsystem, also if it has one controller.
    let placement = nvme
        .properties
        .get(STREAMS)
        .map(|streams| format!(",fdp=on,fdp.runs=96M,fdp.nrg=1,fdp.nruh={streams}"));
    if nvme.paths == 1 && placement.is_none() {
        device(format!("{controller},id=nvme{index}"));
    } else {
        let placement = placement.unwrap_or_default();
        device(format!(
            "nvme-subsys,id=subsys{index},nqn=copy{index}{placement}"
        ));
        for path in 1..nvme.paths {
            device(format!(
                "{controller},id=nvme{index}-{path},subsys=subsys{index}"
            ));
        }
        device(format!("{controller},id=nvme{index},subsys=subsys{index}"));
    }
    device(format!(
        "nvme-ns,drive=disk{index},bus=nvme{index},nsid=1{properties}"
    ));
    arguments
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
    words.extend(options.words());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(text: &str) -> Vec<String> {
        let nvme: Nvme = text.parse().unwrap();
        let arguments = nvme_device(0, &nvme, Path::new("/x"));
        let devices = arguments
            .into_iter()
            .filter(|word| word.starts_with("nvme"));
        devices.collect()
    }

    #[test]
    fn copy_limits_belong_to_the_namespace() {
        let namespace = "nvme-ns,drive=disk0,bus=nvme0,nsid=1,mcl=2048,mssrl=256";
        assert_eq!(
            devices("1G,mssrl=256,mcl=2048"),
            ["nvme,serial=copy0,id=nvme0", namespace]
        );
    }

    #[test]
    fn a_namespace_may_have_zones() {
        let namespace = "nvme-ns,drive=disk0,bus=nvme0,nsid=1,zoned=true,zoned.zone_size=4194304";
        assert_eq!(
            devices("64M,zone_size=4M"),
            ["nvme,serial=copy0,id=nvme0", namespace]
        );
    }

    #[test]
    fn a_drive_may_be_slow() {
        let nvme: Nvme = "64M,mcl=8,bps=8M".parse().unwrap();
        let arguments = nvme_device(0, &nvme, Path::new("/x"));
        assert!(arguments[1].ends_with(",id=disk0,throttling.bps-total=8388608"));
        assert!(arguments.iter().any(|word| word.ends_with("nsid=1,mcl=8")));
    }

    #[test]
    fn a_device_may_have_write_streams() {
        let all = devices("1G,streams=4");
        let placement = "fdp=on,fdp.runs=96M,fdp.nrg=1,fdp.nruh=4";
        assert_eq!(
            all[0],
            format!("nvme-subsys,id=subsys0,nqn=copy0,{placement}")
        );
        assert_eq!(all[1], "nvme,serial=copy0,id=nvme0,subsys=subsys0");
        assert!(all[2].ends_with(",fdp.ruhs=0-3"), "{}", all[2]);
    }

    #[test]
    fn a_namespace_may_be_shared() {
        let all = devices("1G,paths=2");
        assert_eq!(all.len(), 4);
        assert_eq!(all[0], "nvme-subsys,id=subsys0,nqn=copy0");
        assert_eq!(all[1], "nvme,serial=copy0,id=nvme0-1,subsys=subsys0");
        assert_eq!(all[2], "nvme,serial=copy0,id=nvme0,subsys=subsys0");
    }

    #[test]
    fn physical_blocks_are_no_smaller_than_logical_ones() {
        let all = devices("1G,logical_block_size=4096");
        let blocks = "logical_block_size=4096,physical_block_size=4096";
        assert!(all[1].ends_with(blocks), "{}", all[1]);
    }

    #[test]
    fn the_root_is_read_only() {
        assert!(shared("root", Path::new("/"), true)[1].ends_with(",readonly=on"));
        assert!(!shared("exchange", Path::new("/x"), false)[1].contains("readonly"));
    }
}
