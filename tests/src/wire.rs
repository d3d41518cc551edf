//! Requests byte by byte, where a client library would mend or refuse what a test wants to send.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::World;
use crate::world::Answer;

/// A request with these header lines and this body, its length included.
pub fn with_length(head: &str, lines: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}", body.len());
    let lines: Vec<&str> = lines.iter().copied().chain([length.as_str()]).collect();
    let mut request = bare(head, &lines);
    request.extend_from_slice(body);
    request
}

/// A request with these header lines and nothing else.
pub fn bare(head: &str, lines: &[&str]) -> Vec<u8> {
    let mut request = format!("{head} HTTP/1.1\r\nhost: daybook\r\nconnection: close\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// Sends these bytes and reads what comes until the connection ends.
///
/// # Panics
/// If no whole answer comes.
pub async fn speak(world: &World, request: &[u8]) -> Answer {
    let address = world.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let (mut reader, mut writer) = stream.split();
    let mut bytes = Vec::new();
    // Whoever refuses early need not read to the end, but has to be understood all the same.
    let (_sent, _read) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut bytes));
    answer_in(&String::from_utf8(bytes).expect("UTF-8"))
}

fn answer_in(text: &str) -> Answer {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no whole answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse::<StatusCode>().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name = name.parse::<HeaderName>().ok()?;
        Some((name, HeaderValue::from_str(value.trim()).ok()?))
    };
    Answer {
        status: status.expect("a status line"),
        headers: lines.filter_map(header).collect::<HeaderMap>(),
        text: body.to_owned(),
    }
}
