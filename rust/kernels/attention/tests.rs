//! Every instruction set, type of numbers, kind of scores and span against the definition in f64.

use super::*;
use crate::kernels::arch::every;

pub(in crate::kernels) fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|at| (at * 7_919 % 10_007) as f32 / 2_500.0 - 2.0).collect()
}

fn sees(span: Span, query: usize, key: usize) -> bool {
    match span {
        Span::Full => true,
        Span::Causal => key <= query,
        Span::Window(width) => query.abs_diff(key) <= width,
    }
}

/// [`Scores::Relative`] before its tables, `[rows, hidden]`, are packed.
#[derive(Clone, Copy)]
struct Relative<'a> {
    keys: Option<&'a [f32]>,
    queries: Option<&'a [f32]>,
    index: &'a [u32],
}

/// One sequence by the definition.
fn definition(scheme: &Attention<'_>, relative: Option<Relative<'_>>, qkv: &[f32], hidden: usize) -> Vec<f64> {
    let (length, width) = (qkv.len() / (3 * hidden), hidden / scheme.heads);
    let plain = |which: usize, row: usize, column: usize| f64::from(qkv[row * 3 * hidden + which * hidden + column]);
    let at = |which: usize, row: usize, column: usize| {
        let Some(turns) = scheme.turns.filter(|_| which < 2) else { return plain(which, row, column) };
        let (half, within) = (width / 2, column % width);
        let [cos, sin] = [0, half].map(|part| f64::from(turns[row * width + part + within % half]));
        if within < half {
            plain(which, row, column) * cos - plain(which, row, column + half) * sin
        } else {
            plain(which, row, column) * cos + plain(which, row, column - half) * sin
        }
    };
    let mut out = vec![0.0; length * hidden];
    for (query, head) in (0..length).flat_map(|row| (0..scheme.heads).map(move |head| (row, head))) {
        let columns = head * width..(head + 1) * width;
        let score = |key: usize| {
            let plain: f64 = columns.clone().map(|column| at(0, query, column) * at(1, key, column)).sum();
            let scale = f64::from(scheme.scale);
            let place = |distances: usize| distances / 2 + key - query;
            match scheme.scores {
                Scores::Plain => scale * plain,
                Scores::Table(table) => {
                    let table = &table[head * table.len() / scheme.heads..][..table.len() / scheme.heads];
                    scale * plain + f64::from(table[place(table.len())])
                }
                Scores::Relative { .. } => unreachable!("it is told apart"),
            }
        };
        let terms = |key: usize| {
            let Some(Relative { keys, queries, index }) = relative else { return 0.0 };
            let row = index[index.len() / 2 + key - query] as usize;
            let term = |of: Option<&[f32]>, which: usize, at_row: usize| {
                let with = |of: &[f32], column: usize| f64::from(of[row * hidden + column]);
                of.map_or(0.0, |of| columns.clone().map(|c| with(of, c) * at(which, at_row, c)).sum())
            };
            f64::from(scheme.scale) * (term(keys, 0, query) + term(queries, 1, key))
        };
        let score = |key: usize| score(key) + terms(key);
        let shares: Vec<f64> =
            (0..length).map(|key| if sees(scheme.span, query, key) { score(key).exp() } else { 0.0 }).collect();
        let sum: f64 = shares.iter().sum();
        for column in columns {
            out[query * hidden + column] = (0..length).map(|key| shares[key] / sum * at(2, key, column)).sum();
        }
    }
    out
}

