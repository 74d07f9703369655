//! Where cuts lie, and that nothing is lost, doubled or moved between them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::Class;

const SECOND: Duration = Duration::from_secs(1);

/// A recording of one channel at 16,000: a tone, but silent within the given ranges of seconds.
fn talk(seconds: u32, silences: &[std::ops::Range<f64>]) -> Recording {
    let sample = |n: u32| {
        let time = f64::from(n) / 16_000.0;
        let is_silent = silences.iter().any(|range| range.contains(&time));
        if is_silent { 0 } else { ((time * 3000.0).sin() * 9000.0) as i16 }
    };
    let frames: Vec<Vec<i16>> = (0..seconds * 16_000).map(|n| vec![sample(n)]).collect();
    Recording::from_bytes(wav(16_000, &frames)).unwrap()
}

fn offsets(parts: &[Part]) -> Vec<f64> {
    parts.iter().map(|part| part.offset.as_secs_f64()).collect()
}

#[test]
fn cuts_lie_in_the_middle_of_silences_near_the_mark() {
    let cut = Cut { max_duration: 10 * SECOND, silence: SECOND, ..Cut::default() };
    // Wanted at 8 s behind the last cut, at most 2 s away from there.
    let parts = all_parts(&talk(30, &[1.0..3.0, 6.5..8.5, 15.0..16.5, 23.0..23.9]), &cut);
    assert_eq!(offsets(&parts), [0.0, 7.5, 15.75, 23.75]);
    assert_eq!(parts.iter().map(|part| part.duration.as_secs_f64()).sum::<f64>(), 30.0);
    assert!(parts.iter().all(|part| !part.silent && part.channel.is_none()));
    // The last one was too short for a cut: it lies exactly at the mark, 8 s behind 15.75.
    let names: Vec<&str> = parts.iter().map(|part| &*part.file_name).collect();
    assert_eq!(names, ["part-000.wav", "part-001.wav", "part-002.wav", "part-003.wav"]);
}

#[test]
fn what_is_small_and_short_enough_is_passed_on_unchanged() {
    let recording = talk(5, &[]);
    let whole = recording.shared.stored.read_all().unwrap();
    for cut in [Cut::default(), Cut { channels: Channels::Separate, ..Cut::default() }] {
        let parts = all_parts(&recording, &cut);
        assert_eq!((parts.len(), &parts[0].bytes, parts[0].duration), (1, &whole, 5 * SECOND));
        assert_eq!(parts[0].channel.is_some(), cut.channels == Channels::Separate);
    }
    let exact = Cut { max_bytes: whole.len() as u64, max_duration: 5 * SECOND, ..Cut::default() };
    assert_eq!(all_parts(&recording, &exact).len(), 1);
    assert!(all_parts(&recording, &Cut { max_bytes: exact.max_bytes - 1, ..exact }).len() > 1);
    assert!(all_parts(&recording, &Cut { max_duration: 4 * SECOND, ..exact }).len() > 1);
}

#[test]
fn channels_are_cut_at_the_same_places_and_a_silent_part_is_marked() {
    let frames: Vec<Vec<i16>> =
        (0..8 * 16_000).map(|n| vec![if n < 64_000 { 5000 } else { 0 }, if n >= 80_000 { 5000 } else { 0 }]).collect();
    let recording = Recording::from_bytes(wav(16_000, &frames)).unwrap();
    let cut = Cut { max_duration: 5 * SECOND, silence: SECOND / 2, channels: Channels::Separate, ..Cut::default() };
    let parts = all_parts(&recording, &cut);
    let seen: Vec<_> = parts.iter().map(|part| (part.index, part.channel.unwrap(), part.offset, part.silent)).collect();
    // Both are silent from 4 to 5 s.
    let middle = 9 * SECOND / 2;
    let zero = Duration::ZERO;
    assert_eq!(seen, [(0, 0, zero, false), (0, 1, zero, true), (1, 0, middle, true), (1, 1, middle, false)]);
    assert_eq!(parts[3].file_name, "channel-1-part-001.wav");
    let joined = joined(&parts, 2);
    assert!((0..2).all(|channel| joined[channel].iter().eq(frames.iter().map(|frame| &frame[channel]))));
    let mixed = all_parts(&recording, &Cut { channels: Channels::Mixed, ..cut });
    assert_eq!(samples(&mixed[0])[..3], [2500, 2500, 2500]);
}

