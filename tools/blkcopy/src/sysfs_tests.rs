// SPDX-License-Identifier: GPL-2.0
use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A sysfs of our own: `nullb0` (250:0) with two partitions (259:0, 259:1),
/// and `sda` (8:0) of a kernel without copy offload.
pub(crate) struct FakeSysfs {
    dir: TempDir,
}

impl FakeSysfs {
    pub(crate) fn new() -> Self {
        let fake = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fake.disk("nullb0", "250:0", 1 << 20);
        fake.write(
            "devices/virtual/block/nullb0/queue/copy_max_bytes",
            "1048576\n",
        );
        fake.write(
            "devices/virtual/block/nullb0/queue/copy_max_hw_bytes",
            "4194304\n",
        );
        fake.partition("nullb0", 1, "259:0", 2048, 4096);
        fake.partition("nullb0", 2, "259:1", 6144, 8192);
        fake.disk("sda", "8:0", 4096);
        fake
    }

    pub(crate) fn sysfs(&self) -> Sysfs {
        Sysfs::at(self.dir.path())
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn disk(&self, name: &str, devno: &str, sectors: u64) {
        self.node(&format!("devices/virtual/block/{name}"), devno, sectors);
        self.write(
            &format!("devices/virtual/block/{name}/queue/logical_block_size"),
            "512\n",
        );
    }

    fn partition(&self, disk: &str, number: u32, devno: &str, start: u64, sectors: u64) {
        let dir = format!("devices/virtual/block/{disk}/{disk}p{number}");
        self.node(&dir, devno, sectors);
        self.write(&format!("{dir}/partition"), &format!("{number}\n"));
        self.write(&format!("{dir}/start"), &format!("{start}\n"));
    }

    fn node(&self, dir: &str, devno: &str, sectors: u64) {
        self.write(&format!("{dir}/dev"), &format!("{devno}\n"));
        self.write(&format!("{dir}/size"), &format!("{sectors}\n"));
        self.write(&format!("{dir}/ro"), "0\n");
        fs::create_dir_all(self.dir.path().join(dir).join("holders")).unwrap();
        fs::create_dir_all(self.dir.path().join("dev/block")).unwrap();
        let link = self.dir.path().join("dev/block").join(devno);
        symlink(format!("../../{dir}"), link).unwrap();
    }
}

pub(crate) fn devno(text: &str) -> DevNo {
    text.parse().unwrap()
}

#[test]
fn a_disk() {
    let dev = FakeSysfs::new().sysfs().device(devno("250:0")).unwrap();
    assert_eq!((dev.name.as_str(), dev.disk.as_str()), ("nullb0", "nullb0"));
    assert_eq!(
        (dev.devno, dev.disk_devno),
        (devno("250:0"), devno("250:0"))
    );
    assert_eq!(
        (dev.start, dev.size, dev.logical_block),
        (0, 512 << 20, 512)
    );
    assert_eq!((dev.partition, dev.read_only), (None, false));
}

#[test]
fn a_partition_has_the_limits_of_its_disk() {
    let dev = FakeSysfs::new().sysfs().device(devno("259:1")).unwrap();
    assert_eq!(
        (dev.name.as_str(), dev.disk.as_str()),
        ("nullb0p2", "nullb0")
    );
    assert_eq!(dev.disk_devno, devno("250:0"));
    assert_eq!(
        (dev.partition, dev.start, dev.size),
        (Some(2), 3 << 20, 4 << 20)
    );
    assert_eq!(
        dev.offload,
        Offload::Possible {
            max_bytes: 1 << 20,
            hw_bytes: 4 << 20
        }
    );
}

#[test]
fn a_read_only_disk_makes_its_partitions_so() {
    let fake = FakeSysfs::new();
    fake.write("devices/virtual/block/nullb0/ro", "1\n");
    assert!(fake.sysfs().device(devno("259:0")).unwrap().read_only);
}

#[test]
fn every_reason_for_no_offload() {
    let fake = FakeSysfs::new();
    let offload = |dev| fake.sysfs().device(devno(dev)).unwrap().offload;
    assert_eq!(offload("8:0"), Offload::NoKernelSupport);
    fake.write("devices/virtual/block/nullb0/queue/copy_max_bytes", "0\n");
    assert_eq!(offload("259:0"), Offload::SwitchedOff { hw_bytes: 4 << 20 });
    fake.write(
        "devices/virtual/block/nullb0/queue/copy_max_hw_bytes",
        "0\n",
    );
    assert_eq!(offload("250:0"), Offload::NoDeviceSupport);
    for (state, word) in [
        (Offload::NoKernelSupport, "CONFIG_BLK_COPY_OFFLOAD"),
        (Offload::NoDeviceSupport, "cannot copy"),
        (Offload::SwitchedOff { hw_bytes: 4096 }, "echo 4096 >"),
        (
            Offload::SwitchedOff { hw_bytes: 1 << 30 },
            "echo 33554432 >",
        ),
        (
            Offload::Possible {
                max_bytes: 1 << 20,
                hw_bytes: 1 << 20,
            },
            "1 MiB",
        ),
    ] {
        assert!(state.explain("nullb0").contains(word), "{state:?}");
    }
}

#[test]
fn relatives_share_bytes() {
    let fake = FakeSysfs::new();
    let sysfs = fake.sysfs();
    let names = |dev: &str| -> Vec<String> {
        let dev = sysfs.device(devno(dev)).unwrap();
        dev.relatives(&sysfs)
            .unwrap()
            .into_iter()
            .map(|d| d.name)
            .collect()
    };
    assert_eq!(names("250:0"), ["nullb0", "nullb0p1", "nullb0p2"]);
    // The other partition shares nothing.
    assert_eq!(names("259:0"), ["nullb0p1", "nullb0"]);
}

#[test]
fn holders_are_listed() {
    let fake = FakeSysfs::new();
    fake.write(
        "devices/virtual/block/nullb0/nullb0p1/holders/dm-0/dev",
        "253:0\n",
    );
    let dev = fake.sysfs().device(devno("259:0")).unwrap();
    assert_eq!(dev.holders().unwrap(), ["dm-0"]);
    assert!(fake
        .sysfs()
        .device(devno("8:0"))
        .unwrap()
        .holders()
        .unwrap()
        .is_empty());
}

#[test]
fn a_missing_device_and_a_garbled_file_are_named() {
    let fake = FakeSysfs::new();
    let err = fake.sysfs().device(devno("9:9")).unwrap_err();
    assert!(format!("{err:#}").contains("dev/block/9:9"), "{err:#}");
    fake.write("devices/virtual/block/sda/size", "many\n");
    let err = fake.sysfs().device(devno("8:0")).unwrap_err();
    assert!(format!("{err:#}").contains("many"), "{err:#}");
}

#[test]
fn device_numbers() {
    assert_eq!(devno("8:1\n").to_string(), "8:1");
    for text in ["", "8", "8:", ":1", "a:b", "8:1:2"] {
        assert!(text.parse::<DevNo>().is_err(), "{text}");
    }
}
