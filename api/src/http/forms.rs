//! Long answers as they flow: lines of JSON, or the same rows as CSV. A client that reads slowly
//! slows the reading of the database down, and nothing piles up in between.

use std::error::Error;
use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use exports::delimited;
use exports::table::{BadRow, Column, Row};
use futures::{Stream, StreamExt as _};

use super::command::DAYBOOK_POSITION;

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A JSON object a line.
    Lines,
    /// RFC 4180.
    Csv,
}

impl Form {
    /// The first of them that the client accepts by name.
    pub(crate) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|line| line.to_str().ok());
        accepted.flat_map(|line| line.split(',')).find_map(|kind| {
            match kind.split(';').next()?.trim() {
                NDJSON => Some(Self::Lines),
                CSV => Some(Self::Csv),
                _ => None,
            }
        })
    }

    /// An answer of rows that come as lines of JSON. An accident breaks it off, which the client
    /// sees: the last chunk is missing.
    pub(crate) fn streamed<E: Error + Send + Sync + 'static>(
        self,
        lines: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
        position: i64,
        columns: &[Column],
        read: impl Fn(&[u8]) -> Result<Row, BadRow> + Send + 'static,
    ) -> Response {
        let lines = lines.map(|lines| lines.map_err(io::Error::other));
        let (kind, body) = match self {
            Self::Lines => (NDJSON, Body::from_stream(lines)),
            Self::Csv => {
                let columns = columns.to_vec();
                let mut head = Vec::new();
                let headed = delimited::write_head(&columns, &mut head).map(|()| Bytes::from(head));
                let rows = lines.map(move |lines| {
                    let mut rows = Vec::new();
                    delimited::write_lines(&columns, &lines?, &read, &mut rows)?;
                    Ok(Bytes::from(rows))
                });
                let all = futures::stream::once(async { headed }).chain(rows);
                ("text/csv; charset=utf-8; header=present", Body::from_stream(all))
            }
        };
        let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
        response
            .headers_mut()
            .insert(DAYBOOK_POSITION, position.into());
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn who_accepts_lines_gets_lines() {
        for (accept, form) in [
            ("application/x-ndjson", Some(Form::Lines)),
            ("text/html, application/x-ndjson;q=0.9", Some(Form::Lines)),
            ("text/csv; charset=utf-8", Some(Form::Csv)),
            ("application/json", None),
            ("*/*", None),
        ] {
            let value = HeaderValue::from_static(accept);
            let headers = HeaderMap::from_iter([(header::ACCEPT, value)]);
            assert_eq!(Form::wanted(&headers), form, "{accept}");
        }
    }
}
