//! The pages of the types of problems, and the page of the book that is made of the same table.

use std::fmt::Write;

use axum::Router;
use domain::problem_types::table::{SECTIONS, all};
use domain::{Problem, ProblemType};
use web::problem_pages;

use crate::exchange::{self, request, send};

fn router() -> Router {
    problem_pages::routes().into()
}

#[tokio::test]
async fn every_type_is_explained_to_people_and_to_programs() {
    for of in all() {
        let path = Problem::example(of).kind;
        let explanation = exchange::get(&router(), &path).await;
        assert_eq!(
            (explanation.status.as_u16(), explanation.header("content-type")),
            (200, "application/json")
        );
        let explanation = explanation.json();
        assert_eq!(
            (&explanation["type"], &explanation["status"]),
            (&path.as_str().into(), &of.status.into())
        );
        assert_eq!(
            (&explanation["meaning"], &explanation["remedy"]),
            (&of.meaning.into(), &of.remedy.into())
        );
        assert_eq!(explanation["problem"]["type"], explanation["type"]);
        let page = request("GET", &path, &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]);
        let page = send(&router(), page).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(
            page.text().contains(&format!("<h1>{}</h1>", of.title.replace('\'', "&#39;"))),
            "{}",
            page.text()
        );
    }
    let unknown = exchange::get(&router(), "/errors/no-such-type").await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["type"]), (404, &"/errors/no-such-address".into()));
}

#[tokio::test]
async fn the_list_has_every_type_and_its_page_links_to_each() {
    let list = exchange::get(&router(), "/errors").await.json();
    let types: Vec<_> =
        list["types"].as_array().unwrap().iter().map(|of| of["type"].as_str().unwrap()).collect();
    assert!(types.iter().copied().eq(all().map(|of| Problem::example(of).kind)));
    let page = send(&router(), request("GET", "/errors", &[("accept", "text/html")])).await;
    for path in types {
        assert!(page.text().contains(&format!("href=\"{path}\"")), "{path}");
    }
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"));
    assert_eq!(page.header("vary"), "accept");
    let style = exchange::get(&router(), problem_pages::style_url()).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(page.text().contains(problem_pages::style_url()));
}

const INTRODUCTION: &str = "# Errors

Every refusal of the API is a problem document (RFC 9457, media type `application/problem+json`). Its member `type` is the path of a page
of the same service that explains it: `GET /errors/no-such-task` answers a browser with a page, and a program with JSON. `GET /errors` lists
all types. The path never changes; programs compare it, or its last part, with the names below. `title` and `detail` are for people.

The token endpoint of Identity has the errors of OAuth 2 (RFC 6749) instead.
";

/// The page of the book.
fn book_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        write!(page, "\n## {}\n", section.heading).unwrap();
        for ProblemType { slug, status, title, meaning, remedy, .. } in section.types {
            write!(page, "\n### {slug}\n\n{status} {title}. {meaning}\n\n{remedy}\n").unwrap();
        }
    }
    page
}

#[test]
#[expect(clippy::disallowed_methods, reason = "golden files are rewritten on request")]
fn the_page_of_the_book_is_the_one_of_the_table() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(file, book_page()).unwrap();
    }
    let published = std::fs::read_to_string(file).unwrap_or_default();
    assert!(published == book_page(), "`make golden` rewrites docs/errors.md");
}
