//! The countries of the file, by name, and their codes: ISO 3166-1 alpha-2, where there is one.
//!
//! `XC` (Channel Islands) and `ZZ` (unspecified) are user-assigned, `EU` is reserved; EIRE and RSA
//! are written as the wholesaler wrote them.

/// Ordered by name, for the search.
const CODES: [(&str, &str); 38] = [
    ("Australia", "AU"),
    ("Austria", "AT"),
    ("Bahrain", "BH"),
    ("Belgium", "BE"),
    ("Brazil", "BR"),
    ("Canada", "CA"),
    ("Channel Islands", "XC"),
    ("Cyprus", "CY"),
    ("Czech Republic", "CZ"),
    ("Denmark", "DK"),
    ("EIRE", "IE"),
    ("European Community", "EU"),
    ("Finland", "FI"),
    ("France", "FR"),
    ("Germany", "DE"),
    ("Greece", "GR"),
    ("Hong Kong", "HK"),
    ("Iceland", "IS"),
    ("Israel", "IL"),
    ("Italy", "IT"),
    ("Japan", "JP"),
    ("Lebanon", "LB"),
    ("Lithuania", "LT"),
    ("Malta", "MT"),
    ("Netherlands", "NL"),
    ("Norway", "NO"),
    ("Poland", "PL"),
    ("Portugal", "PT"),
    ("RSA", "ZA"),
    ("Saudi Arabia", "SA"),
    ("Singapore", "SG"),
    ("Spain", "ES"),
    ("Sweden", "SE"),
    ("Switzerland", "CH"),
    ("USA", "US"),
    ("United Arab Emirates", "AE"),
    ("United Kingdom", "GB"),
    ("Unspecified", "ZZ"),
];

/// The code of a country, when the name is one of the file's.
pub(super) fn code_of(name: &str) -> Option<&'static str> {
    let index = CODES.binary_search_by_key(&name, |(name, _)| name).ok()?;
    Some(CODES[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_found_and_has_a_code_of_its_own() {
        let mut codes: Vec<_> = CODES
            .iter()
            .map(|(name, _)| code_of(name).unwrap())
            .collect();
        codes.sort_unstable();
        codes.dedup();

        assert_eq!(codes.len(), CODES.len());
        assert!(codes.iter().all(|code| code.len() == 2));
    }

    #[test]
    fn names_are_taken_as_written() {
        assert_eq!(code_of("EIRE"), Some("IE"));
        assert_eq!(code_of("Unspecified"), Some("ZZ"));
        assert_eq!(code_of("Ireland"), None);
        assert_eq!(code_of(""), None);
    }
}
