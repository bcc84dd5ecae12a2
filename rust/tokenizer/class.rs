//! The tokenizer classes of transformers, as far as they change what a file says.

/// What a class adds to its files. `tokenizer_class` names it, with or without `Fast` at the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub name: &'static str,
    /// Its special tokens, in the order in which transformers adds them; a checkpoint may rename them.
    pub special: &'static [(&'static str, &'static str)],
    /// Whether the mask token takes the spaces before it.
    pub mask_takes_space: bool,
    /// Whether it emits segment ids.
    pub type_ids: bool,
    /// What of the file its settings override, besides `add_prefix_space` of the pre-tokenizer.
    pub overrides: Option<Overridden>,
    /// How it reads its sentencepiece file, if it has one.
    pub sentencepiece: Option<&'static Pieces>,
    /// `additional_special_tokens`, where no file lists any.
    pub additional: &'static [&'static str],
}

/// What a class makes of a sentencepiece file: the data of transformers' converters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    /// The file's name.
    pub file: &'static str,
    /// What stands in the vocabulary in place of the file's first pieces, and how many of those.
    pub first: (&'static [&'static str], usize),
    /// What follows the file's pieces.
    pub last: &'static [&'static str],
    /// The unknown token's id where it is not what the file says.
    pub unk_id: Option<usize>,
    /// Where a piece that ends in a digit and a comma is never preferred to its parts.
    pub splits_numbers: bool,
    pub text: Text,
    /// The template for one text and for two.
    pub templates: [&'static str; 2],
    /// Whether the unknown token is also found in normalized text.
    pub normalizes_unknown: bool,
}

/// What happens to text in front of a sentencepiece model, besides the model's own normalization.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Spaces at the end go, several are one space's piece.
    Fairseq,
    /// Spaces at both ends go; `do_lower_case` and `split_by_punct`.
    Deberta,
    /// Quotes are one kind; `do_lower_case` and `keep_accents`.
    Albert,
}

/// A component of `tokenizer.json` that settings override.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overridden {
    /// A `BertNormalizer`, by `do_lower_case`, `strip_accents` and `tokenize_chinese_chars`.
    Normalizer,
    /// The post-processor, by `trim_offsets` and `add_prefix_space`.
    Template,
}

const BERT_SPECIAL: &[(&str, &str)] = &[
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

const ROBERTA_SPECIAL: &[(&str, &str)] = &[
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("unk_token", "<unk>"),
    ("sep_token", "</s>"),
    ("pad_token", "<pad>"),
    ("cls_token", "<s>"),
    ("mask_token", "<mask>"),
];

const BERT: Class = Class {
    name: "BertTokenizer",
    special: BERT_SPECIAL,
    mask_takes_space: false,
    type_ids: true,
    overrides: Some(Overridden::Normalizer),
    sentencepiece: None,
    additional: &[],
};

const ROBERTA: Class = Class {
    name: "RobertaTokenizer",
    special: ROBERTA_SPECIAL,
    mask_takes_space: true,
    type_ids: false,
    overrides: Some(Overridden::Template),
    sentencepiece: None,
    additional: &[],
};

const XLM_ROBERTA: Class =
    Class { name: "XLMRobertaTokenizer", overrides: None, sentencepiece: Some(&XLM_ROBERTA_PIECES), ..ROBERTA };

/// fairseq numbers its own four tokens first.
const XLM_ROBERTA_PIECES: Pieces = Pieces {
    file: "sentencepiece.bpe.model",
    first: (&["<s>", "<pad>", "</s>", "<unk>"], 3),
    last: &["<mask>"],
    unk_id: Some(3),
    splits_numbers: false,
    text: Text::Fairseq,
    templates: ["<s> $A </s>", "<s> $A </s> </s> $B </s>"],
    normalizes_unknown: false,
};

const CAMEMBERT: Class = Class {
    name: "CamembertTokenizer",
    sentencepiece: Some(&CAMEMBERT_PIECES),
    additional: &["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
    ..XLM_ROBERTA
};

/// fairseq's four tokens, and then those of the file, which has the same ones.
const CAMEMBERT_PIECES: Pieces =
    Pieces { first: (&["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"], 1), ..XLM_ROBERTA_PIECES };

const DEBERTA_PIECES: Pieces = Pieces {
    file: "spm.model",
    first: (&[], 0),
    last: &[],
    unk_id: None,
    splits_numbers: false,
    text: Text::Deberta,
    templates: ["[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"],
    normalizes_unknown: true,
};

const ALBERT_PIECES: Pieces = Pieces {
    file: "spiece.model",
    splits_numbers: true,
    text: Text::Albert,
    normalizes_unknown: false,
    ..DEBERTA_PIECES
};

const DEBERTA_SPECIAL: &[(&str, &str)] = &[
    ("bos_token", "[CLS]"),
    ("eos_token", "[SEP]"),
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

const ALBERT_SPECIAL: &[(&str, &str)] = &[
    ("bos_token", "[CLS]"),
    ("eos_token", "[SEP]"),
    ("unk_token", "<unk>"),
    ("sep_token", "[SEP]"),
    ("pad_token", "<pad>"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

const MPNET_SPECIAL: &[(&str, &str)] = &[
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("unk_token", "[UNK]"),
    ("sep_token", "</s>"),
    ("pad_token", "<pad>"),
    ("cls_token", "<s>"),
    ("mask_token", "<mask>"),
];

const CLASSES: &[Class] = &[
    BERT,
    Class { name: "DistilBertTokenizer", type_ids: false, ..BERT },
    Class { name: "ElectraTokenizer", ..BERT },
    ROBERTA,
    Class { name: "BartTokenizer", ..ROBERTA },
    XLM_ROBERTA,
    CAMEMBERT,
    Class {
        name: "DebertaV2Tokenizer",
        special: DEBERTA_SPECIAL,
        overrides: None,
        sentencepiece: Some(&DEBERTA_PIECES),
        ..BERT
    },
    Class {
        name: "AlbertTokenizer",
        special: ALBERT_SPECIAL,
        overrides: None,
        mask_takes_space: true,
        sentencepiece: Some(&ALBERT_PIECES),
        ..BERT
    },
    Class { name: "MPNetTokenizer", special: MPNET_SPECIAL, type_ids: false, mask_takes_space: true, ..BERT },
];

/// `PreTrainedTokenizerFast`: the file as it is.
const GENERIC: Class = Class { name: "PreTrainedTokenizerFast", special: &[], overrides: None, ..BERT };

impl Class {
    /// The class of a name; one that adds nothing for every other name.
    pub(super) fn of(name: &str) -> &'static Self {
        let name = name.strip_suffix("Fast").unwrap_or(name);
        CLASSES.iter().find(|class| class.name == name).unwrap_or(&GENERIC)
    }
}
