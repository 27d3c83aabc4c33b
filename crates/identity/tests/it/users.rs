//! `/api/User`: what an administrator may do with the accounts of others, and nobody else.

use database::on;
use reqwest::header::COOKIE;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::{DAY, House, PASSWORD, ROBOT_SECRET, each_database};

impl House {
    /// The token of the program `robot`.
    async fn program_token(&self) -> String {
        let form =
            [("grant_type", "client_credentials"), ("client_id", "robot"), ("client_secret", ROBOT_SECRET)];
        let answer: Value = self.post("/connect/token", &form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn administrators(&self) -> i64 {
        let count = "select count(*) from account where role = 'Admin' and disabled is null";
        let (count,): (i64,) =
            on!(&self.db, read, pool => sqlx::query_as(count).fetch_one(pool).await).unwrap();
        count
    }

    /// Everyone is an administrator.
    async fn crown(&self) {
        let crown = "update account set role = 'Admin'";
        on!(&self.db, write, pool => sqlx::query(crown).execute(pool).await.map(drop)).unwrap();
    }

    /// Nobody is.
    async fn dethrone(&self) {
        let all = "update account set role = 'User'";
        on!(&self.db, write, pool => sqlx::query(all).execute(pool).await.map(drop)).unwrap();
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Value) -> Response {
        let request = self.request(method.as_str(), path).bearer_auth(token);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        request.send().await.unwrap()
    }

    async fn change(&self, token: &str, name: &str, body: Value) -> u16 {
        self.ask(token, Method::PATCH, &format!("/api/User/{name}"), body).await.status().as_u16()
    }

    async fn listed(&self, token: &str) -> Vec<(String, String, bool)> {
        let list: Value = self.ask(token, Method::GET, "/api/User", json!(null)).await.json().await.unwrap();
        let row = |user: &Value| {
            let text = |key: &str| user[key].as_str().unwrap().to_owned();
            (text("name"), text("role"), user["disabled"].as_bool().unwrap())
        };
        list["users"].as_array().unwrap().iter().map(row).collect()
    }
}

#[tokio::test]
async fn an_administrator_makes_lists_and_changes_accounts() {
    each_database(|house| async move {
        house.register_admin("root").await;
        let root = house.token("root").await;
        let ann = json!({"name": "Ann", "password": PASSWORD, "role": "Worker"});
        let made = house.ask(&root, Method::POST, "/api/User", ann.clone()).await;
        assert_eq!(made.status(), StatusCode::CREATED);
        assert_eq!(
            made.json::<Value>().await.unwrap(),
            json!({"name": "Ann"}),
            "a given password is not told again"
        );
        assert_eq!(house.roles("ann").await, ["User", "Worker"]);
        assert_eq!(house.ask(&root, Method::POST, "/api/User", ann).await.status(), StatusCode::CONFLICT);
        let bob: Value =
            house.ask(&root, Method::POST, "/api/User", json!({"name": "bob"})).await.json().await.unwrap();
        let password = bob["password"].as_str().expect("one was made");
        assert_eq!(house.ask_token("bob", password).await.status(), StatusCode::OK);

        assert_eq!(house.change(&root, "ANN", json!({"role": "User"})).await, 204);
        assert_eq!(house.roles("ann").await, ["User"]);
        let rows = [("Ann", "User", false), ("bob", "User", false), ("root", "Admin", false)];
        assert_eq!(
            house.listed(&root).await,
            rows.map(|(name, role, off)| (name.to_owned(), role.to_owned(), off))
        );
        let page = house.ask(&root, Method::GET, "/api/User?limit=1&after=Ann", json!(null)).await;
        assert_eq!(page.json::<Value>().await.unwrap()["users"][0]["name"], "bob");
        assert_eq!(house.change(&root, "nobody", json!({"role": "User"})).await, 404);
        assert_eq!(house.change(&root, "bob", json!({})).await, 422, "that says nothing");
        let program = house.program_token().await;
        assert_eq!(
            house.change(&program, "bob", json!({"role": "Admin"})).await,
            403,
            "a program is nobody's administrator"
        );
    })
    .await;
}

#[tokio::test]
async fn who_is_out_of_use_comes_in_nowhere_and_comes_back() {
    each_database(|house| async move {
        house.register_admin("root").await;
        house.register("ann").await;
        let (root, ann, session) =
            (house.token("root").await, house.token("ann").await, house.sign_in("ann").await);
        assert_eq!(house.change(&root, "ann", json!({"disabled": true})).await, 204);
        assert!(!house.knows("ann").await);
        let home = house.get("/").header(COOKIE, &session).send().await.unwrap();
        assert_ne!(home.status(), StatusCode::OK, "her session has ended");
        let told = house.get("/connect/userinfo").bearer_auth(&ann).send().await.unwrap();
        assert_eq!(told.status(), StatusCode::UNAUTHORIZED);
        assert!(house.listed(&root).await.contains(&("ann".to_owned(), "User".to_owned(), true)));
        assert_eq!(house.change(&root, "ann", json!({"disabled": false})).await, 204);
        assert!(house.knows("ann").await);
        let home = house.get("/").header(COOKIE, &session).send().await.unwrap();
        assert_ne!(home.status(), StatusCode::OK, "what has ended stays so");
    })
    .await;
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one_and_ends_sessions() {
    each_database(|house| async move {
        house.register_admin("root").await;
        house.register("ann").await;
        let (root, session) = (house.token("root").await, house.sign_in("ann").await);
        let given = house.ask(&root, Method::POST, "/api/User/ann/reset", json!(null)).await;
        let given: Value = given.json().await.unwrap();
        assert!(!house.knows("ann").await, "the old one is no longer hers");
        let new = given["password"].as_str().unwrap();
        assert_eq!(house.ask_token("ann", new).await.status(), StatusCode::OK);
        let home = house.get("/").header(COOKIE, &session).send().await.unwrap();
        assert_ne!(home.status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn an_invitation_makes_one_account_of_its_role() {
    each_database(|house| async move {
        house.register_admin("root").await;
        let root = house.token("root").await;
        let made = house.ask(&root, Method::POST, "/api/Invitation", json!({"role": "Worker"})).await;
        assert_eq!(made.status(), StatusCode::CREATED);
        let made: Value = made.json().await.unwrap();
        let (_, token) = made["link"].as_str().unwrap().split_once("invitation=").unwrap();
        assert_eq!(
            house.register_with("rig", &[("invitation", token)]).await.status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(house.roles("rig").await, ["User", "Worker"]);
        let again = house.register_with("another", &[("invitation", token)]).await;
        assert_ne!(again.status(), StatusCode::SEE_OTHER);

        // Who is no administrator any more invites nobody, not even by what was made before.
        let other = json!({"name": "other", "password": PASSWORD, "role": "Admin"});
        assert_eq!(house.ask(&root, Method::POST, "/api/User", other).await.status(), StatusCode::CREATED);
        let other = house.token("other").await;
        let made = house.ask(&other, Method::POST, "/api/Invitation", json!({"role": "Admin"})).await;
        let made: Value = made.json().await.unwrap();
        let (_, token) = made["link"].as_str().unwrap().split_once("invitation=").unwrap();
        assert_eq!(house.change(&root, "other", json!({"disabled": true})).await, 204);
        let late = house.register_with("late", &[("invitation", token), ("IsAdmin", "true")]).await;
        assert_ne!(late.status(), StatusCode::SEE_OTHER);
        assert!(!house.knows("late").await);
        house.clock.advance(8 * DAY);
        let root = house.token("root").await;
        assert_eq!(house.change(&root, "other", json!({"disabled": false})).await, 204);
        let late = house.register_with("late", &[("invitation", token)]).await;
        assert_ne!(late.status(), StatusCode::SEE_OTHER, "and it has expired");
    })
    .await;
}

/// However many try at once, one administrator stays.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_stays() {
    each_database(|house| async move {
        house.register_admin("root").await;
        let root = house.token("root").await;
        for change in
            [json!({"role": "User"}), json!({"disabled": true}), json!({"role": "Worker", "disabled": true})]
        {
            assert_eq!(house.change(&root, "root", change).await, 409);
        }
        assert_eq!(house.change(&root, "root", json!({"role": "Admin"})).await, 204, "that is no change");
        let mut admins = vec![("root".to_owned(), root.clone())];
        for name in ["one", "two", "three"] {
            let admin = json!({"name": name, "password": PASSWORD, "role": "Admin"});
            let made = house.ask(&root, Method::POST, "/api/User", admin).await;
            assert_eq!(made.status(), StatusCode::CREATED);
            admins.push((name.to_owned(), house.token(name).await));
        }
        for round in 0..10 {
            house.crown().await;
            let mut race = JoinSet::new();
            for (name, own) in admins.clone() {
                let house = house.clone();
                race.spawn(async move { house.change(&own, &name, json!({"role": "User"})).await });
            }
            let mut answers = race.join_all().await;
            answers.sort_unstable();
            assert_eq!(answers, [204, 204, 204, 409], "round {round}");
            assert_eq!(house.administrators().await, 1, "round {round}");
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_else_may() {
    each_database(|house| async move {
        house.register_admin("root").await;
        house.register("ann").await;
        let (root, ann) = (house.token("root").await, house.token("ann").await);
        let doors = [
            (Method::GET, "/api/User"),
            (Method::POST, "/api/User"),
            (Method::PATCH, "/api/User/root"),
            (Method::POST, "/api/User/ann/reset"),
            (Method::POST, "/api/Invitation"),
        ];
        for (method, path) in doors.clone() {
            let refused = house.ask(&ann, method.clone(), path, json!({})).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{method} {path}");
            assert_eq!(refused.headers()["content-type"], "application/problem+json");
            let stranger = house.request(method.as_str(), path).send().await.unwrap();
            assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            let forged = house.ask("forged", method.clone(), path, json!({})).await;
            assert_eq!(forged.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        }
        // What the token says of a role that was taken away does not count.
        house.dethrone().await;
        for (method, path) in doors {
            let refused = house.ask(&root, method.clone(), path, json!({})).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{method} {path}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_breaks_a_rule_is_named() {
    each_database(|house| async move {
        house.register_admin("root").await;
        let root = house.token("root").await;
        for (body, pointer, rule) in [
            (json!({"name": "a b"}), "/name", "a user name is made of"),
            (json!({"name": "ann", "password": "short"}), "/password", "8 characters"),
            (json!({"name": "ann", "role": "King"}), "", "unknown variant `King`"),
            (json!({"name": "ann", "admin": true}), "", "unknown field `admin`"),
        ] {
            let refused = house.ask(&root, Method::POST, "/api/User", body).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["errors"][0]["pointer"], pointer);
            assert!(problem["detail"].as_str().unwrap().contains(rule), "{problem}");
        }
        let no_json = house.request("POST", "/api/User").bearer_auth(&root).body("{").send().await.unwrap();
        assert_eq!(no_json.status(), StatusCode::BAD_REQUEST);
        for query in ["limit=0", "limit=x", "page=2"] {
            let refused = house.ask(&root, Method::GET, &format!("/api/User?{query}"), json!(null)).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
        }
    })
    .await;
}
