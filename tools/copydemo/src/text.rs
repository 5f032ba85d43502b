// SPDX-License-Identifier: GPL-2.0
//! What the demo found, as tables and sentences for people.

use blkcopy::size::human;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use evidence::disk::Driver;
use evidence::nvme::{DataUnits, RANGE};

use crate::report::{Method, PathSeen, Report, Row, Section};

impl Report {
    /// The tables, and what is proved by them.
    pub fn human(&self) -> String {
        let mut text = format!("Linux {}, ", self.kernel);
        let sections = std::iter::once(&self.null_blk);
        for section in sections.chain(&self.nvme).chain(&self.fabric) {
            text += &format!("{}\n\n{}\n\n", section.heading(), section.table());
        }
        for proof in &self.proofs {
            let mark = if proof.holds { "ok    " } else { "FAILED" };
            text += &format!("  {mark}  {}", proof.claim);
            if !proof.holds {
                text += &format!(": {}", proof.found);
            }
            text.push('\n');
        }
        text + "\n" + &self.conclusion()
    }

    /// Few sentences, and honest ones.
    fn conclusion(&self) -> String {
        if !self.proved {
            let failed = self.proofs.iter().filter(|proof| !proof.holds).count();
            return format!(
                "NOT PROVED: {failed} of {} claims failed.",
                self.proofs.len()
            );
        }
        let Some(proved) = self.null_blk.proved_of_null_blk() else {
            return "Only reading and writing was tried; nothing is proved about copy offload."
                .to_string();
        };
        let nvme = match &self.nvme {
            Some(nvme) => nvme.proved_of_nvme().unwrap_or_default(),
            None => {
                let also = match self.fabric {
                    Some(_) => "",
                    None => ", `./x demo --fabrics` over a network",
                };
                format!("(`./x demo --guest qemu` does it on an NVMe device as well{also}.)")
            }
        };
        let fabric = self.fabric.as_ref().and_then(Section::proved_of_fabric);
        let all = [Some(proved), Some(nvme), fabric];
        all.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}

impl Section {
    fn heading(&self) -> String {
        let limit = |one: &str| match self.copy_max_bytes {
            Some(bytes) => format!("one {one} moves up to {}", human(bytes)),
            None => "no copy offload in this kernel".to_string(),
        };
        let (disk, size) = (&self.disk, human(self.disk_bytes));
        match self.driver {
            Driver::NullBlk => format!(
                "{disk} of {size} in memory (null_blk), {}\n\
                 (copies, reads, writes: requests that the driver executed)",
                limit("copy request")
            ),
            Driver::Nvme => format!(
                "{disk} of {size} (NVMe), {}\n\
                 (copies, reads, writes: commands that the driver sent; crossed bus: data that the \
                 device itself counts\n\
                 as read + written by the host, in units of {} bytes; 0 is less than one)",
                limit("Copy command"),
                thousands(DataUnits::BYTES)
            ),
            Driver::NvmeTcp => format!(
                "{disk} of {size} (NVMe over TCP, 1 Gbit/s), {}\n\
                 (copies, reads, writes: commands that the host sent; crossed wire: bytes in both \
                 directions, with all\n\
                 that the protocols add)",
                limit("Copy command")
            ),
        }
    }

    fn table(&self) -> Table {
        let crossed = match self.driver {
            Driver::NullBlk => "crossed\nmemory",
            Driver::Nvme => "crossed bus\n(units)",
            Driver::NvmeTcp => "crossed\nwire",
        };
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header([
            "device",
            "path taken",
            "bytes",
            "copies",
            "reads",
            "writes",
            crossed,
            "time",
            "vs read\n+ write",
        ]);
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.rows {
            let requests = [row.activity.copy, row.activity.read, row.activity.write];
            let mut cells = vec![
                format!("{} → {}", row.source, row.destination),
                path(row.path, row.method).to_string(),
                human(row.bytes),
            ];
            cells.extend(requests.map(|tally| tally.requests.to_string()));
            cells.push(match (row.data_units(), row.wire_bytes()) {
                (Some(DataUnits { read, written }), _) => format!("{read} + {written}"),
                (None, bytes) => human(bytes.unwrap_or(row.bytes_crossed_memory)),
            });
            cells.push(format!("{:.1} ms", row.seconds * 1000.0));
            cells.push(
                self.speed(row)
                    .map_or("-".to_string(), |times| format!("{times:.2} x")),
            );
            table.add_row(cells);
        }
        table
    }

    fn proved_of_null_blk(&self) -> Option<String> {
        let disk = self.row(Method::OffloadDisk)?;
        let partition = self.row(Method::OffloadPartition)?;
        let requests = |row: &Row| row.activity.copy.requests;
        Some(format!(
            "Proved: {} were copied on {} by {} copy requests, and as many by {} onto its partition.\n\
             No read or write request reached the driver, no byte crossed memory, the checksums agree,\n\
             and it took {:.1} ms: {:.2} x the speed of reading and writing.",
            human(disk.bytes),
            disk.source,
            requests(disk),
            requests(partition),
            disk.seconds * 1000.0,
            self.speed(disk).unwrap_or(0.0),
        ))
    }

    fn proved_of_nvme(&self) -> Option<String> {
        let disk = self.row(Method::OffloadDisk)?;
        let loop_units = self.row(Method::ReadWrite)?.data_units()?;
        Some(format!(
            "Proved on NVMe: {} were copied on {} by {} Copy commands, in {:.1} ms: {:.2} x the speed\n\
             of reading and writing. No read or write command was sent, the checksums agree, and by the\n\
             device's own count less than one unit of {} bytes was read or written over the PCI bus,\n\
             against {} + {} units by reading and writing. What it does not count are the commands, and\n\
             the list of the sources that they take along: {} ranges of {RANGE} bytes, {} in all.",
            human(disk.bytes),
            disk.source,
            disk.activity.copy.requests,
            disk.seconds * 1000.0,
            self.speed(disk).unwrap_or(0.0),
            thousands(DataUnits::BYTES),
            loop_units.read,
            loop_units.written,
            disk.activity.ranges,
            human(disk.activity.ranges * RANGE as u64),
        ))
    }

    fn proved_of_fabric(&self) -> Option<String> {
        let disk = self.row(Method::OffloadDisk)?;
        let (copied, moved) = (
            disk.wire_bytes()?,
            self.row(Method::ReadWrite)?.wire_bytes()?,
        );
        Some(format!(
            "Proved over NVMe over TCP: {} were copied on {} by {} Copy commands, in {:.1} ms: {:.2} x the\n\
             speed of reading and writing. {} crossed the wire, {:.3} % of the {} that\n\
             reading and writing moved.",
            human(disk.bytes),
            disk.source,
            disk.activity.copy.requests,
            disk.seconds * 1000.0,
            self.speed(disk).unwrap_or(0.0),
            human(copied),
            100.0 * copied as f64 / moved as f64,
            human(moved),
        ))
    }
}

/// Which call, and what became of it.
fn path(seen: PathSeen, method: Method) -> &'static str {
    match (seen, method) {
        (PathSeen::ReadWrite, Method::ReadWrite) => "read + write, 1 MiB each",
        (PathSeen::ReadWrite, Method::Generic) => "copy_file_range, offload off",
        (PathSeen::ReadWrite, _) => "copy_file_range, NOT offloaded",
        (PathSeen::Offload, _) => "copy_file_range, offloaded",
        (PathSeen::Mixed, _) => "copy_file_range, PARTLY offloaded",
        (PathSeen::Nothing, _) => "NO request was seen",
    }
}

/// A number below a million, as people write it.
fn thousands(number: u64) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}
