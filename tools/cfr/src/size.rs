// SPDX-License-Identifier: GPL-2.0
//! Byte counts as people write them: `4096`, `64K`, `1M`, `0x200`.

/// Reads a byte count: decimal or `0x` hexadecimal, with an optional `K`, `M`, `G` or `T` (powers of 1024).
pub fn parse(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        Some(b'T' | b't') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    }
    .map_err(|err| format!("`{text}` is not a size such as 4096, 64K or 0x200: {err}"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("`{text}` does not fit into 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64K"), Ok(65536));
        assert_eq!(parse("3m"), Ok(3 << 20));
        assert_eq!(parse("0x200"), Ok(512));
        assert_eq!(parse("1T"), Ok(1 << 40));
    }

    #[test]
    fn refuses_the_rest() {
        for bad in ["", "K", "-1", "4 K", "1.5M", "0x", "16777216T"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
