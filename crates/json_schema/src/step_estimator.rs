//! An upper bound of the work that the validation of a document takes. Schemas and documents come from outside, and some are tiny but
//! take time and memory that grow exponentially: each alternative of each level is tried.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// The subschemas of one schema as a graph. [`Self::estimate`] walks the graph and the document as a validator would that tries
/// every alternative.
#[derive(Debug)]
pub(crate) struct StepEstimator {
    nodes: Vec<Node>,
}

/// The validation would take more steps, or go deeper, than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuchWork;

/// The deepest nesting of schemas during a validation, which recurses: a level takes less than a kilobyte of stack.
const MAX_DEPTH: u32 = 1000;

/// The index of a node.
type NodeId = usize;

/// One subschema of the schema.
#[derive(Debug, Default)]
struct Node {
    /// Steps whatever the document is: one, and one for each value in `enum` and `const`.
    steps: u64,
    /// Steps for each member of an object: its patterns.
    steps_per_member: u64,
    /// How often each part of the document is visited.
    visits: u64,
    /// Schemas of the same part of the document.
    same: Vec<NodeId>,
    /// For an `if` that only compares members with constants: the condition and its two branches.
    guard: Option<Guard>,
    /// Schemas of members by name.
    members: HashMap<String, NodeId>,
    /// Schemas that any member may be validated against.
    any_member: Vec<NodeId>,
    /// Schemas of the first items.
    first_items: Vec<NodeId>,
    /// Schemas that any item may be validated against.
    any_item: Vec<NodeId>,
}

/// Members and the constants that they must have.
#[derive(Debug)]
struct Guard {
    constants: Vec<(String, Value)>,
    then: Option<NodeId>,
    or_else: Option<NodeId>,
}

impl StepEstimator {
    /// Reads a schema. Fails with the reason, for a person, if it has references that are not read here.
    pub(crate) fn of_schema(schema: &Value) -> Result<Self, String> {
        let mut reader =
            Reader { root: schema, nodes: Vec::new(), known: HashMap::new(), pending: Vec::new() };
        reader.add(schema);
        while let Some((id, schema)) = reader.pending.pop() {
            reader.nodes[id] = reader.read(schema)?;
        }
        Ok(Self { nodes: reader.nodes })
    }

    /// The steps that the validation of `document` takes at most; fails if they are more than `max`.
    pub(crate) fn estimate(&self, document: &Value, max: u64) -> Result<u64, TooMuchWork> {
        let mut left = max;
        self.walk(0, document, 0, &mut left)?;
        Ok(max - left)
    }

