//! In which form an answer is wanted: JSON for programs, CSV for spreadsheets, a page for people.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use exports::delimited;

use super::command::DAYBOOK_POSITION;
use super::parameters::Parameters;

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    Html,
}

const FORMATS: [(&str, &str, Format); 3] = [
    ("json", "application/json", Format::Json),
    ("csv", "text/csv", Format::Csv),
    ("html", "text/html", Format::Html),
];

impl Format {
    /// `?format=`, since a link cannot say what it accepts; else the first form in `Accept` that there
    /// is; else JSON.
    pub(crate) fn wanted(headers: &HeaderMap, parameters: &mut Parameters) -> Self {
        let named = parameters.one_of("format", &FORMATS.map(|(name, ..)| name));
        let of_name = |name: String| FORMATS.iter().find(|(other, ..)| *other == name);
        let accepted = headers.get_all(header::ACCEPT).iter();
        let kinds = accepted
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(|kind| kind.split(';').next().unwrap_or_default().trim());
        let of_kind = |kind: &str| FORMATS.iter().find(|(_, other, _)| *other == kind);
        let wanted = named
            .and_then(of_name)
            .or_else(|| kinds.map(of_kind).find_map(|it| it));
        wanted.map_or(Self::Json, |(_, _, format)| *format)
    }
}

/// An answer as CSV (RFC 4180).
pub(crate) fn show_rows(position: i64, csv: Vec<u8>) -> Response {
    shown(position, "text/csv; charset=utf-8; header=present", csv)
}

/// The same, to be kept under a file name.
pub(crate) fn show_csv(position: i64, file_name: &str, csv: Vec<u8>) -> Response {
    let mut response = show_rows(position, csv);
    let attachment = format!("attachment; filename=\"{file_name}\"");
    let attachment = HeaderValue::from_str(&attachment).ok();
    let headers = response.headers_mut();
    headers.extend(attachment.map(|value| (header::CONTENT_DISPOSITION, value)));
    response
}

/// An answer as a page that loads nothing and runs nothing.
pub(crate) fn show_html(position: i64, html: String) -> Response {
    let mut response = shown(position, "text/html; charset=utf-8", html.into_bytes());
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    // Its address may hold the token of an order.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn shown(position: i64, kind: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(DAYBOOK_POSITION, position.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A text that a customer may have written, as a cell: spreadsheets run what begins like a formula,
/// unless an apostrophe stands before it (OWASP, CSV Injection).
pub(crate) fn cell(text: &str) -> Cow<'_, str> {
    if delimited::is_formula(text) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: Option<&'static str>, query: &str) -> Option<Format> {
        let accept = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
        let headers = accept.into_iter().collect();
        let mut parameters = Parameters::of(query);
        let format = Format::wanted(&headers, &mut parameters);
        parameters.finish().ok().map(|()| format)
    }

    #[test]
    fn the_address_decides_then_the_first_form_accepted_then_json() {
        assert_eq!(wanted(None, ""), Some(Format::Json));
        assert_eq!(wanted(Some("*/*"), ""), Some(Format::Json));
        assert_eq!(wanted(Some("text/html, application/json;q=0.9"), ""), Some(Format::Html));
        assert_eq!(wanted(Some("image/png, text/csv;q=0.5"), ""), Some(Format::Csv));
        assert_eq!(wanted(Some("text/html"), "format=csv"), Some(Format::Csv));
        assert_eq!(wanted(None, "format=pdf"), None);
    }

    #[test]
    fn no_cell_begins_like_a_formula() {
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("@sum"), "'@sum");
        assert_eq!(cell("a = b"), "a = b");
        assert_eq!(cell(""), "");
    }
}
