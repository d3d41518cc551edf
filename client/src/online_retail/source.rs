//! The bytes of the file, unpacked: plain, gzip or Zstandard, told apart by their first bytes, so
//! that a wrong ending of the name does no harm.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// One system call reads this much; small beside the history in memory.
const BUFFER_BYTES: usize = 1 << 16;

/// Opens the file; `on_read` hears of each stretch of bytes as they lie on the disk.
pub(super) fn open(path: &Path, on_read: impl Fn(u64) + 'static) -> io::Result<Box<dyn BufRead>> {
    let file = Counted { file: File::open(path)?, on_read };
    unpacked(BufReader::with_capacity(BUFFER_BYTES, file))
}

fn unpacked(mut packed: impl BufRead + 'static) -> io::Result<Box<dyn BufRead>> {
    let start = packed.fill_buf()?;
    if start.starts_with(&ZSTD_MAGIC) {
        let frames = ZstdFrames { packed, frame: FrameDecoder::new(), within: false };
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, frames)))
    } else if start.starts_with(&GZIP_MAGIC) {
        let members = MultiGzDecoder::new(packed);
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, members)))
    } else {
        Ok(Box::new(packed))
    }
}

struct Counted<F> {
    file: File,
    on_read: F,
}

impl<F: Fn(u64)> Read for Counted<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        (self.on_read)(bytes as u64);
        Ok(bytes)
    }
}

/// All frames of a Zstandard file. The library's own reader ends with the first, which would lose
/// the rest of a file that was packed in parallel or joined, without a word.
struct ZstdFrames<R> {
    packed: R,
    frame: FrameDecoder,
    within: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    /// Enters the next frame; false at the end of the file.
    fn enter(&mut self) -> io::Result<bool> {
        while !self.packed.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.packed) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped = io::copy(&mut (&mut self.packed).take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn leave(&mut self) -> io::Result<()> {
        self.within = false;
        let written = self.frame.get_checksum_from_data();
        if written.is_some() && written != self.frame.get_calculated_checksum() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum does not match"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within {
                if !self.enter()? {
                    return Ok(0);
                }
                self.within = true;
            }
            while self.frame.can_collect() < buffer.len() && !self.frame.is_finished() {
                let missing = buffer.len() - self.frame.can_collect();
                let enough = BlockDecodingStrategy::UptoBytes(missing);
                self.frame
                    .decode_blocks(&mut self.packed, enough)
                    .map_err(io::Error::other)?;
            }
            let bytes = self.frame.read(buffer)?;
            if bytes != 0 || buffer.is_empty() {
                return Ok(bytes);
            }
            self.leave()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn read(packed: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        unpacked(Cursor::new(packed))?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn zstd(text: &str) -> Vec<u8> {
        compress_to_vec(text.as_bytes(), CompressionLevel::Fastest)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn plain_gzip_and_zstandard_read_alike() {
        let text = "a,b\n1,2\n".repeat(50_000);

        for packed in [text.clone().into_bytes(), gzip(&text), zstd(&text)] {
            assert!(read(packed).unwrap() == text);
        }
    }

    #[test]
    fn every_frame_and_member_of_a_joined_file_is_read() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3].to_vec();

        assert_eq!(read([zstd("a\n"), skippable, zstd("b\n")].concat()).unwrap(), "a\nb\n");
        assert_eq!(read([gzip("a\n"), gzip("b\n")].concat()).unwrap(), "a\nb\n");
    }

    #[test]
    fn a_file_that_was_cut_off_is_not_taken_for_a_shorter_one() {
        let lines: Vec<_> = (0..20_000)
            .map(|line| format!("{line},{}", line * 7))
            .collect();
        let text = lines.join("\n");

        for mut packed in [gzip(&text), zstd(&text)] {
            packed.truncate(packed.len() / 2);
            assert!(read(packed).is_err());
        }
    }

    #[test]
    fn an_empty_file_is_empty() {
        assert_eq!(read(Vec::new()).unwrap(), "");
    }
}
