//! Any bytes as `model.safetensors`: opened or refused; what is opened can be read to its last element.
#![no_main]

use candlewick::weights::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("model.safetensors"), bytes).expect("room for a small file");
    let Ok(weights) = Weights::open(folder.path()) else { return };
    for name in weights.names() {
        let tensor = weights.get(name).expect("a name that was listed");
        let shape = tensor.shape().to_vec();
        if tensor.expect(&shape).is_ok() {
            let _ = tensor.append_finite(&mut Vec::new());
        }
    }
});
