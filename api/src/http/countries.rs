//! Country codes of addresses: ISO 3166-1 alpha-2, the codes it leaves to its users, and `EU`.

/// The 249 codes that ISO 3166-1 assigns, in order.
const ASSIGNED: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ \
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW \
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY \
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV \
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY \
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG \
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM \
    ZW";

/// Reads a code as it is written in addresses: two capital letters.
pub(crate) fn parse(code: &str) -> Result<String, &'static str> {
    if is_user_assigned(code) || code == "EU" || ASSIGNED.split(' ').any(|known| known == code) {
        return Ok(code.to_owned());
    }
    Err("must be a country code of ISO 3166-1 alpha-2, such as GB")
}

/// AA, QM to QZ, XA to XZ and ZZ; past orders use them for places that are no country.
fn is_user_assigned(code: &str) -> bool {
    matches!(code.as_bytes(), b"AA" | b"ZZ" | [b'Q', b'M'..=b'Z'] | [b'X', b'A'..=b'Z'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_in_order() {
        let codes: Vec<_> = ASSIGNED.split(' ').collect();
        assert_eq!(codes.len(), 249);
        assert!(codes.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn assigned_user_assigned_and_reserved_codes_are_known() {
        for code in [
            "GB", "ZW", "AD", "AA", "QM", "QZ", "XA", "XC", "XZ", "ZZ", "EU",
        ] {
            assert_eq!(parse(code).as_deref(), Ok(code));
        }
        for code in [
            "", "G", "gb", "UK", "QL", "GBR", "é", "A A", "AD AE", "EIRE",
        ] {
            assert!(parse(code).is_err(), "{code:?}");
        }
    }
}
