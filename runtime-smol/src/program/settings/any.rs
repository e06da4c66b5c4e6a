//! Arbitrary text as the configuration file and as any setting's value: from the corpus of the fuzz
//! targets (`fuzz/corpus/settings_file`) and random changes to it. It is here, not with the other
//! targets, because the settings parser belongs to this program.

use std::time::{Duration, Instant};

use footbridge_fuzz::targets::corpus::{Changes, inputs};

use super::*;

/// How long to try random changes.
const TIME: Duration = Duration::from_secs(2);
const SECRET: &str = "hunter2";

fn place() -> Place {
    Place { path: "/c/config.toml".into(), is_named: true, home: Some("/home/me".into()) }
}

/// Whatever can be set can be shown, and what is shown can be set again.
fn is_shown_as_it_is_set(key: &'static str, text: &str) -> Result<(), String> {
    let mut settings = Settings::default();
    settings.set(key, text, Origin::Default)?;
    let setting = SETTINGS.iter().find(|setting| setting.key == key).expect("a setting");
    if let Some((shown, _)) = settings.rows_of(setting) {
        let mut again = Settings::default();
        again.set(key, &shown, Origin::Default).unwrap_or_else(|why| panic!("{shown:?}: {why}"));
        assert_eq!(again, settings, "{key} = {text:?} is shown as {shown:?}");
    }
    Ok(())
}

fn try_file(text: &str) {
    match file::parse(&place(), text) {
        Ok(entries) => {
            for file::Entry { key, text, origin } in entries {
                let wrong = is_shown_as_it_is_set(key, &text).is_err();
                let put = Settings::default().put(key, &text, origin).map_err(|e| e.to_string());
                assert_eq!(put.is_err(), wrong);
                let names_it = |error: &String| error.contains(key) && error.contains("toml:");
                assert!(put.as_ref().err().is_none_or(names_it), "{key}: {put:?}");
            }
        }
        Err(error) => assert!(error.to_string().starts_with("/c/config.toml:"), "{error}"),
    }
    // A secret below it is never shown, whatever is above.
    let with_secret = format!("{text}\naccess_token = \"{SECRET}\"\n# {SECRET}\n");
    let error = file::parse(&place(), &with_secret).expect_err("secrets are not allowed there");
    assert!(!error.to_string().replace(text, "").contains(SECRET), "{error}");
}

#[test]
fn any_file_is_read_or_rejected_by_line_and_never_reveals_a_secret() {
    let corpus: Vec<_> = inputs("settings_file").into_iter().map(|(_, data)| data).collect();
    let try_bytes = |data: &[u8]| {
        let text = String::from_utf8_lossy(data);
        try_file(&text);
        let (first, rest) = data.split_first().unwrap_or((&0, &[]));
        let setting = &SETTINGS[usize::from(*first) % SETTINGS.len()];
        let _ = is_shown_as_it_is_set(setting.key, &String::from_utf8_lossy(rest));
    };
    corpus.iter().for_each(|data| try_bytes(data));
    let (mut changes, start) = (Changes::of(corpus, 7), Instant::now());
    while start.elapsed() < TIME {
        let data = changes.next_input();
        if std::panic::catch_unwind(|| try_bytes(data)).is_err() {
            panic!("it fails on {:?}", String::from_utf8_lossy(data));
        }
    }
}
