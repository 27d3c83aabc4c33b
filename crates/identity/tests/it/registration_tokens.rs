//! Setup links and invitations: each works once, for a while, and for what it was made for.

use reqwest::StatusCode;
use reqwest::header::COOKIE;
use tokio::task::JoinSet;

use crate::kit::{DAY, PASSWORD, each_database, location};

#[tokio::test]
async fn s81_a_setup_link_works_once_and_for_a_day_and_guesses_are_counted() {
    each_database(|house| async move {
        let (used, earlier, later) =
            (house.setup_token().await, house.setup_token().await, house.setup_token().await);
        let admin = |name, token: String| {
            let house = &house;
            async move { house.register_with(name, &[("IsAdmin", "true"), ("setup", &token)]).await.status() }
        };
        house.clock.advance(DAY);
        assert_eq!(admin("late", later).await, StatusCode::FORBIDDEN);
        let fresh = house.setup_token().await;
        assert_eq!(admin("ann", fresh.clone()).await, StatusCode::SEE_OTHER);
        assert_eq!(admin("again", fresh).await, StatusCode::FORBIDDEN);
        assert_eq!(admin("other", earlier).await, StatusCode::FORBIDDEN);
        assert_eq!(admin("more", used).await, StatusCode::FORBIDDEN);
        assert_eq!(
            house.get("/Auth/Register?setup=guess").send().await.unwrap().status(),
            StatusCode::FORBIDDEN
        );
        assert_eq!(admin("sixth", "guess".to_owned()).await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(house.accounts().await, 1);
    })
    .await;
}

#[tokio::test]
async fn s82_of_many_setups_at_once_one_makes_an_administrator() {
    each_database(|house| async move {
        let mut tokens = vec![house.setup_token().await; 25];
        for _ in 0..25 {
            tokens.push(house.setup_token().await);
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
            let asked = house.post("/Auth/Register", &form);
            race.spawn(async { asked.send().await.unwrap().status() });
        }
        let statuses = race.join_all().await;
        assert_eq!(
            statuses.iter().filter(|status| **status == StatusCode::SEE_OTHER).count(),
            1,
            "{statuses:?}"
        );
        assert_eq!(house.accounts().await, 1);
    })
    .await;
}

/// On PostgreSQL the second founder is stopped by the index even where it cannot see the first one yet.
#[tokio::test]
async fn s82_a_founder_who_is_not_committed_yet_keeps_the_next_one_waiting() {
    each_database(|house| async move {
        let database::Db::Postgres(pools) = &house.db else { return };
        let token = house.setup_token().await;
        let mut first = pools.write.begin().await.unwrap();
        let insert = "insert into account (id, name, folded, password, role, origin, created) \
            values ($1, 'first', 'first', '', 'Admin', 'setup', 0)";
        sqlx::query(insert).bind(uuid::Uuid::new_v4()).execute(&mut *first).await.unwrap();
        let fields = [("IsAdmin", "true"), ("setup", token.as_str())];
        let mut second = Box::pin(house.register_with("second", &fields));
        let waiting = "select count(*) from pg_stat_activity \
            where datname = current_database() and wait_event_type = 'Lock'";
        loop {
            let looked = sqlx::query_as::<_, (i64,)>(waiting).fetch_one(&pools.read);
            tokio::select! {
                answer = &mut second => panic!("it did not wait: {}", answer.status()),
                seen = looked => if seen.unwrap() == (1,) { break },
            }
        }
        first.commit().await.unwrap();
        assert_eq!(second.await.status(), StatusCode::FORBIDDEN);
        assert_eq!(house.accounts().await, 1);
    })
    .await;
}

#[tokio::test]
async fn s83_an_invitation_grants_its_role_once() {
    each_database(|house| async move {
        house.register_admin("ann").await;
        let session = house.sign_in("ann").await;
        for (role, roles) in
            [("User", vec!["User"]), ("Worker", vec!["User", "Worker"]), ("Admin", vec!["User", "Admin"])]
        {
            let token = house.invite(&session, role).await;
            let page = house.page(&format!("/Auth/Register?invitation={token}")).await;
            assert!(page.contains(&format!("You are invited as {role}")));
            let is_admin = if role == "Admin" { "true" } else { "false" };
            let (right, wrong) = (is_admin, if role == "Admin" { "false" } else { "true" });
            let name = format!("the{role}");
            let refused = house.register_with(&name, &[("invitation", &token), ("IsAdmin", wrong)]).await;
            assert!(refused.status().is_client_error(), "the box and the invitation disagree");
            let answer = house.register_with(&name, &[("invitation", &token), ("IsAdmin", right)]).await;
            assert_eq!(location(&answer), "/Auth/Login");
            assert_eq!(house.roles(&name).await, roles);
            let again = house.register_with("again", &[("invitation", &token), ("IsAdmin", right)]).await;
            assert_eq!(again.status(), StatusCode::FORBIDDEN);
        }
        let expired = house.invite(&session, "User").await;
        let as_setup = house.register_with("x", &[("setup", &expired), ("IsAdmin", "true")]).await;
        assert_eq!(as_setup.status(), StatusCode::FORBIDDEN, "an invitation is no setup link");
        house.clock.advance(7 * DAY);
        let late = house.register_with("late", &[("invitation", &expired)]).await;
        assert_eq!(late.status(), StatusCode::FORBIDDEN);
    })
    .await;
}

#[tokio::test]
async fn s83_of_many_who_use_one_invitation_at_once_one_gets_an_account() {
    each_database(|house| async move {
        house.register_admin("ann").await;
        let token = house.invite(&house.sign_in("ann").await, "Worker").await;
        let mut race = JoinSet::new();
        for index in 0..20 {
            let name = format!("worker{index}");
            let form = [
                ("Username", name.as_str()),
                ("Password", PASSWORD),
                ("ConfirmPassword", PASSWORD),
                ("invitation", &token),
            ];
            let asked = house.post("/Auth/Register", &form);
            race.spawn(async { asked.send().await.unwrap().status() });
        }
        let statuses = race.join_all().await;
        assert_eq!(
            statuses.iter().filter(|status| **status == StatusCode::SEE_OTHER).count(),
            1,
            "{statuses:?}"
        );
        assert_eq!(house.accounts().await, 2);
    })
    .await;
}

#[tokio::test]
async fn s83_only_an_administrator_invites() {
    each_database(|house| async move {
        house.register("bob").await;
        let session = house.sign_in("bob").await;
        assert!(
            !house
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
            house.post("/Auth/Invite", &[("Role", "Admin")]).header(COOKIE, session).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let stranger = house.post("/Auth/Invite", &[("Role", "Admin")]).send().await.unwrap();
        assert_eq!(location(&stranger), "/Auth/Login");
        house.register_admin("ann").await;
        let session = house.sign_in("ann").await;
        let odd =
            house.post("/Auth/Invite", &[("Role", "admin")]).header(COOKIE, session).send().await.unwrap();
        assert_eq!(odd.status(), StatusCode::UNPROCESSABLE_ENTITY);
    })
    .await;
}

#[tokio::test]
async fn a_refused_field_leaves_the_invitation_unspent() {
    each_database(|house| async move {
        let token = house.setup_token().await;
        let form = |password, confirm, name| {
            [("Username", name), ("Password", password), ("ConfirmPassword", confirm), ("IsAdmin", "true")]
        };
        house.register("taken").await;
        for (password, confirm, name) in
            [("short", "short", "ann"), (PASSWORD, "other", "ann"), (PASSWORD, PASSWORD, "taken")]
        {
            let form = [&form(password, confirm, name)[..], &[("setup", token.as_str())]].concat();
            let refused = house.post("/Auth/Register", &form).send().await.unwrap();
            assert!(refused.status().is_client_error());
            let page = refused.text().await.unwrap();
            assert!(page.contains(&token) && page.contains(" checked"), "the page carries the proof on");
        }
        assert_eq!(house.register_with("ann", &[("IsAdmin", "true"), ("setup", &token)]).await.status(), 303);
    })
    .await;
}
