//! The insert into `outcome`, written once: every statement that ends tasks contains it.

/// The text that inserts an outcome for each row of `from`, which has the columns of `unfinished_task`.
///
/// `now` is the expression of the current time, and `by` that of the administrator who cancels. An outcome never ends before it
/// started, even if the clock was set back. The TTL is read off a running task's deadline; a task that has not started has neither
/// start nor TTL.
///
/// It is a macro because statements are constants, and `concat!` joins literals only.
macro_rules! insert_outcome {
    (
        now: $now:literal,
        status: $status:literal,
        reason: $reason:literal,
        by: $by:literal,
        result: $result:literal,
        error: $error:literal,
        from: $from:expr
    ) => {
        concat!(
            "insert into outcome (
                id, owner, type, status, reason, attempt, started_at, ended_at, ttl_ms, worker, subject, cancelled_by,
                result, error)
            select id, owner, type, ",
            $status,
            ", ",
            $reason,
            ", attempt, started_at, case when started_at > ",
            $now,
            " then started_at else ",
            $now,
            " end, (due_at - started_at) / 1000, worker, subject, ",
            $by,
            ", ",
            $result,
            ", ",
            $error,
            " from ",
            $from
        )
    };
    (
        now: $now:literal,
        status: $status:literal,
        reason: $reason:literal,
        result: $result:literal,
        error: $error:literal,
        from: $from:expr
    ) => {
        $crate::tasks::insert_outcome::insert_outcome!(
            now: $now,
            status: $status,
            reason: $reason,
            by: "null",
            result: $result,
            error: $error,
            from: $from
        )
    };
    (now: $now:literal, cancelled: $reason:literal, by: $by:literal, from: $from:expr) => {
        $crate::tasks::insert_outcome::insert_outcome!(
            now: $now,
            status: "'CANCELLED'",
            reason: $reason,
            by: $by,
            result: "null",
            error: "null",
            from: $from
        )
    };
}

pub(crate) use insert_outcome;