/// By every instruction set and in both types of numbers: all sequences together are the definition, and have the bits of
/// each alone and of first rows alone.
fn check(scheme: &Attention<'_>, relative: Option<Relative<'_>>, lengths: &[usize], hidden: usize) {
    let bounds = Bounds::from_lengths(lengths.iter().copied());
    let qkv = numbers(bounds.tokens() * 3 * hidden);
    let of = |rows: &std::ops::Range<usize>| &qkv[rows.start * 3 * hidden..rows.end * 3 * hidden];
    let exact: Vec<f64> = bounds.rows().flat_map(|rows| definition(scheme, relative, of(&rows), hidden)).collect();
    for (kernels, (dtype, close)) in every().into_iter().flat_map(|kernels| DTYPES.map(|dtype| (kernels, dtype))) {
        let pack = |table| PackedRows::pack_for(kernels, table, hidden, scheme.heads, dtype);
        let tables = relative.map(|relative| [relative.keys, relative.queries].map(|table| table.map(pack)));
        let scores = match (&tables, relative) {
            (Some([keys, queries]), Some(Relative { index, .. })) => {
                Scores::Relative { keys: keys.as_ref(), queries: queries.as_ref(), index }
            }
            _ => scheme.scores,
        };
        let scheme = Attention { dtype, scores, ..*scheme };
        let attend = |qkv: &[f32], bounds: &Bounds, wanted, rows: usize| {
            let mut out = vec![f32::NAN; rows * hidden];
            attend_all(kernels, &scheme, Columns::thirds(qkv, hidden), [bounds; 2], wanted, &mut out);
            out
        };
        let out = attend(&qkv, &bounds, Rows::All, bounds.tokens());
        for (got, exact) in out.iter().zip(&exact) {
            assert!((f64::from(*got) - exact).abs() < close, "{scheme:?}: {got}, not {exact}");
        }
        let [firsts, lasts] = [Rows::First, Rows::Last].map(|wanted| attend(&qkv, &bounds, wanted, bounds.sequences()));
        let picked = firsts.chunks(hidden).zip(lasts.chunks(hidden));
        for ((first, last), rows) in picked.zip(bounds.rows()).filter(|(_, rows)| !rows.is_empty()) {
            let out = &out[rows.start * hidden..rows.end * hidden];
            assert_eq!(first, &out[..hidden], "{scheme:?}: first rows alone have other bits");
            assert_eq!(last, &out[out.len() - hidden..], "{scheme:?}: last rows alone have other bits");
            let alone = attend(of(&rows), &Bounds::from_lengths([rows.len()]), Rows::All, rows.len());
            assert_eq!(alone, out, "{scheme:?}: alone has other bits");
        }
    }
}

const DTYPES: [(Dtype, f64); 2] = [(Dtype::Float32, 1e-5), (Dtype::Bfloat16, 0.03)];

#[test]
fn every_instruction_set_is_the_definition_and_sequences_do_not_see_each_other() {
    let shapes: [(&[usize], usize, usize); 5] =
        [(&[1], 1, 1), (&[3, 1, 17], 3, 24), (&[70, 2], 2, 128), (&[300], 1, 65), (&[0, 5, 0], 2, 6)];
    for (lengths, heads, hidden) in shapes {
        check(&Attention::plain(Dtype::Float32, heads, hidden), None, lengths, hidden);
    }
}

#[test]
fn every_kind_of_scores_and_span_is_the_definition() {
    // 259 rows: some panels and blocks of a window end inside, and the last pair of bfloat16 is half empty.
    let (lengths, heads, hidden, longest) = ([259, 1, 34], 2, 16, 300);
    let distances = 2 * longest - 1;
    let table: Vec<f32> = numbers(heads * distances);
    let rows: Vec<f32> = numbers(2 * 77 * hidden);
    let [keys, queries] = [0, 1].map(|table| Some(&rows[table * 77 * hidden..][..77 * hidden]));
    // In the middle each distance has the row behind the last one's, or the row before it.
    let up: Vec<u32> = (0..distances as u32).map(|distance| distance.saturating_sub(250).min(76)).collect();
    let down: Vec<u32> = up.iter().map(|row| 76 - row).collect();
    let (plain, none) = (Scores::Plain, None);
    let kinds = [
        (plain, None),
        (Scores::Table(&table), None),
        (plain, Some(Relative { keys, queries: none, index: &up })),
        (plain, Some(Relative { keys: none, queries, index: &up })),
        (plain, Some(Relative { keys, queries, index: &up })),
        (plain, Some(Relative { keys, queries, index: &down })),
    ];
    for (scores, relative) in kinds {
        for span in [Span::Full, Span::Causal, Span::Window(0), Span::Window(5), Span::Window(100), Span::Window(999)] {
            let scheme = Attention { dtype: Dtype::Float32, heads, scale: 0.11, scores, span, turns: None };
            check(&scheme, relative, &lengths, hidden);
        }
    }
}

