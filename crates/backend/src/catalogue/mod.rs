//! The registered operations, cached in memory with their compiled schemas.

pub(crate) mod compiled_operation;
mod duplicate_members;

use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

use database::DatabaseError;
use domain::{Operation, TypeName};
use store::Store;

use crate::catalogue::compiled_operation::CompiledOperation;
use crate::error::ApiError;
use crate::invalid_input_text::did_you_mean;

/// Operations by type.
type OperationMap = BTreeMap<TypeName, Arc<CompiledOperation>>;

/// The operations as this process last read them from the store. The clones share one map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    operations: Arc<RwLock<Arc<OperationMap>>>,
}

impl Catalogue {
    /// Reads new versions from the store. A read that overlaps with a later one changes nothing, since versions only rise.
    /// An operation whose schema does not compile keeps its last good version.
    pub(crate) async fn reload(&self, store: &Store) -> Result<(), DatabaseError> {
        let operations = store.catalogue().await?;
        let before = self.all();
        let newer = operations.into_iter().filter(|operation| is_newer(&before, operation));
        let compiled: Vec<CompiledOperation> = newer.filter_map(CompiledOperation::compile_or_log).collect();
        if compiled.is_empty() {
            return Ok(());
        }
        let mut current = self.operations.write();
        let mut operations = BTreeMap::clone(&current);
        for compiled in compiled {
            if is_newer(&operations, &compiled.operation) {
                operations.insert(compiled.operation.name.clone(), Arc::new(compiled));
            }
        }
        *current = Arc::new(operations);
        Ok(())
    }

    /// Every cached operation.
    pub(crate) fn all(&self) -> Arc<OperationMap> {
        self.operations.read().clone()
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
        operations.get(&name).cloned().ok_or_else(|| unknown_type(&name, &operations))
    }
}

fn is_newer(operations: &OperationMap, operation: &Operation) -> bool {
    let known = operations.get(&operation.name);
    known.is_none_or(|known| known.operation.version < operation.version)
}

fn unknown_type(name: &TypeName, operations: &OperationMap) -> ApiError {
    let names: Vec<&str> = operations.keys().map(TypeName::as_str).collect();
    let hint = did_you_mean(name.as_str(), names.iter().copied());
    let known = names.join(", ");
    ApiError::invalid("unknown-type", "/type", format!("there is no type {name} (known: {known}){hint}"))
}
