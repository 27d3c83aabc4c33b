//! All declarations of a worker: each is checked by itself, and no type may be declared twice.

use domain::TypeName;

use crate::declared::declaration::OperationDeclaration;
use crate::declared::declaration_error::{BrokenRules, DeclarationError};
use crate::declared::declaration_source::DeclarationSource;
use crate::declared::declared_operation::DeclaredOperation;
use crate::declared::directory::{DeclarationPlace, PlacedDeclaration};

/// A declaration that was checked.
#[derive(Debug)]
pub struct CheckedDeclaration {
    /// Where it is written.
    pub place: DeclarationPlace,
    /// The declaration as it is written.
    pub declaration: OperationDeclaration,
    /// The operation, or the rules that the declaration breaks.
    pub checked: Result<DeclaredOperation, DeclarationError>,
}

impl CheckedDeclaration {
    /// Checks every declaration. None may have a type of `builtin`, and of several for one type only the first can be valid.
    pub fn check_all(
        declarations: Vec<PlacedDeclaration>,
        builtin: &[TypeName],
        source: &DeclarationSource<'_>,
    ) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for PlacedDeclaration { place, directory, declaration } in declarations {
            let name = &declaration.name;
            let checked = match all.iter().find(|earlier| earlier.declaration.name == *name) {
                Some(first) => {
                    let places = format!("{} and in {place}", first.place);
                    Err(invalid_type(name, &format!("must be declared once, and is declared in {places}")))
                }
                None if builtin.contains(name) => {
                    Err(invalid_type(name, "must not be that of a built-in operation"))
                }
                None => declaration.clone().compile(&directory, source),
            };
            all.push(Self { place, declaration, checked });
        }
        all
    }
}

fn invalid_type(name: &TypeName, rule: &str) -> DeclarationError {
    let mut broken = BrokenRules::default();
    broken.add(format!("`type` {rule}"));
    broken.into_error(name).expect("a rule was added")
}
