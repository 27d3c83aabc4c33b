//! Reads what one Rust source file defines, imports and names, from its tokens.
//!
//! Tokens are read, not a syntax tree: a path is then found in the same way in an expression, a type, a pattern, an
//! attribute and the arguments of a macro, which a syntax tree leaves unparsed.

use std::str::FromStr;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The scope of one module: a file, or a `mod name { … }` inside of one.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// The names of the items that the module defines, `macro_rules!` included.
    pub(crate) definitions: Vec<String>,
    /// The `macro_rules!` that the module defines.
    pub(crate) macros: Vec<Macro>,
    /// The module's `use` declarations, one for each imported name.
    pub(crate) imports: Vec<Import>,
    /// The paths that the module's code names.
    pub(crate) references: Vec<Reference>,
    /// The modules that the module declares.
    pub(crate) children: Vec<Child>,
}

/// A macro that is defined by `macro_rules!`.
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) name: String,
    /// Whether `#[macro_export]` puts the macro into the root of the crate.
    pub(crate) exported: bool,
}

/// One name that a `use` declaration brings into a module.
#[derive(Debug)]
pub(crate) struct Import {
    /// The path that is imported, from its first segment on.
    pub(crate) path: Vec<String>,
    /// The name in the module, or none for a glob.
    pub(crate) name: Option<String>,
    /// Whether the declaration is `pub` in some way.
    pub(crate) reexported: bool,
    pub(crate) line: usize,
}

/// A path in the code of a module.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) path: Vec<String>,
    /// Whether the path is that of a macro that is invoked.
    pub(crate) invoked: bool,
    pub(crate) line: usize,
}

/// A module that another one declares.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: String,
    /// The scope of a module that is written out in the same file, none for one in a file of its own.
    pub(crate) inline: Option<Scope>,
    /// The file that `#[path = "…"]` names.
    pub(crate) file: Option<String>,
    /// Whether `#[macro_use]` makes the child's macros known to its parent.
    pub(crate) macro_use: bool,
}

/// Reads one file. Code under `#[cfg(test)]` is left out.
pub(crate) fn read(code: &str) -> Result<Scope, String> {
    let tokens = TokenStream::from_str(code).map_err(|error| error.to_string())?;
    let mut scope = Scope::default();
    Reader { tokens: tokens.into_iter().collect(), at: 0, level: Level::Module }.read_into(&mut scope);
    Ok(scope)
}

/// Where tokens stand, which decides what they mean.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    /// Directly in a module: items are defined here.
    Module,
    /// Inside of an item.
    Item,
    /// Inside of an attribute, where a string may hold a path (`serde(with = "…")`).
    Attribute,
    /// The body of a `macro_rules!`: only a path that begins with `crate` is certain to mean this crate's item.
    Macro,
}

/// A position in a list of tokens.
struct Reader {
    tokens: Vec<TokenTree>,
    at: usize,
    level: Level,
}

/// The attributes that stand before an item and matter here.
#[derive(Default)]
struct Attributes {
    test: bool,
    file: Option<String>,
    macro_use: bool,
    macro_export: bool,
}

impl Reader {
    fn read_into(mut self, scope: &mut Scope) {
        let mut attributes = Attributes::default();
        while let Some(token) = self.tokens.get(self.at) {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    self.attribute(scope, &mut attributes);
                    if attributes.test {
                        self.skip_item();
                        attributes = Attributes::default();
                    }
                    continue;
                }
                TokenTree::Group(group) => {
                    let inside = Self {
                        tokens: group.stream().into_iter().collect(),
                        at: 0,
                        level: if self.level == Level::Module { Level::Item } else { self.level },
                    };
                    inside.read_into(scope);
                }
                TokenTree::Literal(literal) if self.level == Level::Attribute => {
                    let line = literal.span().start().line;
                    if let Some(path) = path_in_string(&literal.to_string()) {
                        scope.references.push(Reference { path, invoked: false, line });
                    }
                }
                TokenTree::Ident(_) => {
                    self.word(scope, &mut attributes);
                    continue;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.at += 1;
        }
    }

