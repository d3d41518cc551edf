//! One kept-alive HTTP connection, as cheap as a client can be.
//!
//! Requests come rendered; of an answer only its status, its position, its tag and its body are looked
//! at.
//! Answers need a `content-length`, as Daybook's have; anything else is an error and not guessed at.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Header lines of an answer; Daybook's has about ten.
const HEADERS_MAX: usize = 32;
/// Room for an answer at first, more than most need.
const ANSWER_BYTES: usize = 16 * 1024;
/// The longest answer that is read; a page of a hundred orders has a tenth of it.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A connection to Daybook.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// `Daybook-Position`.
    pub(crate) position: Option<u64>,
    /// `ETag`.
    pub(crate) tag: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body for a message to people.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }
}

/// Where an answer's parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    position: Option<u64>,
    tag: Option<Place>,
    body_at: usize,
    end: usize,
}

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    from: usize,
    to: usize,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; ANSWER_BYTES] })
    }

    /// Sends a rendered request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let (mut filled, mut head) = (0, None);
        loop {
            if filled == self.buffer.len() {
                if ANSWER_BYTES_MAX <= filled {
                    return Err(bad("an answer is longer than expected"));
                }
                self.buffer.resize(filled * 2, 0);
            }
            match self.stream.read(&mut self.buffer[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
            if head.is_none() {
                head = head_in(&self.buffer[..filled])?;
            }
            if let Some(Head { status, position, tag, body_at, end }) = head
                && end <= filled
            {
                let text = |Place { from, to }| std::str::from_utf8(&self.buffer[from..to]).ok();
                let (tag, body) = (tag.and_then(text), &self.buffer[body_at..end]);
                return Ok(Answer { status, position, tag, body });
            }
        }
    }
}

/// The head, once all of it has come.
fn head_in(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .map_err(|error| bad(&format!("an answer cannot be read: {error}")))?;
    let httparse::Status::Complete(body_at) = parsed else {
        return Ok(None);
    };
    let status = response.code.unwrap_or(0);
    let value = |name: &str| {
        let mut headers = response.headers.iter();
        let header = headers.find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| header.value)
    };
    let number = |name: &str| {
        let text = std::str::from_utf8(value(name)?).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let tag = value("etag").map(|tag| {
        // Parsing copies nothing: the value is where it came in.
        let from = tag.as_ptr().addr() - bytes.as_ptr().addr();
        Place { from, to: from + tag.len() }
    });
    // These have no body, whatever their headers say.
    let length = match status {
        204 | 304 => 0,
        _ => {
            number("content-length").ok_or_else(|| bad("an answer does not say how long it is"))?
        }
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let end = body_at.saturating_add(length);
    if ANSWER_BYTES_MAX < end {
        return Err(bad("an answer is longer than expected"));
    }
    Ok(Some(Head { status, position: number("daybook-position"), tag, body_at, end }))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer =
            b"HTTP/1.1 201 Created\r\nDaybook-Position: 17\r\ncontent-length: 4\r\n\r\nbody";

        assert_eq!(head_in(&answer[..30]).unwrap(), None);
        let body_at = answer.len() - 4;
        let (position, end) = (Some(17), answer.len());
        let head = Head { status: 201, position, tag: None, body_at, end };
        assert_eq!(head_in(answer).unwrap(), Some(head));
    }

    #[test]
    fn an_answer_of_unknown_length_is_refused() {
        assert!(head_in(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert_eq!(
            head_in(b"HTTP/1.1 304 Not Modified\r\n\r\n")
                .unwrap()
                .unwrap()
                .status,
            304
        );
    }

    #[tokio::test]
    async fn answers_follow_one_another_on_one_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                let mut request = [0; 4];
                stream.read_exact(&mut request).await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nETag: \"7\"\r\ncontent-")
                    .await
                    .unwrap();
                stream.write_all(b"length: 4\r\n\r\n").await.unwrap();
                stream.write_all(&request).await.unwrap();
            }
        };
        let client = async {
            let mut connection = Connection::open(address).await.unwrap();
            for request in [b"one!", b"two!"] {
                let answer = connection.exchange(request).await.unwrap();
                assert_eq!((answer.status, answer.body), (200, &request[..]));
                assert_eq!(answer.tag, Some("\"7\""));
            }
        };
        tokio::join!(server, client);
    }
}
