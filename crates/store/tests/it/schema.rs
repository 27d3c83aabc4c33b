//! The schema after all migrations equals the files in `docs/schema`, which `UPDATE_GOLDEN=1` rewrites.

use crate::kit::TestStore;

/// The table of the test's clock is not part of the schema.
const POSTGRES: &str = "
    select '-- ' || c.relname || coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '')
        || (select string_agg(format(E'\\n%-14s %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                case when a.attnotnull then ' not null' else '' end,
                coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')), '' order by a.attnum)
            from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
        || coalesce((select string_agg(E'\\n' || pg_get_constraintdef(k.oid), '' order by k.contype, k.conname)
            from pg_constraint k where k.conrelid = c.oid), '')
        || coalesce((select string_agg(E'\\n' || i.indexdef, '' order by i.indexname)
            from pg_indexes i where i.schemaname = 'public' and i.tablename = c.relname), '')
        || case when c.relkind = 'v' then E'\\n' || pg_get_viewdef(c.oid, true) else '' end
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v') and c.relname <> 'test_clock'
    order by c.relname";

const SQLITE: &str = "select sql || ';' from sqlite_master where sql is not null and name not like 'sqlite_%' order by tbl_name, type desc, name";

#[tokio::test]
async fn the_schema_on_postgres_is_that_of_the_file() {
    let test = TestStore::postgres().await;
    golden("postgres", &lines(&test, POSTGRES).await);
    test.finish().await;
}

#[tokio::test]
async fn the_schema_on_sqlite_is_that_of_the_file() {
    let test = TestStore::sqlite().await;
    golden("sqlite", &lines(&test, SQLITE).await);
    test.finish().await;
}

async fn lines(test: &TestStore, query: &'static str) -> String {
    let rows: Vec<(String,)> =
        database::on!(&test.db, write, pool => sqlx::query_as(query).fetch_all(pool).await).unwrap();
    rows.into_iter().map(|(row,)| row + "\n").collect::<Vec<_>>().join("\n")
}

#[expect(clippy::disallowed_methods, reason = "an environment variable asks for new golden files")]
fn golden(name: &str, schema: &str) {
    let file = format!("{}/../../docs/schema/{name}.sql", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema")).unwrap();
        std::fs::write(&file, schema).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), schema, "`make golden` rewrites {file}");
}
