// SPDX-License-Identifier: GPL-2.0

//! The Copy command as the controller reads it: NVM Command Set Specification 1.0, section 3.2.2.
//!
//! Nothing here knows the kernel, nor the byte order of the CPU: every number is turned into the
//! device's when it is put in. What that gives is checked by the compiler, for the machine that it
//! compiles for.

use core::mem::{
    offset_of,
    size_of, //
};

/// Declares a number that is little-endian in memory, whatever the CPU is.
macro_rules! little_endian {
    ($($name:ident: $int:ty;)*) => {$(
        #[doc = concat!("A [`", stringify!($int), "`] as the device sees it.")]
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        struct $name($int);

        impl $name {
            const ZERO: Self = Self(0);

            const fn new(value: $int) -> Self {
                Self(value.to_le())
            }
        }
    )*};
}

little_endian! {
    Le16: u16;
    Le32: u32;
    Le64: u64;
}

/// A source range, in descriptor format 0.
#[repr(C)]
pub(crate) struct SourceRange {
    _reserved: Le64,
    /// Starting LBA.
    slba: Le64,
    /// Number of logical blocks, less one.
    nlb: Le16,
    _reserved_18: [Le16; 3],
    /// Protection information, which namespaces that we copy on do not have.
    _pi: [Le32; 2],
}

impl SourceRange {
    /// `blocks_less_one` logical blocks and one more, from the LBA `start` on.
    pub(crate) const fn new(start: u64, blocks_less_one: u16) -> Self {
        Self {
            _reserved: Le64::ZERO,
            slba: Le64::new(start),
            nlb: Le16::new(blocks_less_one),
            _reserved_18: [Le16::ZERO; 3],
            _pi: [Le32::ZERO; 2],
        }
    }
}

/// The command, a submission queue entry. The transport fills in what is not set here.
#[repr(C)]
pub(crate) struct CopyCommand {
    opcode: u8,
    flags: u8,
    command_id: u16,
    nsid: Le32,
    _cdw2: [Le32; 2],
    _metadata: Le64,
    _data: [Le64; 2],
    /// Starting destination LBA: command dwords 10 and 11.
    sdlba: Le64,
    /// Number of ranges, less one: the first byte of command dword 12.
    nr_range: u8,
    /// Descriptor format, in the lower half.
    format: u8,
    /// The upper half of command dword 12: ordinary retries, no FUA, no protection information.
    /// Bits 23:20 of the dword are the directive type.
    control: Le16,
    _cdw13: Le16,
    /// Directive specific: bits 31:16 of command dword 13.
    dspec: Le16,
    _cdw14: [Le32; 2],
}

impl CopyCommand {
    /// Copies what `ranges_less_one` ranges of format 0 and one more say, to the LBA `to` on.
    pub(crate) const fn new(nsid: u32, to: u64, ranges_less_one: u8) -> Self {
        Self {
            opcode: OPCODE,
            flags: 0,
            command_id: 0,
            nsid: Le32::new(nsid),
            _cdw2: [Le32::ZERO; 2],
            _metadata: Le64::ZERO,
            _data: [Le64::ZERO; 2],
            sdlba: Le64::new(to),
            nr_range: ranges_less_one,
            format: 0,
            control: Le16::ZERO,
            _cdw13: Le16::ZERO,
            dspec: Le16::ZERO,
            _cdw14: [Le32::ZERO; 2],
        }
    }

    /// The same, but what is copied is to be placed where this placement identifier says (Data
    /// Placement Directive: NVM Express Base Specification 2.1, section 8.1.9.4).
    pub(crate) const fn placed(self, identifier: u16) -> Self {
        Self {
            control: Le16::new(DATA_PLACEMENT),
            dspec: Le16::new(identifier),
            ..self
        }
    }
}

/// The directive type Data Placement, where it is in the upper half of command dword 12.
const DATA_PLACEMENT: u16 = 2 << 4;

/// Opcode 19h of the NVM Command Set.
pub(crate) const OPCODE: u8 = 0x19;

const _: () = assert!(size_of::<SourceRange>() == 32);
const _: () = assert!(offset_of!(SourceRange, slba) == 8);
const _: () = assert!(offset_of!(SourceRange, nlb) == 16);
const _: () = assert!(size_of::<CopyCommand>() == 64);
const _: () = assert!(offset_of!(CopyCommand, nsid) == 4);
const _: () = assert!(offset_of!(CopyCommand, sdlba) == 40);
const _: () = assert!(offset_of!(CopyCommand, nr_range) == 48);
const _: () = assert!(offset_of!(CopyCommand, dspec) == 54);

/// Each byte of an example, wherever this is compiled for.
const _: () = {
    const RANGE: SourceRange = SourceRange::new(0x0123_4567_89ab_cdef, 0xfedc);
    const COMMAND: CopyCommand = CopyCommand::new(0x0a0b_0c0d, 0x0123_4567_89ab_cdef, 0x7f);
    // SAFETY: These are 32 bytes of numbers without padding.
    let range: [u8; 32] = unsafe { core::mem::transmute(RANGE) };
    // SAFETY: These are 64 bytes of numbers without padding.
    let command: [u8; 64] = unsafe { core::mem::transmute(COMMAND) };
    let lba = [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01];
    expect(&range, &[(8, &lba), (16, &[0xdc, 0xfe])]);
    let nsid = [0x0d, 0x0c, 0x0b, 0x0a];
    expect(
        &command,
        &[(0, &[0x19]), (4, &nsid), (40, &lba), (48, &[0x7f])],
    );
    const PLACED: CopyCommand = CopyCommand::new(0, 0, 0).placed(0x8001);
    // SAFETY: As above.
    let placed: [u8; 64] = unsafe { core::mem::transmute(PLACED) };
    // Bits 23:20 of dword 12, 31:16 of dword 13.
    expect(&placed, &[(0, &[0x19]), (50, &[0x20]), (54, &[0x01, 0x80])]);
};

/// Stops the compiler unless `bytes` are zero but for `parts`, each at its place.
const fn expect(bytes: &[u8], parts: &[(usize, &[u8])]) {
    let mut at = 0;
    while at < bytes.len() {
        let (mut wanted, mut part) = (0, 0);
        while part < parts.len() {
            let (start, text) = parts[part];
            if at >= start && at - start < text.len() {
                wanted = text[at - start];
            }
            part += 1;
        }
        assert!(bytes[at] == wanted);
        at += 1;
    }
}
