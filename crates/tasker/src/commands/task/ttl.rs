//! The notation of durations on the command line: `500ms`, `5s`, `2m`, `1h`, `7d`.

use domain::Ttl;

/// Units with their milliseconds; `ms` stands before `s`, since it also ends in `s`.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Parses a duration.
///
/// # Errors
///
/// If it is not a whole number with a unit, is 0, or is longer than a time to live may be.
pub fn parse(text: &str) -> Result<Ttl, String> {
    let find = |&(unit, millis)| Some((text.strip_suffix(unit)?.parse::<u64>().ok()?, millis));
    let (number, millis) =
        UNITS.iter().find_map(find).ok_or("write a whole number and its unit: 500ms, 5s, 2m, 1h or 7d")?;
    Ttl::try_from(number.saturating_mul(millis)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_parsed() {
        let expected =
            [("500ms", 500), ("5s", 5000), ("2m", 120_000), ("1h", 3_600_000), ("7d", 604_800_000)];
        for (text, millis) in expected {
            assert_eq!(parse(text).unwrap().millis(), millis, "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_duration_is_refused_with_the_notation() {
        for bad in ["5", "s", "", "-1s", "1.5s", "5 s", "5w", "five", "+"] {
            assert!(parse(bad).unwrap_err().contains("500ms, 5s, 2m, 1h or 7d"), "{bad}");
        }
        assert_eq!(parse("0s").unwrap_err(), "ttl is 0 ms; it must be at least 1");
        assert!(parse("999999999999999999d").unwrap_err().contains("the longest"));
    }
}
