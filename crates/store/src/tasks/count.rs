//! Counts tasks by status and type, of one owner or of all, up to a limit that bounds what is read.

use database::{DatabaseError, on};
use domain::{OwnerId, Status, StatusCount, TaskCountsResponse, TypeCount, TypeName};
use uuid::Uuid;

use crate::decode::{parse_column, row_struct};
use crate::store::Store;

/// How many tasks are counted at most of those that have not ended, and of those that have.
pub const COUNT_LIMIT: u32 = 100_000;

/// The newest tasks of an owner that have not ended, and the newest of each final status. Whole rows are compared, as in lists.
const OF_OWNER: &str = "
    select name, status, count(*) as tasks from (
        select u.type as name, case when u.phase + 0 = 2 then 'RUNNING' else 'CREATED' end as status
        from unfinished_task u where (u.owner, u.id) >= ($1, $2) and (u.owner, u.id) <= ($1, $3)
        order by u.owner desc, u.id desc limit $4) unfinished
    group by name, status
    union all
    select name, 'FINISHED' as status, count(*) as tasks from (
        select o.type as name from outcome o
        where (o.owner, o.status, o.id) >= ($1, 'FINISHED', $2) and (o.owner, o.status, o.id) <= ($1, 'FINISHED', $3)
        order by o.owner desc, o.status desc, o.id desc limit $4) finished
    group by name
    union all
    select name, 'CANCELLED' as status, count(*) as tasks from (
        select o.type as name from outcome o
        where (o.owner, o.status, o.id) >= ($1, 'CANCELLED', $2) and (o.owner, o.status, o.id) <= ($1, 'CANCELLED', $3)
        order by o.owner desc, o.status desc, o.id desc limit $4) cancelled
    group by name";

/// The newest tasks of all owners that have not ended, and the newest of those that have.
const OF_ALL: &str = "
    select name, status, count(*) as tasks from (
        select u.type as name, case when u.phase + 0 = 2 then 'RUNNING' else 'CREATED' end as status
        from unfinished_task u where u.id >= $2 and u.id <= $3 order by u.id desc limit $4) unfinished
    group by name, status
    union all
    select name, status, count(*) as tasks from (
        select o.type as name, o.status from outcome o where o.id >= $2 and o.id <= $3
        order by o.id desc limit $4) ended
    group by name, status";

row_struct! {
    struct CountRow {
        name: String,
        status: String,
        tasks: i64,
    }
}

impl Store {
    /// The number of tasks of `owner`, or of all owners, in each status and of each type in each status. It counts at most
    /// [`COUNT_LIMIT`] tasks that have not ended and as many that have (of an owner: of each final status), the newest.
    pub async fn count(&self, owner: Option<OwnerId>) -> Result<TaskCountsResponse, DatabaseError> {
        self.count_up_to(owner, COUNT_LIMIT).await
    }

    async fn count_up_to(
        &self,
        owner: Option<OwnerId>,
        limit: u32,
    ) -> Result<TaskCountsResponse, DatabaseError> {
        let text = if owner.is_some() { OF_OWNER } else { OF_ALL };
        let id = owner.map(|owner| owner.0);
        let rows: Vec<CountRow> = on!(&self.db, read, pool =>
            sqlx::query_as(text).bind(id).bind(Uuid::nil()).bind(Uuid::max()).bind(i64::from(limit))
                .fetch_all(pool).await)?;
        let mut types = rows.into_iter().map(|row| type_count(&row)).collect::<Result<Vec<_>, _>>()?;
        types.sort_by(|a, b| {
            (a.type_name.as_str(), a.status as u8).cmp(&(b.type_name.as_str(), b.status as u8))
        });
        let count = |status: Status| {
            types.iter().filter(|count| count.status == status).map(|count| count.count).sum::<u64>()
        };
        // What was counted together with a status: all that share one limit.
        let counted_with = |status: Status| match status {
            Status::Created | Status::Running => count(Status::Created) + count(Status::Running),
            Status::Finished | Status::Cancelled if owner.is_none() => {
                count(Status::Finished) + count(Status::Cancelled)
            }
            Status::Finished | Status::Cancelled => count(status),
        };
        let statuses = Status::ALL.iter().map(|&status| StatusCount {
            status,
            count: count(status),
            is_exact: counted_with(status) < u64::from(limit),
        });
        Ok(TaskCountsResponse { statuses: statuses.collect(), types, limit })
    }
}

fn type_count(row: &CountRow) -> Result<TypeCount, DatabaseError> {
    let type_name: TypeName = parse_column("task", format_args!("of type {:?}", row.name), &row.name)?;
    let status = parse_column("outcome", &type_name, &row.status)?;
    Ok(TypeCount { type_name, status, count: row.tasks.cast_unsigned() })
}

#[cfg(test)]
mod tests {
    use database::ProcessClock;
    use domain::{NotBefore, Submission, Ttl};
    use testkit::TestDatabase;

    use super::*;

    /// Of more tasks than are counted it says that there may be more.
    #[tokio::test]
    async fn a_count_that_reaches_its_limit_is_not_exact() {
        for scratch in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
            let store = Store::new(scratch.open(), ProcessClock::default());
            store.migrate().await.unwrap();
            let (owner, name): (_, TypeName) = (OwnerId(Uuid::from_u128(7)), "ECHO".parse().unwrap());
            let submission = || Submission {
                id: store.new_task_id(),
                owner,
                type_name: name.clone(),
                queue: domain::QueueName::default(),
                parameters: None,
                ttl: Ttl::DEFAULT_MAX,
                not_before: NotBefore::Submission,
                start_within: Ttl::DEFAULT_MAX,
                options: domain::TaskOptions::default(),
                trace: None,
            };
            let batch: Vec<Submission> = (0..5).map(|_| submission()).collect();
            store.submit(&batch).await.unwrap();
            store.cancel(owner, &[batch[0].id, batch[1].id]).await.unwrap();
            for counted in [Some(owner), None] {
                let of = |limit| {
                    let store = &store;
                    async move {
                        let counts = store.count_up_to(counted, limit).await.unwrap();
                        let statuses = counts.statuses.iter().map(|status| (status.count, status.is_exact));
                        statuses.collect::<Vec<_>>()
                    }
                };
                assert_eq!(of(4).await, [(3, true), (0, true), (0, true), (2, true)]);
                assert_eq!(of(3).await, [(3, false), (0, false), (0, true), (2, true)]);
                assert_eq!(of(2).await[0], (2, false));
                assert_eq!(of(2).await[3], (2, false));
            }
            assert_eq!(store.count(Some(OwnerId(Uuid::nil()))).await.unwrap().types, []);
            store.close().await;
        }
    }
}
