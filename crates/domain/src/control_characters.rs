//! Characters that untrusted text must not put into a log line or onto a terminal.

/// Whether `character` is not shown itself, or changes how the text around it is shown: control characters (C0, C1, DEL), line and
/// paragraph separators, bidirectional controls, and characters without width such as tags. In a name they make two names look the same.
pub fn is_control_or_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_sees_is_neither_control_nor_invisible() {
        assert!(!"rig 7 · Köln · я · 名前 · 🦀\u{fe0f} \u{fffd}".contains(is_control_or_invisible));
        for hidden in [
            '\n',
            '\t',
            '\u{1b}',
            '\u{7f}',
            '\u{9b}',
            '\u{2028}',
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{e0041}',
        ] {
            assert!(is_control_or_invisible(hidden), "{hidden:?}");
        }
    }
}
