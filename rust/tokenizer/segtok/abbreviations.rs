//! What looks like the end of a sentence and is none: abbreviations, initials, dates.

use super::classes::{CAPITAL, DIGIT, LOWER, MODIFIER, UPPER, WORD, is_boundary, is_hyphen, is_python_space};

/// Whether a sentence goes on behind a terminal: `before` is what stands between the last one and this, `behind` what
/// stands before the next.
pub(super) fn continues(before: &[char], terminal: char, behind: &[char]) -> bool {
    before.last().is_some_and(|&char| is_python_space(char))
        || terminal == '.' && (is_abbreviation(before) || goes_on(before, behind))
}

/// Those that hardly ever end a sentence, without their last full stop.
const KNOWN: &str = "approx Approx Capt cf Cf Col Dr fe f.e Fe F.e fig figs Fig Figs Gen eg e.g Eg E.g ie i.e Ie I.e iv i.v Iv \
    I.v Mag med Med Mr Mrs Mt nat Nat No nr Nr p.e P.e phil Phil prof Prof rer Rer sci Sci Sgt Sr Sra Srta St univ Univ vol \
    Vol vs Vs z.B Z.b Jän Jan Ene Feb Mär Mar Apr Abr May Jun Jul Aug Sep Sept Oct Okt Nov Dic Dez Dec E.U U.K U.S";

/// What stands before the initials of a person.
const TITLES: &str = "By by Captain captain Commander commander Doctor doctor Doktor doktor General general Magister magister \
    Magiss magiss Mister mister Miss miss Professor professor Señor señor Señora señora Señorit señorit Señorita señorita";

/// Whether a text ends in a known abbreviation, is one character or a number, or ends in the initials of a name.
fn is_abbreviation(text: &[char]) -> bool {
    ends_in_one_of(text, KNOWN)
        || matches!(text, [char] if !char.is_whitespace())
        || !text.is_empty() && text.iter().all(|&char| DIGIT.has(char))
        || initials(text).into_iter().flatten().any(|start| names_a_person(&text[..start]))
}

/// Whether it ends in one of these words, from where a word begins.
fn ends_in_one_of(text: &[char], words: &str) -> bool {
    words.split_whitespace().any(|word| {
        let length = word.chars().count();
        text.len() >= length
            && text[text.len() - length..].iter().copied().eq(word.chars())
            && is_boundary(text, text.len() - length)
    })
}

/// Where initials at the end may begin: `A`, and `A.-B`, `A.B`.
fn initials(text: &[char]) -> [Option<usize>; 2] {
    let one = |end: usize| {
        let letter = if end > 0 && MODIFIER.at(text, end - 1) { end.checked_sub(2) } else { end.checked_sub(1) };
        letter.filter(|&start| CAPITAL.at(text, start))
    };
    let last = one(text.len());
    let first = last.and_then(|last| {
        let hyphen = last > 0 && is_hyphen(text[last - 1]);
        let stop = last.checked_sub(1 + usize::from(hyphen)).filter(|&stop| text[stop] == '.')?;
        one(stop)
    });
    [last, first]
}

/// Whether what stands before initials makes them a person's: a title, a list of authors, a bracket.
fn names_a_person(before: &[char]) -> bool {
    match before {
        [.., '[' | '('] => true,
        [rest @ .., space] if space.is_whitespace() => ends_in_one_of(rest, TITLES) || is_list(rest),
        _ => false,
    }
}

/// Whether it ends like a list of names, `…,`, `…, and`, `… and`, but not of letters: `A, and`.
fn is_list(text: &[char]) -> bool {
    let comma = |text: &[char]| matches!(text, [rest @ .., ','] if !ends_in_letter(rest, |char| UPPER.has(char)));
    match text {
        [rest @ .., space, 'a', 'n', 'd'] if space.is_whitespace() => {
            comma(rest) || !ends_in_letter(rest, |char| UPPER.has(char) || char == ',')
        }
        _ => comma(text),
    }
}

/// Whether it ends in a single letter, perhaps modified.
fn ends_in_letter(text: &[char], letter: impl Fn(char) -> bool) -> bool {
    let at = |place: usize| letter(text[place]) && is_boundary(text, place);
    let length = text.len();
    length > 0 && at(length - 1) || length > 1 && MODIFIER.has(text[length - 1]) && at(length - 2)
}

/// Whether the words around a full stop belong together: a lone word in lower case, a date, a name with an initial.
fn goes_on(before: &[char], behind: &[char]) -> bool {
    is_lone_word(behind)
        || ends_in_day(before) && starts_with_month(behind)
        || ends_in_middle_initial(before) && starts_with_name(behind)
}

fn is_lone_word(text: &[char]) -> bool {
    let inside = |char: &char| LOWER.has(*char) || DIGIT.has(*char) || is_hyphen(*char);
    LOWER.at(text, 0) && text.iter().all(inside)
}

/// One or two digits, the first of two at most 3.
fn ends_in_day(text: &[char]) -> bool {
    match text {
        [.., '0'..='3', '0'..='9'] if is_boundary(text, text.len() - 2) => true,
        [.., '0'..='9'] => is_boundary(text, text.len() - 1),
        _ => false,
    }
}

/// A month of some languages, or its number; whatever comes behind.
fn starts_with_month(text: &[char]) -> bool {
    const MONTHS: &str = "Jän Jan Ene Feb Mär Mar Abr Apr May Jun Jul Aug Sep Oct Okt Nov Dec Dez Dic Diz";
    let named = MONTHS.split_whitespace().any(|month| month.chars().eq(text.iter().copied().take(3)));
    named || matches!(text, ['1'..='9', ..] | ['0', '1'..='9', ..])
}

/// `Word, X`.
fn ends_in_middle_initial(text: &[char]) -> bool {
    let Some((_, rest)) = text.split_last().filter(|(last, _)| UPPER.has(**last)) else { return false };
    let gap = rest.iter().rev().take_while(|char| !WORD.has(**char)).count();
    let word = &rest[..rest.len() - gap];
    let small = word.iter().rev().take_while(|char| LOWER.has(**char)).count();
    let start = word.len().checked_sub(small + 1);
    gap > 0 && small > 0 && start.is_some_and(|start| UPPER.has(word[start]) && is_boundary(word, start))
}

/// `Word`.
fn starts_with_name(text: &[char]) -> bool {
    let small = text.iter().skip(1).take_while(|char| LOWER.has(**char)).count();
    UPPER.at(text, 0) && small > 0 && is_boundary(text, small + 1)
}
