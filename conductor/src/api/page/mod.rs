//! `GET /docs`: a page to read the OpenAPI document on and to try every call. It loads nothing from anywhere else.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::route::{Required, Route, Verb};

/// What the page may do: run and be styled by its own files, and call its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src blob:; frame-ancestors 'none'";

pub(super) fn routes() -> Vec<Route> {
    let file = |path, about, handler: fn() -> std::future::Ready<Response>, media| {
        Route::new(Verb::Get, path, Required::Nothing, about, handler).gives_as(200, "The file", media, "Text")
    };
    vec![
        file(
            "/docs",
            "Shows this API on a page",
            || ready("text/html; charset=utf-8", include_str!("page.html")),
            "text/html",
        ),
        file(
            "/docs/page.js",
            "Is the page's script",
            || ready("text/javascript; charset=utf-8", include_str!("page.js")),
            "text/javascript",
        ),
        file(
            "/docs/page.css",
            "Is the page's style",
            || ready("text/css; charset=utf-8", include_str!("page.css")),
            "text/css",
        ),
    ]
}

fn ready(media: &'static str, text: &'static str) -> std::future::Ready<Response> {
    let headers = [(header::CONTENT_TYPE, media), (header::CONTENT_SECURITY_POLICY, POLICY)];
    std::future::ready((headers, text).into_response())
}