    /// Reads the attribute that begins here, and goes on behind it.
    fn attribute(&mut self, scope: &mut Scope, attributes: &mut Attributes) {
        self.at += 1;
        if self.punct(0, '!') {
            self.at += 1;
        }
        let Some(TokenTree::Group(group)) = self.tokens.get(self.at) else { return };
        let text: String = group.stream().to_string().split_whitespace().collect();
        attributes.test |= text.starts_with("cfg(test") || text.starts_with("cfg(all(test");
        attributes.macro_use |= text == "macro_use";
        attributes.macro_export |= text == "macro_export";
        if let Some(file) = text.strip_prefix("path=") {
            attributes.file = Some(file.trim_matches('"').to_owned());
        }
        let tokens = group.stream().into_iter().collect();
        if !text.starts_with("doc=") {
            Self { tokens, at: 0, level: Level::Attribute }.read_into(scope);
        }
        self.at += 1;
    }

    /// Goes on behind the item, field or statement that begins here.
    fn skip_item(&mut self) {
        let mut is_item = self.level == Level::Module;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token {
                TokenTree::Ident(word) if word == "fn" || word == "impl" => is_item = true,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
                TokenTree::Punct(punct) if punct.as_char() == ';' => return,
                TokenTree::Punct(punct) if punct.as_char() == ',' && !is_item => return,
                _ => {}
            }
        }
    }

    /// Reads what begins with the identifier here, and goes on behind it.
    fn word(&mut self, scope: &mut Scope, attributes: &mut Attributes) {
        let (word, next) = (self.ident(0).unwrap_or_default(), self.ident(1));
        let in_module = self.level == Level::Module;
        match (&*word, next) {
            // A lifetime, as in `&'static str`.
            ("static", _) if !self.begins_a_path(self.at) => self.at += 1,
            ("use", _) if !self.punct(1, '<') => {
                let reexported = in_module && self.is_public();
                self.at += 1;
                self.use_tree(&[], reexported, scope);
            }
            ("mod", Some(name)) if in_module => {
                let attributes = std::mem::take(attributes);
                self.child(name, attributes, scope);
            }
            ("macro_rules", _) if self.punct(1, '!') && self.ident(2).is_some() => {
                let name = self.ident(2).unwrap_or_default();
                if in_module {
                    scope.definitions.push(name.clone());
                    let exported = std::mem::take(attributes).macro_export;
                    scope.macros.push(Macro { name, exported });
                }
                if let Some(TokenTree::Group(body)) = self.tokens.get(self.at + 3) {
                    let tokens = body.stream().into_iter().collect();
                    Self { tokens, at: 0, level: Level::Macro }.read_into(scope);
                }
                self.at += 4;
            }
            ("fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static", Some(name)) => {
                if in_module {
                    scope.definitions.push(name.clone());
                }
                // `const fn`, `static mut`: the name comes later.
                self.at += if matches!(&*name, "fn" | "unsafe" | "async" | "extern" | "mut") { 1 } else { 2 };
                *attributes = Attributes::default();
            }
            _ => self.path(scope),
        }
    }

    /// Whether `pub`, or `pub(…)`, stands before this place.
    fn is_public(&self) -> bool {
        let before = |steps: usize| self.at.checked_sub(steps).and_then(|at| self.tokens.get(at));
        let is_pub =
            |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Ident(word)) if word == "pub");
        is_pub(before(1)) || (matches!(before(1), Some(TokenTree::Group(_))) && is_pub(before(2)))
    }

    /// Reads the declaration of a module, and goes on behind it.
    fn child(&mut self, name: String, attributes: Attributes, scope: &mut Scope) {
        let inline = match self.tokens.get(self.at + 2) {
            Some(TokenTree::Group(body)) => {
                let mut inside = Scope::default();
                let tokens = body.stream().into_iter().collect();
                Self { tokens, at: 0, level: Level::Module }.read_into(&mut inside);
                Some(inside)
            }
            _ => None,
        };
        let Attributes { file, macro_use, .. } = attributes;
        scope.children.push(Child { name, inline, file, macro_use });
        self.at += 3;
    }

    /// Reads a `use` declaration, or a part of it below a prefix, up to the comma or semicolon that ends it.
    fn use_tree(&mut self, prefix: &[String], reexported: bool, scope: &mut Scope) {
        let mut path = prefix.to_vec();
        if prefix.is_empty() && self.double_colon(0) {
            // A foreign crate, whose name may be that of a module here.
            path.push("::".to_owned());
        }
        let (mut alias, mut line) = (None, 0);
        while let Some(token) = self.tokens.get(self.at) {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    alias = self.ident(1);
                    self.at += 1;
                }
                TokenTree::Ident(word) => {
                    path.push(plain(&word.to_string()));
                    line = word.span().start().line;
                }
                TokenTree::Group(group) => {
                    let tokens: Vec<_> = group.stream().into_iter().collect();
                    let mut inside = Self { tokens, at: 0, level: self.level };
                    while inside.at < inside.tokens.len() {
                        inside.use_tree(&path, reexported, scope);
                        inside.at += 1;
                    }
                    self.at += 1;
                    return;
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    let line = punct.span().start().line;
                    self.at += 1;
                    return self.import(Import { path, name: None, reexported, line }, scope);
                }
                TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => break,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.at += 1;
        }
        if path.len() == prefix.len() {
            return;
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = alias.or_else(|| path.last().cloned());
        self.import(Import { path, name, reexported, line }, scope);
    }

    fn import(&self, import: Import, scope: &mut Scope) {
        if self.level != Level::Macro || import.path.first().is_some_and(|first| first == "crate") {
            scope.imports.push(import);
        }
    }

    /// Reads the path that begins here, and goes on behind it.
    fn path(&mut self, scope: &mut Scope) {
        let (first, line) = (self.at, self.tokens[self.at].span().start().line);
        let mut path = Vec::new();
        while let Some(segment) = self.ident(0) {
            path.push(segment);
            self.at += 1;
            if !self.double_colon(0) || self.ident(2).is_none() {
                break;
            }
            self.at += 2;
        }
        let invoked = self.punct(0, '!') && matches!(self.tokens.get(self.at + 1), Some(TokenTree::Group(_)));
        let names_a_field = path.len() == 1 && self.punct(0, ':') && !self.double_colon(0);
        let absolute = path.first().is_some_and(|first| first == "crate");
        if self.begins_a_path(first) && !names_a_field && (absolute || self.level != Level::Macro) {
            scope.references.push(Reference { path, invoked, line });
        }
    }

    /// Whether an identifier here is the start of a path, and not a field, a method, a lifetime or an associated item.
    fn begins_a_path(&self, at: usize) -> bool {
        let before = |steps: usize| match self.tokens.get(at.checked_sub(steps)?)? {
            TokenTree::Punct(punct) => Some((punct.as_char(), punct.spacing())),
            _ => None,
        };
        match before(1) {
            // `..Default::default()` is a range or a rest, `.default()` a method.
            Some(('.', _)) => before(2) == Some(('.', Spacing::Joint)),
            Some((':', _)) => before(2) != Some((':', Spacing::Joint)),
            Some(('\'', _)) => false,
            _ => true,
        }
    }

    fn ident(&self, ahead: usize) -> Option<String> {
        match self.tokens.get(self.at + ahead)? {
            TokenTree::Ident(word) => Some(plain(&word.to_string())),
            _ => None,
        }
    }

    fn punct(&self, ahead: usize, wanted: char) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
    }

    fn double_colon(&self, ahead: usize) -> bool {
        self.punct(ahead, ':') && self.punct(ahead + 1, ':')
    }
}

/// A raw identifier (`r#type`) without its mark.
fn plain(word: &str) -> String {
    word.trim_start_matches("r#").to_owned()
}

/// The path that a string consists of, where it can be one.
fn path_in_string(literal: &str) -> Option<Vec<String>> {
    let text = literal.strip_prefix('"')?.strip_suffix('"')?;
    let segments: Vec<String> = text.split("::").map(str::to_owned).collect();
    let is_name = |segment: &String| {
        !segment.is_empty() && segment.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    segments.iter().all(is_name).then_some(segments)
}
