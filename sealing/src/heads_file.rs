//! The file of heads: each note followed by an empty line, only ever appended to, so that it can be
//! copied, or written, to where the database's administrator has no hand.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::head::SignedHead;

/// A note ends within so many bytes of the file's end, even with a dozen keys.
const TAIL_BYTES: u64 = 64 * 1024;
/// How a signature begins.
const SIGNATURE: &str = "— ";
/// What a note ends with in the file.
const END: &str = "\n\n";
/// Spoils what a crash has torn off: half a signature must not be taken for one.
const BROKEN_OFF: &str = "\n(broken off)\n\n";

/// The heads in a text. What a crash has torn off is passed over, as is what people wrote around.
pub fn read(text: &str) -> Vec<SignedHead> {
    // A line that has no end may be half a signature.
    let text = text.rfind('\n').map_or("", |end| &text[..end]);
    let paragraphs: Vec<&str> = text.split("\n\n").collect();
    let notes = paragraphs.windows(2).filter_map(|pair| {
        let [body, signatures] = pair else {
            return None;
        };
        let (body, signatures) = (body.trim_matches('\n'), signatures.trim_matches('\n'));
        let signed = signatures.lines().all(|line| line.starts_with(SIGNATURE));
        (signed && !signatures.is_empty()).then(|| format!("{body}\n\n{signatures}\n"))
    });
    notes
        .filter_map(|note| SignedHead::read(&note).ok())
        .collect()
}

/// The last head in the file; none if there is no file.
pub(crate) fn last(path: &Path) -> io::Result<Option<SignedHead>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let whole = tail.rfind(END).map_or("", |end| &tail[..end + END.len()]);
    Ok(read(whole).pop())
}

/// Appends notes; they are on the disk when this returns.
pub(crate) fn append<'a>(path: &Path, notes: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    let mut file = File::options()
        .append(true)
        .read(true)
        .create(true)
        .open(path)?;
    let mut text = String::new();
    if !is_whole(&mut file)? {
        text += BROKEN_OFF;
    }
    for note in notes {
        text += note;
        text += "\n";
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Whether the last note has its end, if there is one.
fn is_whole(file: &mut File) -> io::Result<bool> {
    let bytes = file.metadata()?.len();
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(bytes.saturating_sub(2)))?;
    file.read_to_end(&mut end)?;
    Ok(end.is_empty() || end == END.as_bytes())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::head::{Head, origin};
    use crate::keys::SealKey;

    fn signed(size: u64) -> SignedHead {
        let key = SealKey::random("daybook").unwrap();
        let head = Head {
            origin: origin(Uuid::from_u128(1)),
            size,
            root: crate::Hash([7; 32]),
            sealed_at: "2026-11-21T08:00:00Z".parse().unwrap(),
            previous: None,
            keys: vec![key.public().clone()],
        };
        head.sign(&[key])
    }

    #[test]
    fn heads_are_appended_and_found_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("heads");
        assert_eq!(last(&path).unwrap(), None);
        let heads: Vec<_> = (1..=300).map(signed).collect();
        append(&path, heads[..200].iter().map(SignedHead::note)).unwrap();
        append(&path, heads[200..].iter().map(SignedHead::note)).unwrap();

        assert_eq!(last(&path).unwrap().as_ref(), heads.last());
        assert_eq!(read(&std::fs::read_to_string(&path).unwrap()), heads);
    }

    #[test]
    fn what_a_crash_tore_off_harms_no_other_head() {
        let home = tempfile::tempdir().unwrap();
        let (first, torn, next) = (signed(1), signed(2), signed(3));
        for cut in 1..torn.note().len() {
            let path = home.path().join(cut.to_string());
            append(&path, [first.note()]).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.extend(&torn.note().as_bytes()[..cut]);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(last(&path).unwrap(), Some(first.clone()), "{cut}");

            append(&path, [next.note()]).unwrap();
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert_eq!(read(&text), [first.clone(), next.clone()], "{cut}");
        }
    }

    #[test]
    fn a_note_by_itself_is_read_as_well() {
        let head = signed(5);
        assert_eq!(read(head.note()), std::slice::from_ref(&head));
        assert_eq!(read(head.note().trim_end()), [], "its end may be missing");
        assert_eq!(read("Dear auditor,\n\nhere it comes."), []);
    }
}
