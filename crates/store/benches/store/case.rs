//! What is measured: each case and its name.

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

/// How tasks are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each by its id, as a ticket names it.
    ById,
    /// Whatever is oldest.
    ByPull,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) way: Way,
    /// How many tasks each call of the store carries.
    pub(crate) batch: usize,
    /// How many loops of submit, claim, settle run at once.
    pub(crate) writers: usize,
    /// Beside many that wait.
    pub(crate) waiting: bool,
    /// Beside a transaction that holds a snapshot all the time.
    pub(crate) snapshot: bool,
}

impl Case {
    /// Every case, in the order of the table.
    pub(crate) fn all(quick: bool) -> Vec<Self> {
        let mut cases = Vec::new();
        let batches: &[usize] = if quick { &[10, 100] } else { &[1, 10, 100, 500] };
        for kind in [Kind::Postgres, Kind::Sqlite] {
            for waiting in [false, true] {
                for way in [Way::ById, Way::ByPull] {
                    for &batch in batches {
                        let writers = writers(kind, batch);
                        cases.push(Self { kind, way, batch, writers, waiting, snapshot: false });
                    }
                }
                for way in [Way::ById, Way::ByPull] {
                    if kind == Kind::Postgres || !quick && !waiting {
                        let writers = writers(kind, 100);
                        cases.push(Self { kind, way, batch: 100, writers, waiting, snapshot: true });
                    }
                }
            }
        }
        cases
    }

    pub(crate) fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Postgres => "postgres",
            Kind::Sqlite => "sqlite",
        };
        let way = match self.way {
            Way::ById => "by-id",
            Way::ByPull => "by-pull",
        };
        let waiting = if self.waiting { ", many waiting" } else { "" };
        let snapshot = if self.snapshot { ", beside a snapshot" } else { "" };
        format!("{kind} {way} batch-{}{waiting}{snapshot}", self.batch)
    }
}

/// As many as the database can use: SQLite writes one batch at a time, big batches fill both cores by themselves.
fn writers(kind: Kind, batch: usize) -> usize {
    match (kind, batch) {
        (Kind::Sqlite, _) => 1,
        (Kind::Postgres, 500..) => 2,
        (Kind::Postgres, _) => 4,
    }
}
