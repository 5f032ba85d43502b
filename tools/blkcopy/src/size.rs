// SPDX-License-Identifier: GPL-2.0
//! Sizes as people write and read them: `64K`, `1GiB`, `0x200`.

/// Parses a size in bytes. `K`, `KB` and `KiB` all mean 1024.
pub fn parse(text: &str) -> Result<u64, String> {
    let size = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).map_err(|err| err.to_string()),
        None => {
            let config = parse_size::Config::new().with_binary();
            config.parse_size(text).map_err(|err| err.to_string())
        }
    };
    size.map_err(|err| format!("{err}; write a size such as 4096, 64K, 1GiB or 0x200"))
}

/// Writes a size with the largest unit that leaves the number above 1.
pub fn human(bytes: u64) -> String {
    const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    for (unit, shift) in UNITS {
        let one = 1u64 << shift;
        if bytes >= one || shift == 0 {
            if bytes % one == 0 {
                return format!("{} {unit}", bytes / one);
            }
            // Two digits are for reading only.
            return format!("{:.2} {unit}", bytes as f64 / one as f64);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("4096", 4096),
            ("0", 0),
            ("64K", 65536),
            ("64k", 65536),
            ("64KiB", 65536),
            ("64KB", 65536),
            ("1GiB", 1 << 30),
            ("1G", 1 << 30),
            ("2 MiB", 2 << 20),
            ("1.5G", 3 << 29),
            ("1T", 1 << 40),
            ("0x200", 512),
            ("0x7ffffffffffffe00", (1 << 63) - 512),
            ("9223372036854775296", (1 << 63) - 512),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_advice() {
        for text in [
            "",
            "K",
            "-1",
            "12 parsecs",
            "64Q",
            "99999999999G",
            "0x",
            "0x64K",
        ] {
            let err = parse(text).unwrap_err();
            assert!(err.contains("64K"), "{text}: {err}");
        }
    }

    #[test]
    fn human_sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (1024, "1 KiB"),
            (1536, "1.50 KiB"),
            (256 << 20, "256 MiB"),
            (u64::MAX, "16777216.00 TiB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn whole_units_come_back(count in 1u64..1000, shift in prop::sample::select(vec![0u32, 10, 20, 30, 40])) {
            let bytes = count << shift;
            prop_assert_eq!(parse(&human(bytes)), Ok(bytes));
        }
    }
}
