//! The registered operations, cached in memory with their compiled schemas.

pub(crate) mod compiled_operation;
pub(crate) mod duplicate_members;

use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use database::DatabaseError;
use domain::{Operation, RawJson, TypeName};
use json_schema::Violation;
use store::Store;

use crate::catalogue::compiled_operation::CompiledOperation;
use crate::error::ApiError;
use crate::invalid_input_text::did_you_mean;

/// Operations by type.
type OperationMap = BTreeMap<TypeName, Arc<CompiledOperation>>;

/// The operations as this process last read them from the store. The clones share one map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The number of reads that have begun.
    reads: AtomicU64,
    content: RwLock<Content>,
}

/// What a read has found.
#[derive(Debug, Default)]
struct Content {
    /// The number of the read.
    read: u64,
    operations: Arc<OperationMap>,
    known_types: Arc<BTreeSet<TypeName>>,
}

impl Catalogue {
    /// Reads the operations from the store. A read that began before the one whose content is cached changes nothing. An
    /// operation whose schemas do not compile keeps its last good version.
    pub(crate) async fn reload(&self, store: &Store) -> Result<(), DatabaseError> {
        let read = self.shared.reads.fetch_add(1, Ordering::Relaxed) + 1;
        let known_types = store.known_types().await?;
        let registered = store.catalogue().await?;
        let before = self.all();
        let compile = |operation: Operation| {
            let cached = before.get(&operation.name).cloned();
            let compiled = match cached {
                Some(cached) if cached.operation == operation => Some(cached),
                cached => CompiledOperation::compile_or_log(operation).map(Arc::new).or(cached),
            };
            compiled.map(|compiled| (compiled.operation.name.clone(), compiled))
        };
        let operations: OperationMap = registered.into_iter().filter_map(compile).collect();
        let mut content = self.shared.content.write();
        if content.read < read {
            *content = Content { read, operations: Arc::new(operations), known_types: Arc::new(known_types) };
        }
        Ok(())
    }

    /// Every type of which there may be tasks: the cached operations, and those that were removed.
    pub(crate) fn known_types(&self) -> Arc<BTreeSet<TypeName>> {
        self.shared.content.read().known_types.clone()
    }

    /// Every cached operation.
    pub(crate) fn all(&self) -> Arc<OperationMap> {
        self.shared.content.read().operations.clone()
    }

    /// The operation of the type `name`. One that is not cached is read from the store, since another Backend may just have
    /// registered it. Fails if there is none, with a list of those that there are.
    pub(crate) async fn find(&self, name: &str, store: &Store) -> Result<Arc<CompiledOperation>, ApiError> {
        let malformed = |_| ApiError::invalid("type-malformed", "/type", TypeName::RULE);
        let name: TypeName = name.parse().map_err(malformed)?;
        if let Some(compiled) = self.all().get(&name) {
            return Ok(compiled.clone());
        }
        self.reload(store).await?;
        let operations = self.all();
        let unknown = || ApiError::invalid("unknown-type", "/type", unknown_type(&name, &operations));
        operations.get(&name).cloned().ok_or_else(unknown)
    }

    /// Fails, with a list of the types that there are, if there can be no tasks of the type `name`, which is a value of the query
    /// parameter `type`.
    pub(crate) async fn check_known(&self, name: &TypeName, store: &Store) -> Result<(), ApiError> {
        if self.known_types().contains(name) {
            return Ok(());
        }
        self.reload(store).await?;
        if self.known_types().contains(name) {
            return Ok(());
        }
        Err(ApiError::Malformed(format!("type: {}", unknown_type(name, &self.all()))))
    }

    /// The rules that the result of a task of the type `name` breaks; none if a registered version of its operation allows it:
    /// while a new version is rolled out, workers of older ones still run. A removed operation allows every result.
    ///
    /// `result` must be JSON that can be read.
    pub(crate) async fn violations_of_result(
        &self,
        name: &TypeName,
        result: &RawJson,
        store: &Store,
    ) -> Result<Vec<Violation>, DatabaseError> {
        let violations = |compiled: &CompiledOperation| {
            compiled.violations_of_result(result).expect("the result has been read before")
        };
        if self.all().get(name).is_some_and(|newest| violations(newest).is_empty()) {
            return Ok(Vec::new());
        }
        let versions = store.operation_versions(name).await?;
        let mut of_newest = None;
        for version in versions.into_iter().filter_map(CompiledOperation::compile_or_log) {
            let violations = violations(&version);
            if violations.is_empty() {
                return Ok(violations);
            }
            of_newest.get_or_insert(violations);
        }
        Ok(of_newest.unwrap_or_default())
    }
}

fn unknown_type(name: &TypeName, operations: &OperationMap) -> String {
    let names: Vec<&str> = operations.keys().map(TypeName::as_str).collect();
    let hint = did_you_mean(name.as_str(), names.iter().copied());
    format!("there is no type {name} (known: {}){hint}", names.join(", "))
}
