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
};

const ROBERTA: Class = Class {
    name: "RobertaTokenizer",
    special: ROBERTA_SPECIAL,
    mask_takes_space: true,
    type_ids: false,
    overrides: Some(Overridden::Template),
};

const XLM_ROBERTA: Class = Class { name: "XLMRobertaTokenizer", overrides: None, ..ROBERTA };

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
    XLM_ROBERTA,
    Class { name: "CamembertTokenizer", ..XLM_ROBERTA },
    Class { name: "DebertaV2Tokenizer", special: DEBERTA_SPECIAL, overrides: None, ..BERT },
    Class { name: "AlbertTokenizer", special: ALBERT_SPECIAL, overrides: None, mask_takes_space: true, ..BERT },
    Class { name: "MPNetTokenizer", special: MPNET_SPECIAL, type_ids: false, mask_takes_space: true, ..BERT },
];

/// `PreTrainedTokenizerFast`: the file as it is.
const GENERIC: Class =
    Class { name: "PreTrainedTokenizerFast", special: &[], mask_takes_space: false, type_ids: true, overrides: None };

impl Class {
    /// The class of a name; one that adds nothing for every other name.
    pub(super) fn of(name: &str) -> &'static Self {
        let name = name.strip_suffix("Fast").unwrap_or(name);
        CLASSES.iter().find(|class| class.name == name).unwrap_or(&GENERIC)
    }
}
