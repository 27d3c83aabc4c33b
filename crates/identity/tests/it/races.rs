//! What is changed between the check of a request and its write: another password, a demotion, a client that hangs up.

use std::time::Duration;

use database::{Db, on};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{PASSWORD, TestService, each_database, password_grant};
use crate::log_capture::LogCapture;

const NEW: &str = "nine blue kettles";

/// What another Identity writes when it resets the password of the account of a row.
const RESET: &str = "update account set password_hash = 'another', token_generation = token_generation + 1 \
    where id = new.account";

/// The number of connections that wait for a lock.
const WAITERS: &str =
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";

impl TestService {
    /// Makes the database run a statement after an event, such as `update on known_source`, in the transaction of the latter.
    async fn run_after(&self, event: &str, statement: &str) {
        self.add_trigger("after", event, statement, statement).await;
    }

    /// Makes the database refuse an event.
    async fn refuse(&self, event: &str) {
        self.add_trigger("before", event, "raise exception 'refused'", "select raise(abort, 'refused')")
            .await;
    }

    async fn add_trigger(&self, when: &str, event: &str, on_postgres: &str, on_sqlite: &str) {
        let statements = match &self.db {
            Db::Postgres(_) => format!(
                "create function test_trigger() returns trigger language plpgsql as \
                 $$ begin {on_postgres}; return new; end $$; \
                 create trigger test_trigger {when} {event} for each row execute function test_trigger()"
            ),
            Db::Sqlite(_) => format!("create trigger test_trigger {when} {event} begin {on_sqlite}; end"),
        };
        on!(&self.db, write, pool =>
            sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(pool).await.map(drop))
        .unwrap();
    }

    async fn count(&self, rows: &'static str) -> i64 {
        let (count,): (i64,) =
            on!(&self.db, read, pool => sqlx::query_as(rows).fetch_one(pool).await).unwrap();
        count
    }

    async fn administer_with(&self, token: &str, method: Method, path: &str, body: Value) -> Response {
        let request = self.request(method.as_str(), path).bearer_auth(token);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        request.send().await.unwrap()
    }

    /// A second administrator, its token and its session.
    async fn second_admin(&self, root: &str) -> (String, String) {
        let body = json!({"name": "eve", "password": PASSWORD, "role": "Admin"});
        let made = self.administer_with(root, Method::POST, "/api/User", body).await;
        assert_eq!(made.status(), StatusCode::CREATED);
        (self.token("eve").await, self.sign_in("eve").await)
    }

    /// Sends the head of a request whose body is withheld. When this returns, the server has checked the head and waits for the body.
    async fn send_head(&self, head: &str, body: &str) -> TcpStream {
        let address = self.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let rest = format!(
            "Host: {address}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(format!("{head}\r\n{rest}").as_bytes()).await.unwrap();
        let mut go_ahead = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut go_ahead).await.unwrap();
        assert!(go_ahead.starts_with(b"HTTP/1.1 100"), "the handler reads the body");
        stream
    }
}

