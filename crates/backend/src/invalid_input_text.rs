//! What the descriptions of invalid input have in common.

/// The nearest of two words must be at least this near (Jaro-Winkler similarity, 0 to 1) to be suggested.
const MIN_SIMILARITY: f64 = 0.8;

/// The JSON Pointer (RFC 6901) to the member `name` of the object at `parent`.
pub(crate) fn pointer(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// `; did you mean X?` with the most similar of `known`, or nothing if none is similar.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let given = given.to_ascii_lowercase();
    let nearest = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&given, &name.to_ascii_lowercase()), name))
        .filter(|(similarity, _)| *similarity > MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_suggested_and_a_different_one_is_not() {
        assert_eq!(did_you_mean("lenght", ["length", "alphabet"]), "; did you mean length?");
        assert_eq!(did_you_mean("zzz", ["length", "alphabet"]), "");
    }
}
