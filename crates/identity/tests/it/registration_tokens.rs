//! Setup links and invitations: each works once, until it expires, and for the role that it was issued for.

use reqwest::StatusCode;
use reqwest::header::COOKIE;
use tokio::task::JoinSet;

use crate::kit::{DAY, PASSWORD, each_database, location};

#[tokio::test]
async fn a_setup_link_works_once_and_for_a_day_and_guesses_are_rate_limited() {
    each_database(|service| async move {
        let (used, earlier, later) =
            (service.setup_token().await, service.setup_token().await, service.setup_token().await);
        let admin = |name, token: String| {
            let service = &service;
            async move {
                service.register_with_fields(name, &[("IsAdmin", "true"), ("setup", &token)]).await.status()
            }
        };
        service.clock.advance(DAY);
        assert_eq!(admin("late", later).await, StatusCode::FORBIDDEN);
        let fresh = service.setup_token().await;
        assert_eq!(admin("ann", fresh.clone()).await, StatusCode::SEE_OTHER);
        assert_eq!(admin("again", fresh).await, StatusCode::FORBIDDEN);
        assert_eq!(admin("other", earlier).await, StatusCode::FORBIDDEN);
        assert_eq!(admin("more", used).await, StatusCode::FORBIDDEN);
        for guess in 0..4 {
            let path = format!("/Auth/Register?setup=guess{guess}");
            assert_eq!(service.get(&path).send().await.unwrap().status(), StatusCode::FORBIDDEN);
        }
        assert_eq!(admin("fifth", "guess".to_owned()).await, StatusCode::FORBIDDEN);
        assert_eq!(admin("sixth", "guess".to_owned()).await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(service.count_accounts().await, 1);
    })
    .await;
}

#[tokio::test]
async fn the_right_link_opens_whatever_others_with_the_same_address_have_guessed() {
    each_database(|service| async move {
        let token = service.setup_token().await;
        for guess in 0..5 {
            let refused = service.get(&format!("/Auth/Register?setup=guess{guess}")).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        }
        service.exhaust_sign_ins("loopback").await;
        let guess = service.get("/Auth/Register?setup=guess").send().await.unwrap();
        assert_eq!(guess.status(), StatusCode::TOO_MANY_REQUESTS);
        // A link that has expired says so, whatever others have made up.
        let expired = service.get("/Auth/Register?invitation=Zx%00").send().await.unwrap();
        assert_eq!(expired.status(), StatusCode::FORBIDDEN);
        let opened = service.get(&format!("/Auth/Register?setup={token}")).send().await.unwrap();
        assert_eq!(opened.status(), StatusCode::OK);
        let fields = [("IsAdmin", "true"), ("setup", token.as_str())];
        assert_eq!(service.register_with_fields("root", &fields).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(service.register_with_fields("eve", &[]).await.status(), StatusCode::TOO_MANY_REQUESTS);
    })
    .await;
}

#[tokio::test]
async fn concurrent_setup_links_register_one_administrator() {
    each_database(|service| async move {
        let mut tokens = vec![service.setup_token().await; 25];
        for _ in 0..25 {
            tokens.push(service.setup_token().await);
        }
        let mut race = JoinSet::new();
        for (index, token) in tokens.iter().enumerate() {
            let name = format!("admin{index}");
            let form = [
                ("Username", name.as_str()),
                ("Password", PASSWORD),
                ("ConfirmPassword", PASSWORD),
                ("IsAdmin", "true"),
                ("setup", token),
            ];
            let request = service.post("/Auth/Register", &form);
            race.spawn(async { request.send().await.unwrap().status() });
        }
        assert_one_registered(race).await;
        assert_eq!(service.count_accounts().await, 1);
    })
    .await;
}

/// On PostgreSQL the unique index stops a second setup even while the first one is not committed and cannot be seen.
#[tokio::test]
async fn a_setup_waits_for_an_uncommitted_setup() {
    each_database(|service| async move {
        let database::Db::Postgres(pools) = &service.db else { return };
        let token = service.setup_token().await;
        let mut first = pools.write.begin().await.unwrap();
        let insert = "insert into account (id, name, lower_name, password_hash, role, origin, created_at) \
            values ($1, 'first', 'first', '', 'Admin', 'setup', 0)";
        sqlx::query(insert).bind(uuid::Uuid::new_v4()).execute(&mut *first).await.unwrap();
        let fields = [("IsAdmin", "true"), ("setup", token.as_str())];
        let mut second = Box::pin(service.register_with_fields("second", &fields));
        let waiting = "select count(*) from pg_stat_activity \
            where datname = current_database() and wait_event_type = 'Lock'";
        loop {
            let waiters = sqlx::query_as::<_, (i64,)>(waiting).fetch_one(&pools.read);
            tokio::select! {
                answer = &mut second => panic!("the second setup did not wait: {}", answer.status()),
                seen = waiters => if seen.unwrap() == (1,) { break },
            }
        }
        first.commit().await.unwrap();
        assert_eq!(second.await.status(), StatusCode::FORBIDDEN);
        assert_eq!(service.count_accounts().await, 1);
    })
    .await;
}

#[tokio::test]
async fn an_invitation_grants_its_role_once() {
    each_database(|service| async move {
        service.register_admin("ann").await;
        let session = service.sign_in("ann").await;
        for (role, roles) in
            [("User", vec!["User"]), ("Worker", vec!["User", "Worker"]), ("Admin", vec!["User", "Admin"])]
        {
            let token = service.invite(&session, role).await;
            let page = service.page(&format!("/Auth/Register?invitation={token}")).await;
            assert!(page.contains(&format!("You are invited as {role}")));
            let is_admin = if role == "Admin" { "true" } else { "false" };
            let (right, wrong) = (is_admin, if role == "Admin" { "false" } else { "true" });
            let name = format!("the{role}");
            let refused =
                service.register_with_fields(&name, &[("invitation", &token), ("IsAdmin", wrong)]).await;
            assert!(refused.status().is_client_error(), "the box and the invitation contradict each other");
            let answer =
                service.register_with_fields(&name, &[("invitation", &token), ("IsAdmin", right)]).await;
            assert_eq!(location(&answer), "/Auth/Login");
            assert_eq!(service.roles(&name).await, roles);
            let again =
                service.register_with_fields("again", &[("invitation", &token), ("IsAdmin", right)]).await;
            assert_eq!(again.status(), StatusCode::FORBIDDEN);
        }
        let expired = service.invite(&session, "User").await;
        let as_setup = service.register_with_fields("x", &[("setup", &expired), ("IsAdmin", "true")]).await;
        assert_eq!(as_setup.status(), StatusCode::FORBIDDEN, "an invitation is no setup link");
        service.clock.advance(7 * DAY);
        let late = service.register_with_fields("late", &[("invitation", &expired)]).await;
        assert_eq!(late.status(), StatusCode::FORBIDDEN);
    })
    .await;
}

#[tokio::test]
async fn concurrent_uses_of_an_invitation_register_one_account() {
    each_database(|service| async move {
        service.register_admin("ann").await;
        let token = service.invite(&service.sign_in("ann").await, "Worker").await;
        let mut race = JoinSet::new();
        for index in 0..20 {
            let name = format!("worker{index}");
            let form = [
                ("Username", name.as_str()),
                ("Password", PASSWORD),
                ("ConfirmPassword", PASSWORD),
                ("invitation", &token),
            ];
            let request = service.post("/Auth/Register", &form);
            race.spawn(async { request.send().await.unwrap().status() });
        }
        assert_one_registered(race).await;
        assert_eq!(service.count_accounts().await, 2);
    })
    .await;
}

#[tokio::test]
async fn only_an_administrator_invites() {
    each_database(|service| async move {
        service.register("bob").await;
        let session = service.sign_in("bob").await;
        assert!(
            !service
                .get("/")
                .header(COOKIE, &session)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap()
                .contains("Invite")
        );
        let refused =
            service.post("/Auth/Invite", &[("Role", "Admin")]).header(COOKIE, session).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let anonymous = service.post("/Auth/Invite", &[("Role", "Admin")]).send().await.unwrap();
        assert_eq!(location(&anonymous), "/Auth/Login");
        service.register_admin("ann").await;
        let session = service.sign_in("ann").await;
        let unknown_role =
            service.post("/Auth/Invite", &[("Role", "admin")]).header(COOKIE, session).send().await.unwrap();
        assert_eq!(unknown_role.status(), StatusCode::UNPROCESSABLE_ENTITY);
    })
    .await;
}

#[tokio::test]
async fn an_invalid_field_does_not_use_up_the_token() {
    each_database(|service| async move {
        let token = service.setup_token().await;
        let form = |password, confirm, name| {
            [("Username", name), ("Password", password), ("ConfirmPassword", confirm), ("IsAdmin", "true")]
        };
        service.register("taken").await;
        for (password, confirm, name) in
            [("short", "short", "ann"), (PASSWORD, "other", "ann"), (PASSWORD, PASSWORD, "taken")]
        {
            let form = [&form(password, confirm, name)[..], &[("setup", token.as_str())]].concat();
            let refused = service.post("/Auth/Register", &form).send().await.unwrap();
            assert!(refused.status().is_client_error());
            let page = refused.text().await.unwrap();
            assert!(page.contains(&token) && page.contains(" checked"), "the page keeps the token");
        }
        assert_eq!(
            service.register_with_fields("ann", &[("IsAdmin", "true"), ("setup", &token)]).await.status(),
            303
        );
    })
    .await;
}

/// Asserts that exactly one of the racing registrations made an account.
async fn assert_one_registered(race: JoinSet<StatusCode>) {
    let statuses = race.join_all().await;
    let registered = statuses.iter().filter(|status| **status == StatusCode::SEE_OTHER).count();
    assert_eq!(registered, 1, "{statuses:?}");
}
