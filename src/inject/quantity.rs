//! Quantities as Kubernetes writes them, as far as a sidecar's limits need them.

/// A quantity of CPU in thousandths: `500m`, `1`, `0.5`.
pub(super) fn milli_cpu(text: &str) -> Option<u64> {
    match text.strip_suffix('m') {
        Some(number) => digits(number),
        None => scaled(text, 1000),
    }
}

/// A quantity of memory in bytes: `128Mi`, `1Gi`, `200M`, `134217728`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    for (unit, size) in UNITS {
        if let Some(number) = text.strip_suffix(unit) {
            return scaled(number, size);
        }
    }
    digits(text)
}

/// A decimal number times a scale, where that is whole.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let decimals = u32::try_from(part.len()).ok().filter(|decimals| *decimals <= 9)?;
    let unit = 10_u64.pow(decimals);
    let part = digits(part)?.checked_mul(scale)?;
    let whole = digits(whole)?.checked_mul(scale)?;
    part.is_multiple_of(unit).then(|| whole.checked_add(part / unit))?
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_means_them() {
        for (text, expected) in
            [("500m", Some(500)), ("1", Some(1000)), ("0.5", Some(500)), ("2.25", Some(2250)), ("0.0001", None)]
        {
            assert_eq!(milli_cpu(text), expected, "{text}");
        }
        for (text, expected) in [
            ("128Mi", Some(128 << 20)),
            ("1.5Gi", Some(3 << 29)),
            ("200M", Some(200_000_000)),
            ("64", Some(64)),
            ("12E", None),
            ("-1", None),
            ("", None),
            ("Mi", None),
            ("99999999999Ti", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
