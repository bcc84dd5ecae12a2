//! Flair's sequence tagger: word vectors and language models over characters side by side, a recurrent layer in both
//! directions, tags.

use candle_core::{Device, Tensor};
use serde_json::Value;

use super::dtypes::Dtypes;
use super::examine::{Moved, TYPES, note};
use super::named::Named;
use super::{Examined, Work};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernels::Activation;
use crate::layers::{BiLstm, CharacterModel, Context, Linear, Recorded, Sentence, Table, read_characters};
use crate::types::{Batch, Dtype, RandomField, Track};
use crate::weights::Weights;

/// `model_type` of what `candlewick convert` makes of flair's files.
pub(super) const MODEL_TYPE: &str = "flair";

/// A dense layer between embeddings and what reads them.
const REPROJECTION: &str = "embedding2nn";

/// Characters of a word with the space behind it, where nothing is known about the text.
const CHARACTERS: usize = 6;

/// A tagger with its weights.
#[derive(Debug)]
pub(super) struct Tagger {
    embeddings: Vec<Embedding>,
    /// Numbers that all embeddings together give for a word.
    width: usize,
    /// [`REPROJECTION`], of those that have one and no recurrent layer to read it.
    reprojection: Option<Linear>,
    recurrent: Vec<BiLstm>,
    /// `[tags, …]`.
    output: Linear,
    field: Option<RandomField>,
}

#[derive(Debug)]
enum Embedding {
    Words(Table),
    Characters(CharacterModel),
}

impl Embedding {
    fn width(&self) -> usize {
        match self {
            Self::Words(table) => table.width(),
            Self::Characters(model) => model.hidden(),
        }
    }
}

impl Tagger {
    /// Reads the tagger that `config` describes, with its recurrent layers in `dtypes`.
    pub(super) fn load(config: &Config, weights: &Weights, dtypes: &Dtypes) -> Result<Self> {
        let named = Named::new(weights);
        let described = config.get("embeddings").and_then(Value::as_array);
        let described = described.ok_or_else(|| config.error("embeddings", "a list", "none"))?;
        let embeddings = (0..)
            .zip(described)
            .map(|(at, one)| embedding(config, &named, at, one, dtypes))
            .collect::<Result<Vec<_>>>()?;
        let width: usize = embeddings.iter().map(Embedding::width).sum();
        let flag = |key: &str| {
            let value = config.get(key).and_then(Value::as_bool);
            value.ok_or_else(|| config.error(key, "true or false", "none"))
        };
        let (layers, hidden) = (config.size("rnn_layers", 1)?, config.size("hidden_size", 256)?);
        // Nothing comes between it and the first recurrent layer: they are one.
        let reprojected = flag("reproject_embeddings")?;
        let mut inner = (reprojected && layers > 0).then(|| named.inner(REPROJECTION, width)).transpose()?;
        let alone = || named.linear(REPROJECTION, dtypes.of(REPROJECTION), width, width);
        let reprojection = (reprojected && layers == 0).then(alone).transpose()?;
        let mut inputs = width;
        let mut recurrent = Vec::new();
        for layer in 0..layers {
            let forward = named.direction("rnn.", &format!("l{layer}"), inputs, hidden)?;
            let backward = named.direction("rnn.", &format!("l{layer}_reverse"), inputs, hidden)?;
            let parts = [forward, backward];
            recurrent.push(BiLstm::load(
                &format!("rnn.l{layer}"),
                parts,
                inner.take(),
                &|name| dtypes.of(name),
                weights,
            )?);
            inputs = 2 * hidden;
        }
        let tags = config.labels.len();
        let output = named.linear("linear", Dtype::Float32, tags, inputs)?;
        let field = flag("crf")?.then(|| random_field(config, &named)).transpose()?;
        named.finish()?;
        Ok(Self { embeddings, width, reprojection, recurrent, output, field })
    }

    /// Emissions in float32, and how far int8 moves the products of each layer.
    pub(super) fn examine(config: &Config, weights: &Weights, batch: &Batch) -> Result<Examined> {
        let (inputs, mut moved) = (Recorded::default(), Moved::new());
        let [exact, narrow] = TYPES.map(|dtype| Self::load(config, weights, &Dtypes::all(dtype)));
        let (exact, narrow) = (exact?, narrow?);
        let logits = exact.forward(batch, &Context::new(&batch.bounds, &|| false).recorded(&inputs))?;
        let layers = [exact.linears().collect::<Vec<_>>(), narrow.linears().collect()];
        note(&mut moved, &layers[0], &layers[1], &inputs.borrow());
        Ok(Examined { moved, logits })
    }

    /// How tags depend on each other, if they do.
    pub(super) fn field(&self) -> Option<&RandomField> {
        self.field.as_ref()
    }

    /// Emissions, `[tokens, tags]`.
    pub(super) fn forward(&self, batch: &Batch, context: &Context<'_>) -> Result<Tensor> {
        let mut xs = Tensor::from_vec(self.embed(batch, context)?, (batch.bounds.tokens(), self.width), &Device::Cpu)?;
        if let Some(reprojection) = &self.reprojection {
            xs = reprojection.forward(&xs, Activation::Linear, context)?;
        }
        for layer in &self.recurrent {
            xs = layer.forward(&xs, context)?;
        }
        self.output.forward(&xs, Activation::Linear, context)
    }

