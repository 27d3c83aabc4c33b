//! The cases that are measured, and their names.

/// The database server or library that a case measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    Postgres,
    Sqlite,
}

/// How tasks are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimBy {
    /// Each by its id, as after a ticket.
    Id,
    /// The oldest ready tasks of a type, as after a pull request.
    Type,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) kind: DatabaseKind,
    pub(crate) claim_by: ClaimBy,
    /// How many tasks each call of the store carries.
    pub(crate) batch: usize,
    /// How many loops of submit, claim and settle run concurrently.
    pub(crate) writers: usize,
    /// Whether many other tasks wait meanwhile.
    pub(crate) waiting: bool,
    /// Whether another transaction holds a snapshot meanwhile.
    pub(crate) snapshot: bool,
}

impl Case {
    /// Every case, in the order of the table.
    pub(crate) fn all(quick: bool) -> Vec<Self> {
        let mut cases = Vec::new();
        let batches: &[usize] = if quick { &[10, 100] } else { &[1, 10, 100, 500] };
        for kind in [DatabaseKind::Postgres, DatabaseKind::Sqlite] {
            for waiting in [false, true] {
                for claim_by in [ClaimBy::Id, ClaimBy::Type] {
                    for &batch in batches {
                        let writers = writers(kind, batch);
                        cases.push(Self { kind, claim_by, batch, writers, waiting, snapshot: false });
                    }
                }
                for claim_by in [ClaimBy::Id, ClaimBy::Type] {
                    if kind == DatabaseKind::Postgres || !quick && !waiting {
                        let writers = writers(kind, 100);
                        cases.push(Self { kind, claim_by, batch: 100, writers, waiting, snapshot: true });
                    }
                }
            }
        }
        cases
    }

    /// The name by which a word of the command line chooses the case.
    pub(crate) fn name(&self) -> String {
        let kind = match self.kind {
            DatabaseKind::Postgres => "postgres",
            DatabaseKind::Sqlite => "sqlite",
        };
        let claim_by = match self.claim_by {
            ClaimBy::Id => "by-id",
            ClaimBy::Type => "by-pull",
        };
        let waiting = if self.waiting { ", many waiting" } else { "" };
        let snapshot = if self.snapshot { ", beside a snapshot" } else { "" };
        format!("{kind} {claim_by} batch-{}{waiting}{snapshot}", self.batch)
    }
}

/// As many loops as the database can use: SQLite writes one batch at a time, and two loops with big batches keep two cores busy.
fn writers(kind: DatabaseKind, batch: usize) -> usize {
    match (kind, batch) {
        (DatabaseKind::Sqlite, _) => 1,
        (DatabaseKind::Postgres, 500..) => 2,
        (DatabaseKind::Postgres, _) => 4,
    }
}
