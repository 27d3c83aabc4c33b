//! Registering, and by what right somebody becomes an administrator.

use identity::OpenRegistration;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, COOKIE};
use serde_json::json;
use store::on;
use tokio::task::JoinSet;

use crate::house::{DAY, House, PASSWORD, each_database, each_database_with, location};

async fn setup_token(house: &House) -> String {
    let link = house.identity.setup_link().await.unwrap().unwrap();
    link.split_once("setup=").unwrap().1.to_owned()
}

async fn accounts(house: &House) -> i64 {
    let (count,): (i64,) = on!(&house.db, read, pool =>
        sqlx::query_as("select count(*) from account").fetch_one(pool).await)
    .unwrap();
    count
}

#[tokio::test]
async fn s77_whoever_registers_is_a_user_and_is_led_to_the_login_page() {
    each_database(|house| async move {
        let answer = house.register_with("ann", &[]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        let answer = house.register_with("bob", &[("ReturnUrl", "Login"), ("IsAdmin", "false")]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        let answer = house.register_with("eve", &[("ReturnUrl", "/connect/authorize?a=b")]).await;
        assert_eq!(location(&answer), "/Auth/Login?ReturnUrl=%2Fconnect%2Fauthorize%3Fa%3Db");
        for name in ["ann", "bob", "eve"] {
            assert_eq!(house.roles(name).await, ["User"]);
        }
    })
    .await;
}

#[tokio::test]
async fn s78_the_setup_link_makes_the_first_administrator() {
    each_database(|house| async move {
        let link = house.identity.setup_link().await.unwrap().unwrap();
        assert!(link.starts_with(&format!("{}/Auth/Register?ReturnUrl=Login&setup=", house.base)));
        let page = house.page(link.strip_prefix(&house.base).unwrap()).await;
        assert!(page.contains("first administrator") && page.contains(" checked"), "{page}");
        let (_, token) = link.split_once("setup=").unwrap();
        let without_box = house.register_with("ann", &[("setup", token)]).await;
        assert_eq!(without_box.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let answer = house.register_with("ann", &[("IsAdmin", "true"), ("setup", token)]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        assert_eq!(house.roles("ann").await, ["User", "Admin"]);
        assert!(house.identity.setup_link().await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn s78_the_links_query_works_in_a_post_too() {
    each_database(|house| async move {
        let path = format!("/Auth/Register?ReturnUrl=Login&setup={}", setup_token(&house).await);
        let form =
            [("Username", "ann"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD), ("IsAdmin", "true")];
        assert_eq!(location(&house.post(&path, &form).send().await.unwrap()), "/Auth/Login");
        assert_eq!(house.roles("ann").await, ["User", "Admin"]);
    })
    .await;
}

#[tokio::test]
async fn s79_the_box_alone_is_refused_and_nothing_is_made() {
    each_database(|house| async move {
        let refused = house.register_with("eve", &[("IsAdmin", "true")]).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let page = refused.text().await.unwrap();
        for way in ["setup link", "invitation", "administrator who is signed in"] {
            assert!(page.contains(way), "{way}");
        }
        assert!(page.contains(r#"value="eve""#), "what was typed is still there");
        assert!(!page.contains(PASSWORD));
        assert_eq!(accounts(&house).await, 0);
    })
    .await;
}

#[tokio::test]
async fn s80_no_other_field_or_spelling_makes_an_administrator() {
    each_database(|house| async move {
        let ignored =
            [("Role", "Admin"), ("roles[]", "Admin"), ("isadmin", "true"), ("sub", "x"), ("role", "Admin")];
        for (index, field) in ignored.into_iter().enumerate() {
            let name = format!("user{index}");
            assert_eq!(location(&house.register_with(&name, &[field]).await), "/Auth/Login");
            assert_eq!(house.roles(&name).await, ["User"]);
        }
        for text in ["on", "1", "yes", "True", "TRUE", "true,false"] {
            let refused = house.register_with("eve", &[("IsAdmin", text)]).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{text}");
        }
        let twice = house.register_with("eve", &[("IsAdmin", "true"), ("IsAdmin", "false")]).await;
        assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
        let json = json!({ "Username": "eve", "Password": PASSWORD, "IsAdmin": true });
        let json = house.request("POST", "/Auth/Register").json(&json).send().await.unwrap();
        assert_eq!(json.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let form = [("Username", "query"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD)];
        let query = house.post("/Auth/Register?IsAdmin=true&Role=Admin", &form).send().await.unwrap();
        assert_eq!(location(&query), "/Auth/Login");
        assert_eq!(house.roles("query").await, ["User"]);
        assert!(!house.knows("eve").await);
    })
    .await;
}

#[tokio::test]
async fn s81_a_setup_link_works_once_and_for_a_day_and_guesses_are_counted() {
    each_database(|house| async move {
        let (used, earlier, later) =
            (setup_token(&house).await, setup_token(&house).await, setup_token(&house).await);
        let admin = |name, token: String| {
            let house = &house;
            async move { house.register_with(name, &[("IsAdmin", "true"), ("setup", &token)]).await.status() }
        };
        house.clock.advance(DAY);
        assert_eq!(admin("late", later).await, StatusCode::FORBIDDEN);
        let fresh = setup_token(&house).await;
        assert_eq!(admin("ann", fresh.clone()).await, StatusCode::SEE_OTHER);
        assert_eq!(admin("again", fresh).await, StatusCode::FORBIDDEN);
        assert_eq!(admin("other", earlier).await, StatusCode::FORBIDDEN);
        assert_eq!(admin("more", used).await, StatusCode::FORBIDDEN);
        assert_eq!(
            house.get("/Auth/Register?setup=guess").send().await.unwrap().status(),
            StatusCode::FORBIDDEN
        );
        assert_eq!(admin("sixth", "guess".to_owned()).await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(accounts(&house).await, 1);
    })
    .await;
}

#[tokio::test]
async fn s82_of_many_setups_at_once_one_makes_an_administrator() {
    each_database(|house| async move {
        let mut tokens = vec![setup_token(&house).await; 25];
        for _ in 0..25 {
            tokens.push(setup_token(&house).await);
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
        assert_eq!(accounts(&house).await, 1);
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
        let token = setup_token(&house).await;
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

#[tokio::test]
async fn a_signed_in_administrator_makes_administrators() {
    each_database(|house| async move {
        house.register_admin("ann").await;
        let session = house.sign_in("ann").await;
        let form =
            [("Username", "bob"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD), ("IsAdmin", "true")];
        let answer = house.post("/Auth/Register", &form).header(COOKIE, session).send().await.unwrap();
        assert_eq!(location(&answer), "/Auth/Login");
        assert_eq!(house.roles("bob").await, ["User", "Admin"]);
    })
    .await;
}

#[tokio::test]
async fn registration_can_be_closed() {
    let closed = |settings: &mut identity::Settings| settings.open_registration = OpenRegistration::None;
    each_database_with(closed, |house| async move {
        assert_eq!(house.get("/Auth/Register").send().await.unwrap().status(), StatusCode::FORBIDDEN);
        assert_eq!(house.register_with("eve", &[]).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(house.register_with("eve", &[("IsAdmin", "true")]).await.status(), StatusCode::FORBIDDEN);
        house.register_admin("ann").await;
        let session = house.sign_in("ann").await;
        let token = house.invite(&session, "User").await;
        assert_eq!(
            house.register_with("bob", &[("invitation", &token)]).await.status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(accounts(&house).await, 2);
    })
    .await;
}

#[tokio::test]
async fn registration_can_be_open_to_all_as_in_the_original() {
    let full = |settings: &mut identity::Settings| settings.open_registration = OpenRegistration::Full;
    each_database_with(full, |house| async move {
        let setup = setup_token(&house).await;
        assert_eq!(house.register_with("ann", &[("IsAdmin", "true")]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(house.register_with("bob", &[("IsAdmin", "true")]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(house.register_with("eve", &[]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(house.roles("bob").await, ["User", "Admin"]);
        assert_eq!(house.roles("eve").await, ["User"]);
        let late = house.register_with("late", &[("IsAdmin", "true"), ("setup", &setup)]).await;
        assert_eq!(late.status(), StatusCode::FORBIDDEN, "there is an administrator already");
    })
    .await;
}

#[tokio::test]
async fn s86_a_name_exists_once_whatever_its_case() {
    each_database(|house| async move {
        house.register("Ann").await;
        let taken = house.register_with("aNN", &[]).await;
        assert_eq!(taken.status(), StatusCode::CONFLICT);
        assert!(taken.text().await.unwrap().contains("This user name is taken."));
        assert!(house.knows("ANN").await);
    })
    .await;
}

#[tokio::test]
async fn s100_what_is_wrong_is_said_beside_its_field() {
    each_database(|house| async move {
        let form = [("Username", "a b"), ("Password", "password"), ("ConfirmPassword", "passwort")];
        let refused = house.post("/Auth/Register", &form).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html; charset=utf-8"));
        let page = refused.text().await.unwrap();
        for id in ["Username-error", "Password-error", "ConfirmPassword-error"] {
            assert!(
                page.contains(&format!(r#"aria-describedby="{id}""#))
                    && page.contains(&format!(r#"id="{id}""#))
            );
        }
        assert!(page.contains("one of the first that anyone would try"));
        assert!(!page.contains(r#"value="password""#), "passwords are not sent back");
    })
    .await;
}

#[tokio::test]
async fn s47_s102_the_database_holds_digests_and_hashes_only() {
    each_database(|house| async move {
        let token = setup_token(&house).await;
        house.register_with("ann", &[("IsAdmin", "true"), ("setup", &token)]).await;
        let session = house.sign_in("ann").await;
        let (_, secret) = session.split_once('=').unwrap();
        let (hash,): (String,) = on!(&house.db, read, pool =>
            sqlx::query_as("select password from account").fetch_one(pool).await)
        .unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{hash}");
        let digests: Vec<(Vec<u8>,)> = on!(&house.db, read, pool =>
            sqlx::query_as("select digest from proof union all select digest from session").fetch_all(pool).await)
        .unwrap();
        assert_eq!(digests.len(), 2);
        assert!(secret.len() == 43 && token.len() == 43, "256 bits");
        assert!(digests.iter().all(|(digest,)| digest.len() == 32 && digest != secret.as_bytes()));
    })
    .await;
}
