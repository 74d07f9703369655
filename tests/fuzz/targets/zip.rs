//! Bundles and gzip: any bytes are unpacked within their bounds or refused.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vconductor_core::format::{self, Bundle, Limits};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { bytes: 1 << 20, inflated: 1 << 20, entries: 256, ..Limits::default() };
    if let Ok(bundle) = Bundle::open(Bytes::copy_from_slice(bytes), &limits) {
        let unpacked: usize = bundle.vcons.iter().map(|vcon| vcon.bytes.len()).sum();
        let files: u64 = bundle.files.iter().map(|file| file.bytes.len() as u64).sum();
        assert!(unpacked as u64 + files <= limits.inflated, "more was unpacked than the limit says");
        assert!(bundle.vcons.len() + bundle.files.len() <= limits.entries);
        if let Ok(vcons) = bundle.into_sound_vcons() {
            vcons.for_each(drop);
        }
    }
    if let Ok(inflated) = format::inflate(bytes, &limits) {
        assert!(inflated.bytes.len() as u64 <= limits.inflated, "more was inflated than the limit says");
    }
    drop(format::open(bytes.to_vec(), &limits));
});
