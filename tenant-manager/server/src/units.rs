//! Durations and sizes as people write them: `5m`, `256MiB`.

use std::time::Duration;

use anyhow::{Context, bail};

/// Seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// Says how to write it.
pub fn duration(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => bail!("`{text}` is not a time: write 30s, 5m or 1h"),
    };
    let total = number.checked_mul(millis).context("time out of range")?;
    Ok(Duration::from_millis(total))
}

/// Bytes, or a number with `KiB`, `MiB`, `GiB` or `TiB` (the `iB` may be left out).
///
/// # Errors
/// Says how to write it.
pub fn size(text: &str) -> anyhow::Result<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => bail!("`{text}` is not a size: write 256MiB or 2GiB"),
    };
    number.checked_mul(factor).context("size out of range")
}

fn split(text: &str) -> anyhow::Result<(u64, &str)> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = number
        .parse()
        .with_context(|| format!("`{text}` does not begin with a number"))?;
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood_and_others_refused() {
        assert_eq!(duration("5m").unwrap(), Duration::from_secs(300));
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(size("256MiB").unwrap(), 256 << 20);
        assert_eq!(size("2 G").unwrap(), 2 << 30);
        assert!(duration("5 parsecs").is_err());
        assert!(size("").is_err());
        assert!(size("99999999999999T").is_err());
    }
}
