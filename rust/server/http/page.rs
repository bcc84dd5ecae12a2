//! Pages for people: each leaves the server as one file that asks for nothing from elsewhere.
//!
//! In `pages/` they are HTML with style sheets and scripts beside it, which is how they are read and written.

use std::sync::LazyLock;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

/// Stands where each response has a nonce of its own.
const NONCE: &str = "{nonce}";
/// The page's own scripts and styles, requests to this server, and nothing else; no text becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! files {
    ($($name:literal),*) => { &[$(($name, include_str!(concat!("pages/", $name)))),*] };
}

const FILES: &[(&str, &str)] = files![
    "style.css",
    "try.css",
    "docs.css",
    "common.js",
    "calls.js",
    "server.js",
    "answer.js",
    "try.js",
    "schema.js",
    "docs.js"
];

/// Try the models.
pub(super) fn page() -> Response {
    static PAGE: LazyLock<String> = LazyLock::new(|| whole(include_str!("pages/try.html")));
    html(&PAGE)
}

/// What can be asked, from the OpenAPI document.
pub(super) async fn docs() -> Response {
    static PAGE: LazyLock<String> = LazyLock::new(|| whole(include_str!("pages/docs.html")));
    html(&PAGE)
}

/// A page with the files that it names put in their places.
fn whole(page: &str) -> String {
    FILES.iter().fold(page.to_owned(), |page, (name, text)| {
        let text = without_comments(text);
        let style = format!("<link rel=\"stylesheet\" href=\"{name}\">");
        let script = format!("<script src=\"{name}\"></script>");
        page.replace(&style, &format!("<style nonce=\"{NONCE}\">\n{text}</style>"))
            .replace(&script, &format!("<script nonce=\"{NONCE}\">\n{text}</script>"))
    })
}

/// Leaves out lines that are comments: whoever reads those has the sources.
fn without_comments(text: &str) -> String {
    let mut inside = false;
    let code = text.lines().filter(|line| {
        let line = line.trim_start();
        inside |= line.starts_with("/*");
        let comment = inside || line.starts_with("//");
        inside &= !line.contains("*/");
        !comment
    });
    code.flat_map(|line| [line, "\n"]).collect()
}

fn html(page: &str) -> Response {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, POLICY.replace(NONCE, &nonce)),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, page.replace(NONCE, &nonce)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_in_the_sources() {
        let text = "/* one */\n* { }\n  /**\n   * two\n   */\n  a(); // three\n// four\n";
        assert_eq!(without_comments(text), "* { }\n  a(); // three\n");
    }

    #[test]
    fn pages_are_whole_and_small() {
        for page in [whole(include_str!("pages/try.html")), whole(include_str!("pages/docs.html"))] {
            assert!(!page.contains("<script src") && !page.contains("stylesheet"), "a file is not in its place");
            assert_eq!(page.matches("</script>").count(), page.matches("<script nonce=").count());
            assert!(page.len() < 30_000, "{} bytes", page.len());
        }
    }
}
