//! Why a declaration is no operation: every rule that it breaks, each as a sentence.

use std::fmt;

use domain::TypeName;

/// The rules that a declaration breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclarationError {
    operation: TypeName,
    sentences: Vec<String>,
}

/// The rules that were found to be broken so far: all of them are told at once.
#[derive(Debug, Default)]
pub(crate) struct BrokenRules(Vec<String>);

impl DeclarationError {
    /// The rules that are broken, each as a sentence that names the key.
    pub fn sentences(&self) -> &[String] {
        &self.sentences
    }
}

impl BrokenRules {
    /// Adds the sentence `rule`, which names the key and the rule.
    pub(crate) fn add(&mut self, rule: impl Into<String>) {
        self.0.push(rule.into());
    }

    /// Adds the sentence `rule` unless the rule `is_kept`.
    pub(crate) fn check(&mut self, is_kept: bool, rule: impl FnOnce() -> String) {
        if !is_kept {
            self.add(rule());
        }
    }

    /// The error of the declaration of `operation`; `None` if every rule is kept.
    pub(crate) fn into_error(self, operation: &TypeName) -> Option<DeclarationError> {
        let error = DeclarationError { operation: operation.clone(), sentences: self.0 };
        (!error.sentences.is_empty()).then_some(error)
    }
}

impl fmt::Display for DeclarationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}: {}", self.operation, self.sentences.join("; "))
    }
}

impl std::error::Error for DeclarationError {}
