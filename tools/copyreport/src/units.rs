// SPDX-License-Identifier: GPL-2.0
//! Numbers as people read them.

/// Seconds.
pub fn time(seconds: f64) -> String {
    match seconds {
        long if long >= 1.0 => format!("{long:.2} s"),
        short if short >= 0.001 => format!("{:.1} ms", short * 1e3),
        tiny => format!("{:.1} us", tiny * 1e6),
    }
}

/// Bytes in a second.
pub fn rate(bytes_per_second: f64) -> String {
    let mib = bytes_per_second / f64::from(1 << 20);
    match mib {
        slow if slow < 10.0 => format!("{slow:.1} MiB/s"),
        middle if middle < 1024.0 => format!("{middle:.0} MiB/s"),
        _ => format!("{:.2} GiB/s", mib / 1024.0),
    }
}

/// Bytes, exact if they are a whole number of a unit.
pub fn bytes(count: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        let one = 1u64 << shift;
        if count >= one && count % one == 0 {
            return format!("{} {unit}", count / one);
        }
    }
    format!("{count} B")
}

/// Bytes at a time, in the largest unit that does not make less than one of them.
pub fn size(bytes: Option<u64>) -> String {
    let Some(bytes) = bytes else {
        return UNKNOWN.into();
    };
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        let one = 1u64 << shift;
        if bytes >= one {
            let tenths = bytes as f64 / one as f64;
            return format!("{} {unit}", (tenths * 10.0).round() / 10.0);
        }
    }
    format!("{bytes} B")
}

/// How often something happened.
pub fn count(times: Option<u64>) -> String {
    times.map_or_else(|| UNKNOWN.into(), |times| times.to_string())
}

/// Where nothing was found.
const UNKNOWN: &str = "?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let times = [0.0123, 2.5, 4.2e-6].map(time);
        assert_eq!(times, ["12.3 ms", "2.50 s", "4.2 us"]);
        let rates = [1.5, 512.0, 2048.0].map(|mib| rate(mib * 1048576.0));
        assert_eq!(rates, ["1.5 MiB/s", "512 MiB/s", "2.00 GiB/s"]);
        assert_eq!(
            [3 << 30, 65536, 1000].map(bytes),
            ["3 GiB", "64 KiB", "1000 B"]
        );
        assert_eq!(
            [Some(0), Some(1_100_000), Some(8 << 20), None].map(size),
            ["0 B", "1 MiB", "8 MiB", "?"]
        );
        assert_eq!(size(Some(1_200_000)), "1.1 MiB");
        assert_eq!([Some(12), None].map(count), ["12", "?"]);
    }
}
