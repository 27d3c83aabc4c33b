//! Static files under names with their hash.

use std::sync::LazyLock;

use axum::Router;
use web::assets::{self, Asset};

use crate::exchange::get;

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("site.css", "text/css; charset=utf-8", b"body { margin: 0 }"));
static STYLE_CHANGED: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("site.css", "text/css; charset=utf-8", b"body { margin: 1px }"));

#[tokio::test]
async fn an_asset_is_served_under_its_url_and_may_be_cached_for_ever() {
    let router: Router = assets::router([&*STYLE]);
    let answer = get(&router, STYLE.url()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(answer.text(), "body { margin: 0 }");
}

#[tokio::test]
async fn another_content_has_another_url_and_no_other_name_is_served() {
    assert_ne!(STYLE.url(), STYLE_CHANGED.url());
    let router: Router = assets::router([&*STYLE]);
    for url in ["/assets/site.css", STYLE_CHANGED.url()] {
        assert_eq!(get(&router, url).await.status, 404, "{url}");
    }
}

#[test]
fn a_url_holds_the_name_and_twelve_digits_of_the_sha_256() {
    // printf 'body { margin: 0 }' | sha256sum
    assert_eq!(STYLE.url(), "/assets/site.997faceca260.css");
    assert!(Asset::new("LICENSE", "text/plain", b"").url().starts_with("/assets/LICENSE."));
}
