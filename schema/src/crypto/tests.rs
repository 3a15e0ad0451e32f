use super::{
    envelope::{Derivation, Purpose, random_key, read_unprotected, unprotected},
    *,
};

const PLACE: Place<'static> = Place { table: "api_keys", column: "key_value", row: "1/ab" };

fn vault() -> Vault {
    Vault::encrypting(7, &Zeroizing::new([1; 32]), &Zeroizing::new([2; 32]))
}

#[test]
fn a_value_opens_at_its_place_only() {
    let vault = vault();
    let stored = vault.seal(PLACE, "sk-secret");
    assert!(stored.starts_with("v2:7:") && !stored.contains("sk-secret"));
    assert_eq!(vault.open(PLACE, &stored).expect("opens").expose(), "sk-secret");
    for elsewhere in
        [Place { row: "2/ab", ..PLACE }, Place { column: "notes", ..PLACE }, Place { table: "request_logs", ..PLACE }]
    {
        assert_eq!(vault.open(elsewhere, &stored).err(), Some(OpenError::Mismatch));
    }
}

#[test]
fn a_damaged_value_names_its_damage() {
    let vault = vault();
    let stored = vault.seal(PLACE, "sk-secret");
    assert_eq!(vault.open(PLACE, "sk-secret").err(), Some(OpenError::Malformed));
    assert_eq!(vault.open(PLACE, "v2:x:AAAA").err(), Some(OpenError::Malformed));
    assert_eq!(vault.open(PLACE, "v2:7:***").err(), Some(OpenError::Malformed));
    assert_eq!(vault.open(PLACE, "v2:7:AAAA").err(), Some(OpenError::Mismatch));
    assert_eq!(vault.open(PLACE, &stored.replace("v2:7:", "v2:8:")).err(), Some(OpenError::UnknownDataKey(8)));
}

#[test]
fn equal_texts_are_stored_differently_and_hash_equally() {
    let vault = vault();
    assert_ne!(vault.seal(PLACE, "sk-secret"), vault.seal(PLACE, "sk-secret"));
    assert_eq!(vault.hash("sk-secret"), Vault::plain(&Zeroizing::new([2; 32])).hash("sk-secret"));
    assert_ne!(vault.hash("sk-secret"), Vault::plain(&Zeroizing::new([3; 32])).hash("sk-secret"));
}

#[test]
fn the_hash_is_hmac_sha256() {
    // RFC 4231, test case 2, its key padded with zeros as HMAC itself does.
    let mut key = [0; 32];
    key[..4].copy_from_slice(b"Jefe");
    let hash = Vault::plain(&Zeroizing::new(key)).hash("what do ya want for nothing?");
    assert_eq!(hash, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[test]
fn without_a_data_key_values_are_plain() {
    let vault = Vault::plain(&Zeroizing::new([2; 32]));
    assert_eq!(vault.seal(PLACE, "v2:9:not encrypted"), "v2:9:not encrypted");
    assert_eq!(vault.open(PLACE, "v2:9:not encrypted").expect("plain").expose(), "v2:9:not encrypted");
}

#[test]
fn the_empty_text_is_stored_empty() {
    assert_eq!(vault().seal(PLACE, ""), "");
    assert_eq!(vault().open(PLACE, "").expect("empty").expose(), "");
}

#[test]
fn the_highest_data_key_encrypts_and_all_known_ones_read() {
    let vault = vault();
    let old = vault.seal(PLACE, "sk-secret");
    vault.learn(9, &Zeroizing::new([9; 32]));
    vault.learn(8, &Zeroizing::new([8; 32]));
    let new = vault.seal(PLACE, "sk-secret");
    assert_eq!((vault.current_key(), data_key_of(&old), data_key_of(&new)), (Some(9), Some(7), Some(9)));
    for stored in [&old, &new] {
        assert_eq!(vault.open(PLACE, stored).expect("opens").expose(), "sk-secret");
    }
    assert_eq!(vault.in_plain().hash("sk-secret"), vault.hash("sk-secret"));
    assert_eq!(
        (vault.in_plain().current_key(), data_key_of("sk-secret"), data_key_of("v2:x:AAAA")),
        (None, None, None)
    );
}

#[test]
fn wrapped_keys_need_their_passphrase_purpose_and_id() {
    let derivation = Derivation::with_rounds(2);
    let stored = Derivation::from_stored(&derivation.salt(), i64::from(derivation.rounds())).expect("reads back");
    assert_eq!(stored, derivation);
    let key = random_key();
    let wrapped = derivation.derive(&Secret::from("right")).wrap(Purpose::Data, 1, &key);
    let right = stored.derive(&Secret::from("right"));
    assert_eq!(right.unwrap(Purpose::Data, 1, &wrapped), Some(key.clone()));
    assert_eq!(right.unwrap(Purpose::Lookup, 1, &wrapped), None);
    assert_eq!(right.unwrap(Purpose::Data, 2, &wrapped), None);
    assert_eq!(stored.derive(&Secret::from("wrong")).unwrap(Purpose::Data, 1, &wrapped), None);
    assert_eq!(read_unprotected(&unprotected(&key)), Some(key));
    assert_eq!(read_unprotected("AAAA"), None);
    assert_eq!(Derivation::from_stored(&derivation.salt(), 0), None);
}

#[test]
fn a_vault_prints_no_key() {
    assert_eq!(format!("{:?}", vault()), "Vault { encrypts: true, .. }");
}