/// Sends the body that was withheld, and returns the response.
async fn send_body(mut stream: TcpStream, body: &str) -> String {
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

/// Polls `request` until it is done or waits for a lock on PostgreSQL.
async fn until_it_waits(
    service: &TestService,
    request: &mut (impl Future<Output = Response> + Unpin),
) -> Option<Response> {
    loop {
        tokio::select! {
            response = &mut *request => return Some(response),
            waiters = service.count(WAITERS) => if waiters == 1 { return None },
        }
    }
}

#[tokio::test]
async fn the_own_password_is_not_changed_if_another_was_set_since_the_current_one_was_checked() {
    each_database(|service| async move {
        for name in ["ann", "bob"] {
            service.register(name).await;
        }
        let (token, session) = (service.token("ann").await, service.sign_in("bob").await);
        service.run_after("update on known_source", RESET).await;
        let body = json!({"current": PASSWORD, "new": NEW});
        let refused = service.administer_with(&token, Method::PUT, "/api/User/ann/password", body).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        let problem: Value = refused.json().await.unwrap();
        assert!(problem["type"].as_str().unwrap().ends_with("account-changed"), "{problem}");

        let form = [("Password", PASSWORD), ("NewPassword", NEW), ("ConfirmPassword", NEW)];
        let page = service.post("/Auth/Password", &form).header(COOKIE, session).send().await.unwrap();
        assert_eq!((page.status(), page.headers().get(SET_COOKIE)), (StatusCode::CONFLICT, None));
        assert!(page.text().await.unwrap().contains("was changed meanwhile"));
        assert_eq!(service.count("select count(*) from account where password_hash = 'another'").await, 2);
    })
    .await;
}

#[tokio::test]
async fn the_session_after_a_change_of_the_password_is_of_that_password() {
    each_database(|service| async move {
        service.register("ann").await;
        let session = service.sign_in("ann").await;
        let reset_again = "update account set password_hash = 'another', token_generation = token_generation + 1 \
            where id = old.account";
        service.run_after("delete on known_source", reset_again).await;
        let form = [("Password", PASSWORD), ("NewPassword", NEW), ("ConfirmPassword", NEW)];
        let changed = service.post("/Auth/Password", &form).header(COOKIE, session).send().await.unwrap();
        assert_eq!(changed.status(), StatusCode::SEE_OTHER);
        let cookies = changed.headers().get_all(SET_COOKIE).iter();
        assert!(!cookies.into_iter().any(|cookie| cookie.to_str().unwrap().starts_with("tasker-identity=")));
        assert_eq!(service.count("select count(*) from known_source").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_sign_in_with_a_password_that_was_replaced_meanwhile_leaves_nothing() {
    each_database(|service| async move {
        service.register("ann").await;
        service.token("ann").await;
        service.run_after("update on known_source", RESET).await;
        let form = [("Username", "ann"), ("Password", PASSWORD), ("ReturnUrl", "/")];
        let refused = service.post("/Auth/Login", &form).send().await.unwrap();
        let seen = (refused.status(), refused.headers().get(SET_COOKIE));
        assert_eq!(seen, (StatusCode::UNPROCESSABLE_ENTITY, None));
        let devices = "select count(*) from known_source where source like 'device%'";
        assert_eq!(service.count(devices).await, 0);
    })
    .await;
}

/// On PostgreSQL a sign-in reads the old password while the new one is not committed. (On SQLite there is one writer at a time.)
#[tokio::test]
async fn a_sign_in_waits_for_the_password_that_is_being_set_and_is_refused() {
    each_database(|service| async move {
        let Db::Postgres(pools) = &service.db else { return };
        service.register("ann").await;
        let mut reset = pools.write.begin().await.unwrap();
        let statement =
            "update account set password_hash = 'another', token_generation = token_generation + 1";
        sqlx::query(statement).execute(&mut *reset).await.unwrap();
        let mut sign_in = Box::pin(service.request_token("ann", PASSWORD));
        let early = until_it_waits(&service, &mut sign_in).await;
        assert!(early.is_none(), "the sign-in did not wait: {early:?}");
        reset.commit().await.unwrap();
        assert_eq!(sign_in.await.status(), StatusCode::BAD_REQUEST);
        assert_eq!(service.count("select count(*) from known_source").await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_administrator_who_was_disabled_before_the_body_arrived_changes_nothing() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        let (token, session) = service.second_admin(&root).await;
        let api = format!("Authorization: Bearer {token}\r\nContent-Type: application/json");
        let page = format!("Cookie: {session}\r\nContent-Type: application/x-www-form-urlencoded");
        let form = "Username=mal&Password=seven-green-herons&ConfirmPassword=seven-green-herons&IsAdmin=true";
        let requests = [
            ("POST /api/User", &api, r#"{"name": "mal", "role": "Admin"}"#, "HTTP/1.1 401"),
            ("PATCH /api/User/eve", &api, r#"{"role": "Admin", "disabled": false}"#, "HTTP/1.1 401"),
            ("POST /api/Invitation", &api, r#"{"role": "Admin"}"#, "HTTP/1.1 401"),
            ("POST /Auth/Invite", &page, "Role=Admin", "HTTP/1.1 303"),
            ("POST /Auth/Register", &page, form, "HTTP/1.1 303"),
        ];
        let mut withheld = Vec::new();
        for (line, headers, body, _) in requests {
            withheld.push(service.send_head(&format!("{line} HTTP/1.1\r\n{headers}"), body).await);
        }
        let disable = json!({"disabled": true});
        let disabled = service.administer_with(&root, Method::PATCH, "/api/User/eve", disable).await;
        assert_eq!(disabled.status(), StatusCode::NO_CONTENT);
        for (stream, (line, _, body, expected)) in withheld.into_iter().zip(requests) {
            let response = send_body(stream, body).await;
            assert!(response.starts_with(expected), "{line}: {response}");
            assert!(
                expected.ends_with("401") || response.contains("location: /Auth/Login\r\n"),
                "{response}"
            );
        }
        assert_eq!(service.count_accounts().await, 2);
        assert_eq!(
            service.count("select count(*) from registration_token where kind = 'invitation'").await,
            0
        );
        assert!(!service.can_sign_in("eve").await, "it is disabled");
    })
    .await;
}

/// On PostgreSQL the requests are authorized while the demotion is not committed, and wait for it.
#[tokio::test]
async fn an_administrator_who_is_being_demoted_changes_nothing() {
    each_database(|service| async move {
        let Db::Postgres(pools) = &service.db else { return };
        service.register_admin("ada").await;
        service.register("ann").await;
        let ada = service.token("ada").await;
        service.second_admin(&ada).await;
        for (method, path, body) in [
            (Method::POST, "/api/User", json!({"name": "mal", "role": "Admin"})),
            (Method::PATCH, "/api/User/ann", json!({"role": "Admin"})),
            (Method::DELETE, "/api/User/ann", json!(null)),
            (Method::POST, "/api/User/ann/reset", json!(null)),
            (Method::POST, "/api/User/ada/reset", json!(null)),
            (Method::POST, "/api/Invitation", json!({"role": "Admin"})),
        ] {
            let token = service.token("eve").await;
            let mut demotion = pools.write.begin().await.unwrap();
            let demote = "update account set role = 'User', token_generation = token_generation + 1 where name = 'eve'";
            sqlx::query(demote).execute(&mut *demotion).await.unwrap();
            let mut request = Box::pin(service.administer_with(&token, method.clone(), path, body));
            let early = until_it_waits(&service, &mut request).await;
            demotion.commit().await.unwrap();
            let answer = if let Some(answer) = early { answer } else { request.await };
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            let restored = service.administer_with(&ada, Method::PATCH, "/api/User/eve", json!({"role": "Admin"}));
            assert_eq!(restored.await.status(), StatusCode::NO_CONTENT);
        }
        assert!(service.can_sign_in("ann").await && service.count_accounts().await == 3);
    })
    .await;
}

#[tokio::test]
async fn a_reset_that_fails_half_way_changes_nothing() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let (root, session) = (service.token("root").await, service.sign_in("ann").await);
        service.refuse("delete on known_source").await;
        let failed = service.administer_with(&root, Method::POST, "/api/User/ann/reset", json!(null)).await;
        assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let home = service.get("/").header(COOKIE, session).send().await.unwrap();
        assert_eq!(home.status(), StatusCode::OK, "the session lives");
        assert!(service.can_sign_in("ann").await, "with the old password");
    })
    .await;
}

/// On PostgreSQL a lock of the rate limits stops a sign-in between its permit and its hash. (On SQLite it would stop every request.)
#[tokio::test]
async fn a_failed_sign_in_counts_though_the_client_hangs_up() {
    each_database(|service| async move {
        let Db::Postgres(pools) = &service.db else { return };
        service.register("ann").await;
        let mut lock = pools.write.begin().await.unwrap();
        sqlx::query("lock table rate_limit in exclusive mode").execute(&mut *lock).await.unwrap();
        let form = password_grant("ann", "not the password");
        let mut sign_in = Box::pin(async { service.post("/connect/token", &form).send().await.unwrap() });
        assert!(until_it_waits(&service, &mut sign_in).await.is_none());
        drop(sign_in);
        // The server notices that the connection is closed before it serves the next one.
        assert_eq!(service.get("/health/live").send().await.unwrap().status(), StatusCode::OK);
        lock.rollback().await.unwrap();
        let failures = "select count(*) from failed_sign_in where source = 'unknown' and count = 1";
        let counted = async { while service.count(failures).await == 0 {} };
        let limit = Duration::from_mins(1);
        assert!(tokio::time::timeout(limit, counted).await.is_ok(), "the failure was not counted");
    })
    .await;
}

/// On PostgreSQL a change waits for the lock of the account's row, and is made though its client has hung up by then.
#[tokio::test]
async fn a_change_has_its_audit_line_though_the_client_hangs_up() {
    let log = LogCapture::start();
    each_database(|service| {
        let log = &log;
        async move {
            let Db::Postgres(pools) = &service.db else { return };
            service.register_admin("root").await;
            service.register("ann").await;
            let root = service.token("root").await;
            let mut lock = pools.write.begin().await.unwrap();
            let ann = "select id from account where name = 'ann' for update";
            sqlx::query(ann).execute(&mut *lock).await.unwrap();
            let body = json!({"role": "Worker"});
            let change = service.administer_with(&root, Method::PATCH, "/api/User/ann", body);
            let mut change = Box::pin(change);
            assert!(until_it_waits(&service, &mut change).await.is_none());
            drop(change);
            // The server notices that the connection is closed before it serves the next one.
            assert_eq!(service.get("/health/live").send().await.unwrap().status(), StatusCode::OK);
            lock.rollback().await.unwrap();
            let changed = "select count(*) from account where role = 'Worker'";
            let limit = Duration::from_mins(1);
            let made = async { while service.count(changed).await == 0 {} };
            assert!(tokio::time::timeout(limit, made).await.is_ok(), "the change was not made");
            let logged = async {
                while !log.text().contains("role_changed") {
                    tokio::task::yield_now().await;
                }
            };
            assert!(tokio::time::timeout(limit, logged).await.is_ok(), "the change was not logged");
        }
    })
    .await;
}