    /// What the embeddings give, side by side: `[tokens, width]`. Language models read at the same time.
    fn embed(&self, batch: &Batch, context: &Context<'_>) -> Result<Vec<f32>> {
        let mut xs = vec![0.0; batch.bounds.tokens() * self.width];
        let (mut column, mut models) = (0, Vec::new());
        for (at, embedding) in self.embeddings.iter().enumerate() {
            let tracks = batch.tracks.iter().map(|tracks| tracks.get(at));
            let sequences = batch.bounds.rows().zip(tracks);
            match embedding {
                Embedding::Words(table) => {
                    for (bounds, track) in sequences {
                        let Some(Track::Rows(rows)) = track else { return Err(foreign()) };
                        if let Some(row) = rows.iter().find(|&&row| row as usize >= table.rows()) {
                            return Err(Error::Backend(format!("a vocabulary has row {row}, its table ends before")));
                        }
                        for (token, &row) in bounds.zip(rows) {
                            table.read(row, &mut xs[token * self.width + column..][..table.width()])?;
                        }
                    }
                }
                Embedding::Characters(model) => {
                    let sentences = sequences.map(|(bounds, track)| sentence(bounds.start, track));
                    models.push((model, column, sentences.collect::<Result<Vec<_>>>()?));
                }
            }
            column += embedding.width();
        }
        read_characters(&models, &mut xs, self.width, context)?;
        Ok(xs)
    }

    /// Its dense and recurrent layers but the last one.
    pub(super) fn linears(&self) -> impl Iterator<Item = &Linear> {
        let models = self.embeddings.iter().filter_map(|embedding| match embedding {
            Embedding::Words(_) => None,
            Embedding::Characters(model) => Some(model.lstm().linear()),
        });
        models.chain(&self.reprojection).chain(self.recurrent.iter().flat_map(BiLstm::linears))
    }

    /// What a sentence of so many words asks of the machine: language models read their weights for each character.
    pub(super) fn work(&self, tokens: usize) -> Work {
        let mut work = Work { bytes: 0, dense: 0, attention: 0 };
        for (at, linear) in self.linears().enumerate() {
            let models = self.embeddings.iter().filter(|one| matches!(one, Embedding::Characters(_))).count();
            let steps = if at < models { tokens * CHARACTERS } else { tokens };
            let packed = linear.packed();
            work.bytes += packed.bytes().len() * if at < models { steps } else { 1 };
            work.dense += 2 * packed.outputs() * packed.inputs() * steps;
        }
        work
    }

    pub(super) fn linear_parameters(&self) -> usize {
        self.linears().map(Linear::parameters).sum::<usize>() + self.output.parameters()
    }
}

fn embedding(config: &Config, named: &Named<'_>, at: usize, described: &Value, dtypes: &Dtypes) -> Result<Embedding> {
    let prefix = format!("embeddings.{at}.");
    let size = |key: &str| {
        let value = described.get(key).and_then(Value::as_u64).filter(|size| (1..=1 << 31).contains(size));
        value.map(|size| size as usize).ok_or_else(|| config.error(&format!("embeddings.{key}"), "a size", "none"))
    };
    let width = size("width")?;
    match described.get("kind").and_then(Value::as_str) {
        Some("words") => Ok(Embedding::Words(named.table(&format!("{prefix}weight"), width)?)),
        Some("characters") => {
            let characters = described.get("characters").and_then(Value::as_array).map_or(0, Vec::len);
            let inputs = size("character_width")?;
            let encoder = named.tensor(&format!("{prefix}encoder.weight"), &[characters, inputs])?;
            let direction = named.direction(&format!("{prefix}rnn."), "l0", inputs, width)?;
            let name = format!("{prefix}rnn");
            let dtype = dtypes.of(&name);
            CharacterModel::load(&name, dtype, encoder, direction, named.weights()).map(Embedding::Characters)
        }
        other => Err(config.error("embeddings.kind", "words or characters", other.unwrap_or("none"))),
    }
}

fn random_field(config: &Config, named: &Named<'_>) -> Result<RandomField> {
    let tags = config.labels.len();
    let end = |name: &str| {
        let place = config.labels.iter().position(|label| &**label == name);
        place.ok_or_else(|| config.error("id2label", name, "none"))
    };
    let mut transitions = Vec::new();
    named.tensor("crf.transitions", &[tags, tags])?.append_finite(&mut transitions)?;
    Ok(RandomField { transitions, start: end("<START>")?, stop: end("<STOP>")? })
}

/// What a language model reads of a sentence whose first word is in this row.
fn sentence(first: usize, track: Option<&Track>) -> Result<Sentence<'_>> {
    match track {
        Some(Track::Characters { ids, ends }) => Ok(Sentence { characters: ids, ends, first }),
        _ => Err(foreign()),
    }
}

/// A batch that was not made for this tagger.
fn foreign() -> Error {
    Error::Backend("internal error: a sentence without what an embedding reads".to_owned())
}
