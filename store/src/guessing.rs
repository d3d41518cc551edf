//! Which secrets somebody would guess: those that people type where chance is asked for.
//!
//! Nothing tells chance from what only looks like it. What is told here is what everybody tries, and
//! what keyboards and examples invite to: too few characters, one character or few of them, a piece
//! that is repeated, characters in a row, and words that stand for secrets.

/// Different characters that a secret has: hexadecimal digits of chance have about 14.
const VARIETY_MIN: usize = 8;
/// What stands where a secret should, in lower case; longer ones first, as they hold shorter ones.
const WORDS: [&str; 34] = [
    "correcthorsebatterystaple",
    "qwertyuiop",
    "placeholder",
    "production",
    "change-me",
    "change_me",
    "asdfghjkl",
    "flutterwave",
    "password",
    "changeme",
    "changeit",
    "deadbeef",
    "cafebabe",
    "example",
    "webhook",
    "zxcvbnm",
    "default",
    "letmein",
    "sandbox",
    "daybook",
    "replace",
    "passwd",
    "secret",
    "s3cr3t",
    "qwerty",
    "please",
    "change",
    "master",
    "admin",
    "token",
    "staff",
    "hash",
    "test",
    "key",
];
/// Where a row goes on or begins anew: digits go on as letters in hexadecimal.
const JOINTS: [[u8; 2]; 4] = [*b"9a", *b"f0", *b"90", *b"za"];

/// Whether a secret of at least so many characters would be guessed.
pub fn is_guessable(secret: &str, chars_min: usize) -> bool {
    // What is left beside words has to be a secret by itself, of half the length.
    let rest = without_words(secret);
    !is_chance(secret, chars_min) || !is_chance(&rest, chars_min / 2)
}

fn is_chance(text: &str, chars_min: usize) -> bool {
    let mut different = text.as_bytes().to_vec();
    different.sort_unstable();
    different.dedup();
    chars_min <= text.len()
        && VARIETY_MIN <= different.len()
        && !is_periodic(text.as_bytes())
        && !is_in_a_row(text.as_bytes())
}

/// Whether a piece of it is repeated, with few changes: of digits of chance, one in sixteen is the same
/// as the one a piece before, and never three in four.
fn is_periodic(text: &[u8]) -> bool {
    (1..=text.len() / 2).any(|period| {
        let pairs = text.iter().zip(&text[period..]);
        let same = pairs.filter(|(one, other)| one == other).count();
        3 * (text.len() - period) <= 4 * same
    })
}

/// Whether two in three characters follow from the one before them: the same, the next or the one
/// before. Of digits of chance, one in five does.
fn is_in_a_row(text: &[u8]) -> bool {
    let follows = |pair: &[u8]| {
        let (one, other) = (pair[0].to_ascii_lowercase(), pair[1].to_ascii_lowercase());
        let is_joint = |joint: &[u8; 2]| *joint == [one, other] || *joint == [other, one];
        one.abs_diff(other) <= 1 || JOINTS.iter().any(is_joint)
    };
    let steps = text.windows(2).filter(|pair| follows(pair)).count();
    2 * text.len().saturating_sub(1) <= 3 * steps
}

fn without_words(text: &str) -> String {
    let mut rest = text.to_ascii_lowercase();
    for word in WORDS {
        rest = rest.replace(word, "");
    }
    rest.retain(|c| c.is_ascii_alphanumeric() || !c.is_ascii());
    // Case is chance as well, but where nothing was taken out nothing is to be judged again.
    if rest.len() == text.len() {
        text.to_owned()
    } else {
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_guessed() {
        for guessed in [
            "",
            "secret",
            "changeme-changeme-changeme-changeme",
            "ChangeMe1-ChangeMe2-ChangeMe3-ChangeMe4",
            "0123456789abcdef0123456789abcdef",
            "fedcba98765432100123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz012345",
            "00112233445566778899aabbccddeeff",
            "my-secret-password-for-production-1",
            "please-change-me-please-change-me-now",
            "qwertyuiopasdfghjklzxcvbnm1234567890",
            "deadbeefdeadbeefcafebabecafebabe",
            "daybook-staff-token-0123456789-daybook",
            &"staff".repeat(12),
            &"a".repeat(64),
            &"3f9a2c71".repeat(8),
            &format!("{}x", "3f9a2c71".repeat(4)),
        ] {
            assert!(is_guessable(guessed, 32), "{guessed}");
        }
    }

    #[test]
    fn chance_is_not_guessed_whatever_stands_before_it() {
        for _ in 0..2_000 {
            let chance = hex::encode(rand::random::<[u8; 32]>());
            let half = hex::encode(rand::random::<[u8; 16]>());
            assert!(!is_guessable(&chance, 64), "{chance}");
            assert!(!is_guessable(&half, 32), "{half}");
            assert!(!is_guessable(&format!("staff-token-{half}"), 32), "{half}");
        }
        assert!(!is_guessable("tR7#kd9Vq!2mZx0LwPe8@uYb5NsGhJ4c", 32));
    }
}
