//! The stylesheet and the logo: static files in the binary, under names with a hash of their content.

use std::sync::{Arc, LazyLock};

use axum::Router;
use web::assets::Asset;

use crate::app::App;

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("identity.css", "text/css; charset=utf-8", include_bytes!("../../assets/identity.css"))
});

static LOGO: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("logo.svg", "image/svg+xml", include_bytes!("../../assets/logo.svg")));

/// The path of the stylesheet, for templates.
pub(crate) fn style_url() -> &'static str {
    STYLE.url()
}

/// The path of the logo, for templates.
pub(crate) fn logo_url() -> &'static str {
    LOGO.url()
}

/// The paths of all files.
pub(crate) fn urls() -> [&'static str; 2] {
    [style_url(), logo_url()]
}

/// The routes of all files.
pub(crate) fn router() -> Router<Arc<App>> {
    web::assets::router([&*STYLE, &*LOGO])
}