    fn walk(&self, node: NodeId, document: &Value, depth: u32, left: &mut u64) -> Result<(), TooMuchWork> {
        if depth > MAX_DEPTH {
            return Err(TooMuchWork);
        }
        let node = &self.nodes[node];
        for _ in 0..node.visits {
            *left = left.checked_sub(node.steps).ok_or(TooMuchWork)?;
            for same in &node.same {
                self.walk(*same, document, depth + 1, left)?;
            }
            if let Some(guard) = &node.guard {
                *left = left.checked_sub(guard.constants.len() as u64).ok_or(TooMuchWork)?;
                let branch = if guard.holds(document) { guard.then } else { guard.or_else };
                if let Some(branch) = branch {
                    self.walk(branch, document, depth + 1, left)?;
                }
            }
            match document {
                Value::Object(members) => self.walk_members(node, members, depth, left)?,
                Value::Array(items) => {
                    for (place, item) in items.iter().enumerate() {
                        for schema in node.first_items.get(place).into_iter().chain(&node.any_item) {
                            self.walk(*schema, item, depth + 1, left)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn walk_members(
        &self,
        node: &Node,
        members: &Map<String, Value>,
        depth: u32,
        left: &mut u64,
    ) -> Result<(), TooMuchWork> {
        for (name, member) in members {
            *left = left.checked_sub(node.steps_per_member).ok_or(TooMuchWork)?;
            for schema in node.members.get(name).into_iter().chain(&node.any_member) {
                self.walk(*schema, member, depth + 1, left)?;
            }
        }
        Ok(())
    }
}

impl Guard {
    fn holds(&self, document: &Value) -> bool {
        self.constants.iter().all(|(name, constant)| document.get(name) == Some(constant))
    }
}

/// Reads schemas; each place is read once, so that recursive references end.
struct Reader<'a> {
    root: &'a Value,
    nodes: Vec<Node>,
    known: HashMap<*const Value, NodeId>,
    /// Nodes that are still to be read.
    pending: Vec<(NodeId, &'a Value)>,
}

impl<'a> Reader<'a> {
    /// The node of a schema, which is read later if it is new.
    fn add(&mut self, schema: &'a Value) -> NodeId {
        *self.known.entry(schema).or_insert_with(|| {
            self.nodes.push(Node::default());
            self.pending.push((self.nodes.len() - 1, schema));
            self.nodes.len() - 1
        })
    }

    fn read(&mut self, schema: &'a Value) -> Result<Node, String> {
        let mut node = Node { steps: 1, visits: 1, ..Node::default() };
        if let Value::Object(keywords) = schema {
            node.guard = self.guard(keywords);
            for (keyword, value) in keywords {
                self.read_keyword(&mut node, keyword, value)?;
            }
            let is_root = std::ptr::eq(schema, self.root);
            if let Some(id) = ["$id", "id"].into_iter().find(|id| keywords.contains_key(*id) && !is_root) {
                return Err(format!("{id} is allowed at the top of the schema only"));
            }
        }
        Ok(node)
    }

    fn read_keyword(&mut self, node: &mut Node, keyword: &str, value: &'a Value) -> Result<(), String> {
        match keyword {
            "enum" | "const" => node.steps += size(value),
            "allOf" | "anyOf" | "oneOf" => node.same.extend(self.add_list(value)),
            "if" | "then" | "else" if node.guard.is_some() => {}
            "not" | "if" | "then" | "else" => node.same.push(self.add(value)),
            "dependentSchemas" | "dependencies" => node.same.extend(self.add_members(value).into_values()),
            "$ref" => node.same.push(self.read_reference(value)?),
            "$dynamicRef" | "$recursiveRef" => return Err(format!("{keyword} is not supported: use $ref")),
            "properties" => node.members = self.add_members(value),
            "patternProperties" => {
                let schemas = self.add_members(value);
                node.steps_per_member += schemas.len() as u64;
                node.any_member.extend(schemas.into_values());
            }
            "additionalProperties" | "propertyNames" => node.any_member.push(self.add(value)),
            "unevaluatedProperties" => {
                node.visits = 2;
                node.any_member.push(self.add(value));
            }
            "prefixItems" => node.first_items = self.add_list(value),
            // In drafts before 2020-12 it may be a list.
            "items" if value.is_array() => node.first_items = self.add_list(value),
            "items" | "additionalItems" | "contains" => node.any_item.push(self.add(value)),
            "unevaluatedItems" => {
                node.visits = 2;
                node.any_item.push(self.add(value));
            }
            _ => {}
        }
        Ok(())
    }

    fn add_list(&mut self, schemas: &'a Value) -> Vec<NodeId> {
        schemas.as_array().into_iter().flatten().map(|schema| self.add(schema)).collect()
    }

    fn add_members(&mut self, schemas: &'a Value) -> HashMap<String, NodeId> {
        let schemas = schemas.as_object().into_iter().flatten();
        schemas.map(|(name, schema)| (name.clone(), self.add(schema))).collect()
    }

    fn read_reference(&mut self, reference: &'a Value) -> Result<NodeId, String> {
        let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
        match pointer.and_then(|pointer| self.root.pointer(pointer)) {
            Some(schema) => Ok(self.add(schema)),
            None => {
                Err(format!("$ref {reference} is not a JSON Pointer into the schema, like \"#/$defs/Name\""))
            }
        }
    }

    /// The guard of `if` … `then` … `else`, if the condition compares members with constants only.
    fn guard(&mut self, keywords: &'a Map<String, Value>) -> Option<Guard> {
        let constants = keywords.get("if").and_then(guard_constants)?;
        let mut branch = |keyword| keywords.get(keyword).map(|schema| self.add(schema));
        Some(Guard { constants, then: branch("then"), or_else: branch("else") })
    }
}

/// The members that `condition` compares with constants, if that is all it does, as [`crate::tagged_unions`] writes it.
fn guard_constants(condition: &Value) -> Option<Vec<(String, Value)>> {
    let condition = condition.as_object().filter(|condition| condition.len() == 2)?;
    let required = condition.get("required")?.as_array()?;
    let properties = condition.get("properties")?.as_object()?;
    let constant = |(name, schema): (&String, &Value)| {
        let schema = schema.as_object().filter(|schema| schema.len() == 1)?;
        Some((name.clone(), schema.get("const")?.clone()))
    };
    let constants: Vec<_> = properties.iter().map(constant).collect::<Option<_>>()?;
    (required.len() == constants.len()
        && constants.iter().all(|(name, _)| required.iter().any(|required| required == name)))
    .then_some(constants)
}

/// The number of values in a document.
pub(crate) fn size(document: &Value) -> u64 {
    1 + match document {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.values().map(size).sum(),
        _ => 0,
    }
}