#[test]
fn limits_that_leave_nothing_are_a_fault_of_the_options() {
    let recording = talk(5, &[]);
    for cut in [Cut { max_bytes: 10_000, ..Cut::default() }, Cut { max_duration: SECOND, ..Cut::default() }] {
        let error = recording.parts(&cut).unwrap_err();
        assert!(error.class() == Class::Configuration && error.help_text().is_some(), "{error}");
    }
}

#[tokio::test]
async fn parts_are_made_where_they_may_block() {
    let recording = talk(12, &[]);
    let cut = Cut { max_duration: 5 * SECOND, ..Cut::default() };
    let mut parts = recording.parts(&cut).unwrap();
    let mut made = Vec::new();
    while let Some(part) = parts.next_part().await {
        made.push(part.unwrap());
    }
    let expected = all_parts(&recording, &cut);
    assert_eq!(offsets(&made), offsets(&expected));
    assert!(made.iter().zip(&expected).all(|(one, other)| one.bytes == other.bytes));
    assert!(parts.next_part().await.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the rate: parts of a channel lie end to end and are all of it, none is too long or too large, and a sound is
    /// where it was.
    #[test]
    fn parts_are_the_whole_at_every_rate(
        rate in prop_oneof![
            Just(8000_u32), Just(11_025), Just(16_000), Just(22_050), Just(32_000), Just(44_100), Just(48_000),
            4000_u32..50_000,
        ],
        channels in 1_usize..4,
        millis in 500_u32..9000,
        max_millis in 2000_u64..5000,
        at in 0.1..0.9_f64,
        silence in 50_u64..500,
    ) {
        let count = (u64::from(rate) * u64::from(millis)).div_ceil(1000) as usize;
        // A low hum everywhere but around a step to a loud level, which is found again to the sample or two.
        let step = (count as f64 * at) as usize;
        let frames: Vec<Vec<i16>> = (0..count)
            .map(|n| vec![if n >= step { 12_000 } else if n % 4000 < 2000 { 800 } else { 0 }; channels])
            .collect();
        let recording = Recording::from_bytes(wav(rate, &frames)).unwrap();
        let cut = Cut {
            max_bytes: 44 + max_millis * 32,
            max_duration: Duration::from_millis(max_millis + 100),
            silence: Duration::from_millis(silence),
            channels: Channels::Separate,
            ..Cut::default()
        };
        let parts = all_parts(&recording, &cut);
        if parts.len() == 1 && parts[0].bytes.len() as u64 == recording.len() {
            return Ok(());
        }
        let total = (count as u64 * 16_000).div_ceil(rate.into());
        for channel in 0..channels {
            let own: Vec<&Part> = parts.iter().filter(|part| usize::from(part.channel.unwrap()) == channel).collect();
            let mut end = Duration::ZERO;
            let mut whole = Vec::new();
            for (index, part) in own.iter().enumerate() {
                prop_assert_eq!((part.index, part.offset), (index, end));
                prop_assert!(part.bytes.len() as u64 <= cut.max_bytes && part.duration <= cut.max_duration);
                let samples = samples(part);
                prop_assert_eq!(part.duration, Duration::from_nanos(samples.len() as u64 * 62_500));
                prop_assert!(samples.len() >= 16_000 || own.len() == 1, "{} samples are too short", samples.len());
                end += part.duration;
                whole.extend(samples);
            }
            prop_assert_eq!(whole.len() as u64, total);
            // The filter rings around the step; its middle is half way up.
            let found = whole.iter().position(|sample| *sample > 6400).unwrap() as f64;
            let expected = step as f64 * 16_000.0 / f64::from(rate);
            prop_assert!((found - expected).abs() <= 2.0 + 16_000.0 / f64::from(rate), "{} for {}", found, expected);
            if rate == 16_000 {
                prop_assert!(whole.iter().eq(frames.iter().map(|frame| &frame[channel])));
            }
        }
    }
}
