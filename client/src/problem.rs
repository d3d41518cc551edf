//! A refusal as the server writes it: `application/problem+json`, RFC 9457.

use std::fmt;

use serde::Deserialize;

/// What the server has against a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Stable, for programs.
    pub code: String,
    /// A sentence, for people; includes the fields that are wrong.
    pub detail: String,
    /// The fields that are wrong, by pointer, and what is wrong with each.
    pub fields: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Body {
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    detail: String,
}

impl Problem {
    /// Reads a body. What is in front of the server, such as a proxy, may answer something else.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return Self {
                status,
                code: format!("http_{status}"),
                detail: format!("the server answered {status} without a reason"),
                fields: Vec::new(),
            };
        };
        let sentence = body.detail.or(body.title).filter(|text| !text.is_empty());
        let fields = body
            .errors
            .iter()
            .map(|field| format!("{}: {}", field.pointer, field.detail));
        let detail = sentence
            .into_iter()
            .chain(fields)
            .collect::<Vec<_>>()
            .join("; ");
        let code = body.code.unwrap_or_else(|| format!("http_{status}"));
        let fields = body.errors.into_iter();
        let fields = fields.map(|field| (field.pointer, field.detail)).collect();
        Self { status, code, detail, fields }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_its_code_and_every_wrong_field() {
        let body = br#"{"type": "about:blank", "title": "Unprocessable", "status": 422,
            "code": "invalid_fields", "detail": "two fields are wrong", "request_id": "r",
            "errors": [{"pointer": "/a", "detail": "too long"},
                       {"pointer": "/b", "detail": "?"}]}"#;

        let problem = Problem::read(422, body);

        assert_eq!(problem.code, "invalid_fields");
        assert_eq!(problem.detail, "two fields are wrong; /a: too long; /b: ?");
    }

    #[test]
    fn an_answer_of_a_proxy_is_still_a_refusal() {
        let problem = Problem::read(413, b"<html>too large</html>");

        assert_eq!((problem.status, problem.code.as_str()), (413, "http_413"));
    }
}
