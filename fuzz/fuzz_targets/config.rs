//! Any text as `config.json`: read or refused, and read means that labels have no gaps.
#![no_main]

use std::path::Path;

use candlewick::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = Config::parse(Path::new("config.json"), text) {
        assert!(!config.labels.is_empty());
        let _ = config.size("hidden_size", 1);
        let _ = config.number("layer_norm_eps", 1.0);
        let _ = config.string("hidden_act", "gelu");
    }
});