#[test]
fn queries_and_keys_are_turned_at_their_places() {
    for (lengths, heads, hidden) in [([1, 3, 40], 2, 4), ([130, 2, 70], 2, 12), ([90, 1, 1], 1, 70)] {
        let angles = (0..130 * hidden / heads).map(|at| (at * 13 % 29) as f32 / 4.0);
        // Not of one angle: that each is used where it belongs shows better.
        let turns: Vec<f32> = angles.map(f32::cos).collect();
        for span in [Span::Full, Span::Window(6), Span::Causal] {
            let turns = Some(&turns[..]);
            let plain = Attention::plain(Dtype::Float32, heads, hidden);
            check(&Attention { span, turns, ..plain }, None, &lengths, hidden);
        }
    }
}

#[test]
#[should_panic(expected = "attention: 2 cosines and sines, and 4 are needed")]
fn turns_reach_the_last_place() {
    let scheme = Attention { turns: Some(&[1.0; 2]), ..Attention::plain(Dtype::Float32, 1, 2) };
    attention(&scheme, Columns::thirds(&[0.0; 12], 2), &Bounds::from_lengths([2]), Rows::All, &mut [0.0; 4]);
}

#[test]
fn keys_may_be_of_other_rows() {
    let (heads, hidden) = (2, 8);
    let bounds = [[1, 40, 0], [30, 2, 7]].map(Bounds::from_lengths);
    let (queries, others) = (numbers(41 * hidden), numbers(39 * 2 * hidden));
    let [keys, values] = [0, hidden].map(|first| Columns { values: &others, stride: 2 * hidden, first });
    let inputs = [Columns { values: &queries, stride: hidden, first: 0 }, keys, values];
    for (kernels, (dtype, close)) in every().into_iter().flat_map(|kernels| DTYPES.map(|dtype| (kernels, dtype))) {
        let scheme = Attention::plain(dtype, heads, hidden);
        let mut out = vec![f32::NAN; queries.len()];
        attend_all(kernels, &scheme, inputs, [&bounds[0], &bounds[1]], Rows::All, &mut out);
        for (rows, keys) in bounds[0].rows().zip(bounds[1].rows()) {
            // Each query alone, before keys that are rows of the same sequence: by the definition, its first row.
            for row in rows {
                let qkv: Vec<f32> = keys
                    .clone()
                    .flat_map(|key| {
                        let query = &queries[row * hidden..][..hidden];
                        query.iter().chain(&others[key * 2 * hidden..][..2 * hidden]).copied()
                    })
                    .collect();
                let exact = definition(&Attention { dtype: Dtype::Float32, ..scheme }, None, &qkv, hidden);
                for (got, exact) in out[row * hidden..][..hidden].iter().zip(exact) {
                    assert!((f64::from(*got) - exact).abs() < close, "{dtype}: {got}, not {exact}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "attention: a query has no keys")]
fn a_query_without_keys_panics() {
    let scheme = Attention::plain(Dtype::Float32, 1, 1);
    let inputs = [Columns { values: &[0.0; 2], stride: 1, first: 0 }; 3];
    let bounds = [[1, 1], [2, 0]].map(Bounds::from_lengths);
    cross_attention(&scheme, inputs, [&bounds[0], &bounds[1]], &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "attention: rows of other sequences have no distance")]
fn a_window_over_other_rows_panics() {
    let scheme = Attention { span: Span::Window(1), ..Attention::plain(Dtype::Float32, 1, 1) };
    let inputs = [Columns { values: &[0.0; 2], stride: 1, first: 0 }; 3];
    let bounds = Bounds::from_lengths([2]);
    cross_attention(&scheme, inputs, [&bounds; 2], &mut [0.0; 2]);
}

fn panics(heads: usize, scores: Scores<'_>) {
    let scheme = Attention { scores, ..Attention::plain(Dtype::Float32, heads, 3) };
    attention(&scheme, Columns::thirds(&[0.0; 18], 3), &Bounds::from_lengths([2]), Rows::All, &mut [0.0; 6]);
}

#[test]
#[should_panic(expected = "attention: 3 is not a multiple of 2 heads")]
fn heads_divide_the_width() {
    panics(2, Scores::Plain);
}

#[test]
#[should_panic(expected = "attention: 1 distances are too few for 2 rows")]
fn tables_reach_the_longest_distance() {
    panics(3, Scores::Table(&[0.0; 3]));
}
