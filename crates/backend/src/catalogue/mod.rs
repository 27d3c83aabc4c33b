//! The registered operations, cached in memory with their compiled schemas.

pub(crate) mod compiled_operation;
pub(crate) mod duplicate_members;

use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use database::DatabaseError;
use domain::problem_types::tasks::{TYPE_MALFORMED, UNKNOWN_TYPE};
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
    /// The operations whose schemas do not compile. They are not compiled again.
    refused: Arc<BTreeMap<TypeName, Operation>>,
    known_types: Arc<BTreeSet<TypeName>>,
}

impl Catalogue {
    /// Reads the operations from the store. A read that began before the one whose content is cached changes nothing. An
    /// operation whose schemas do not compile keeps its last good version.
    pub(crate) async fn reload(&self, store: &Store) -> Result<(), DatabaseError> {
        let read = self.shared.reads.fetch_add(1, Ordering::Relaxed) + 1;
        let known_types = store.known_types().await?;
        let registered = store.catalogue().await?;
        let (before, refused_before) = (self.all(), self.shared.content.read().refused.clone());
        let cached = |operation: &Operation| before.get(&operation.name).cloned();
        let is_unchanged = |operation: &Operation| {
            cached(operation).is_some_and(|cached| cached.operation == *operation)
                || refused_before.get(&operation.name) == Some(operation)
        };
        // If the registered version does not compile, the cached one is kept.
        let mut operations: OperationMap = registered
            .iter()
            .filter_map(cached)
            .map(|cached| (cached.operation.name.clone(), cached))
            .collect();
        let changed = registered.iter().filter(|operation| !is_unchanged(operation)).cloned().collect();
        for compiled in CompiledOperation::compile_all(changed).await {
            operations.insert(compiled.operation.name.clone(), Arc::new(compiled));
        }
        let is_compiled = |operation: &Operation| {
            operations.get(&operation.name).is_some_and(|compiled| compiled.operation == *operation)
        };
        let refused = registered.into_iter().filter(|operation| !is_compiled(operation));
        let refused = refused.map(|operation| (operation.name.clone(), operation)).collect();
        let mut content = self.shared.content.write();
        if content.read < read {
            let (operations, refused) = (Arc::new(operations), Arc::new(refused));
            *content = Content { read, operations, refused, known_types: Arc::new(known_types) };
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
    /// registered it. Fails if there is none, with a list of the existing types.
    pub(crate) async fn find(&self, name: &str, store: &Store) -> Result<Arc<CompiledOperation>, ApiError> {
        let malformed = |_| ApiError::invalid(&TYPE_MALFORMED, "/type", TypeName::RULE);
        let name: TypeName = name.parse().map_err(malformed)?;
        if let Some(compiled) = self.all().get(&name) {
            return Ok(compiled.clone());
        }
        self.reload(store).await?;
        let operations = self.all();
        let unknown = || ApiError::invalid(&UNKNOWN_TYPE, "/type", unknown_type(&name, &operations));
        operations.get(&name).cloned().ok_or_else(unknown)
    }

    /// Fails, with a list of the existing types, if there can be no tasks of the type `name`, which is a value of the query
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
    /// `result` must be JSON that can be read.
    pub(crate) async fn violations_of_result(
        &self,
        name: &TypeName,
        result: &RawJson,
        store: &Store,
    ) -> Result<Vec<Violation>, DatabaseError> {
        let cached = self.all().get(name).cloned();
        let of_cached = match &cached {
            Some(cached) => cached.violations_of_result(result).await,
            None => Vec::new(),
        };
        if cached.is_some() && of_cached.is_empty() {
            return Ok(of_cached);
        }
        // Schemas that have refused the result already are not compiled again.
        let is_cached = |version: &Operation| {
            cached.as_ref().is_some_and(|cached| cached.operation.result == version.result)
        };
        let mut versions = store.operation_versions(name).await?;
        let mut of_newest = versions.first().is_some_and(is_cached).then_some(of_cached);
        versions.retain(|version| !is_cached(version));
        versions.dedup_by(|one, other| one.result == other.result);
        for version in CompiledOperation::compile_all(versions).await {
            let violations = Arc::new(version).violations_of_result(result).await;
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
