//! The dialect of text-embeddings-inference: `POST /predict` and `POST /rerank`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::App;
use super::body;
use super::hosted::{Ask, Form, Leading, characters};
use super::hub::{self, Names};
use super::models::{Served, Service};
use super::problem::{Dialect, Problem};
use super::reply::{self, Facts, Gathered, Shape};
use crate::engine::{News, Terms};
use crate::error::Error;
use crate::pipeline::{Lead, TextClassification};
use crate::types::{Function, Input, TextClassificationOptions, Truncation};

const DIALECT: Dialect = Dialect::Tei;

/// A body of `/predict`.
#[derive(Deserialize, ToSchema)]
pub(super) struct Predict {
    /// What is to be answered.
    inputs: Inputs,
    #[serde(flatten)]
    #[schema(inline)]
    how: How,
}

/// What either body may say about texts and scores.
#[derive(Deserialize, ToSchema)]
pub(super) struct How {
    /// Whether a long text is cut (true) or refused (false); the server's default if absent.
    #[serde(default)]
    truncate: Option<bool>,
    /// Which end is cut: `Left` or `Right`.
    #[serde(default)]
    #[schema(pattern = "^([Ll]eft|[Rr]ight)$")]
    truncation_direction: Option<String>,
    /// Whether scores are the logits as they are, and no probabilities.
    #[serde(default)]
    raw_scores: bool,
}

/// A text, a list of one or two texts that go together, or a list of such lists. No first text is empty.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = PredictInputs)]
pub(super) enum Inputs {
    One(String),
    Pair(Vec<String>),
    Batch(Vec<Vec<String>>),
}

/// A body of `/rerank`.
#[derive(Deserialize, ToSchema)]
pub(super) struct Rerank {
    /// What the texts shall answer.
    #[schema(min_length = 1)]
    query: String,
    /// At least one.
    #[schema(min_items = 1)]
    texts: Vec<String>,
    /// Whether the texts are repeated in the answer.
    #[serde(default)]
    return_text: bool,
    #[serde(flatten)]
    #[schema(inline)]
    how: How,
}

/// A place of a ranking.
#[derive(Serialize)]
struct Place<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    score: &'a RawValue,
}

/// Labels of a text, a pair or several of them.
pub(super) async fn predict(State(app): State<Arc<App>>, names: Names, request: Request) -> Result<Response, Problem> {
    if app.config.predict_is_hub {
        return hub::answer(State(app), names, request).await;
    }
    let started = Instant::now();
    let (served, cache, body): (_, _, Predict) = receive(&app, request).await?;
    let service = text_model(&served)?;
    let (inputs, single) = body.inputs.read()?;
    let options = body.how.options(&app)?;
    let facts = Facts::new(&service.name, started, DIALECT, single, cache);
    let (gathered, facts) = compute(&app, service, inputs, options, Form::Tei, None, facts).await?;
    let written = reply::body(&gathered.answers, if single { Shape::Only } else { Shape::Each });
    Ok(reply::respond(written, facts, &[], service.sha.as_deref()))
}

/// Texts by how well they answer a query, best first.
pub(super) async fn rerank(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let started = Instant::now();
    let (served, cache, body): (_, _, Rerank) = receive(&app, request).await?;
    let service = text_model(&served)?;
    if service.host.model().pipeline.labels().len() != 1 {
        return Err(refused("The model has several labels: only one with a single label can order texts."));
    }
    if body.query.is_empty() || body.texts.is_empty() {
        return Err(empty(if body.query.is_empty() { "query" } else { "texts" }));
    }
    let mut options = body.how.options(&app)?;
    if !body.how.raw_scores {
        options.function_to_apply = Function::Sigmoid;
    }
    let query: Arc<str> = body.query.into();
    let pairs = body.texts.iter().map(|text| Input::from((Arc::clone(&query), text.as_str()))).collect();
    let facts = Facts::new(&service.name, started, DIALECT, false, cache);
    let lead = Arc::new(Lead::default());
    let (gathered, facts) = compute(&app, service, pairs, options, Form::Score, Some(&lead), facts).await?;
    let written = ranking(&gathered, body.return_text.then_some(&body.texts[..]));
    Ok(reply::respond(written.ok_or_else(|| Problem::backend(DIALECT))?, facts, &[], service.sha.as_deref()))
}

fn ranking(gathered: &Gathered, texts: Option<&[String]>) -> Option<String> {
    let score = |done: &reply::Answer| done.answer.get().parse::<f32>().ok();
    let scores: Vec<f32> = gathered.answers.iter().map(score).collect::<Option<_>>()?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a])); // stable: equal scores keep their order
    let place = |index: usize| Place {
        index,
        text: texts.map(|texts| texts[index].as_str()),
        score: &gathered.answers[index].answer,
    };
    serde_json::to_string(&order.into_iter().map(place).collect::<Vec<_>>()).ok()
}

/// The first model, once it is loaded, and the body.
async fn receive<B: DeserializeOwned + Send + 'static>(
    app: &App,
    request: Request,
) -> Result<(Arc<Served>, bool, B), Problem> {
    let slot = app.slot(None)?;
    body::media(request.headers())?;
    let cache = body::switch(request.headers(), "x-use-cache").unwrap_or(true);
    let waits = body::switch(request.headers(), "x-wait-for-model").unwrap_or(false);
    let bytes = body::bytes(request.into_body(), app.config.payload_limit).await?;
    let parse = move || {
        serde_json::from_slice::<serde_json::Value>(&bytes)
            .map_err(|error| Problem::validation(format_args!("broken JSON ({error})"), Dialect::Hub))
            // Serde's own words could quote a text.
            .and_then(|value| serde_json::from_value(value).map_err(|_| shape()))
    };
    let body = body::apart(0, parse).await?;
    let served = app.served(slot, if waits { app.config.wait_timeout } else { app.config.loading_hold }).await?;
    Ok((served, cache, body))
}

fn shape() -> Problem {
    let expected = "expected an object with inputs (a text, a list of one or two texts, or a list of such lists), or \
                    with query and texts, and perhaps truncate, truncation_direction, raw_scores and return_text";
    Problem::validation(expected, DIALECT)
}

fn text_model(served: &Served) -> Result<&Service<TextClassification>, Problem> {
    match served {
        Served::Text(service) => Ok(service),
        Served::Token(_) => Err(refused("The model is not for text classification.")),
    }
}

fn refused(message: &str) -> Problem {
    Problem::new(StatusCode::FAILED_DEPENDENCY, "Backend", message)
}

fn empty(what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "Empty", format!("`{what}` cannot be empty"))
}

impl How {
    fn options(&self, app: &App) -> Result<TextClassificationOptions, Problem> {
        let expected = |_: Error| Problem::validation("truncation_direction: expected Left or Right", DIALECT);
        let side = self.truncation_direction.as_deref().map(str::parse).transpose().map_err(expected)?;
        let cut = self.truncate.unwrap_or(app.config.auto_truncate);
        Ok(TextClassificationOptions {
            truncation: if cut { Truncation::LongestFirst } else { Truncation::DoNotTruncate },
            truncation_side: side,
            function_to_apply: if self.raw_scores { Function::None } else { Function::Default },
            ..TextClassificationOptions::default()
        })
    }
}

impl Inputs {
    /// What is to be answered, and whether it is one input.
    fn read(self) -> Result<(Vec<Input>, bool), Problem> {
        match self {
            Self::One(text) => Ok((vec![one(vec![text])?], true)),
            Self::Pair(texts) => Ok((vec![one(texts)?], true)),
            Self::Batch(lists) if lists.is_empty() => Err(empty("inputs")),
            Self::Batch(lists) => Ok((lists.into_iter().map(one).collect::<Result<_, _>>()?, false)),
        }
    }
}

fn one(mut texts: Vec<String>) -> Result<Input, Problem> {
    if texts.first().is_none_or(String::is_empty) {
        return Err(empty("inputs"));
    }
    match (texts.len(), texts.pop(), texts.pop()) {
        (1, Some(text), None) => Ok(text.into()),
        (2, Some(pair), Some(text)) => Ok((text, pair).into()),
        _ => Err(Problem::validation("inputs: expected a text or a pair of texts, got more than two", DIALECT)),
    }
}

async fn compute(
    app: &App,
    service: &Service<TextClassification>,
    inputs: Vec<Input>,
    options: TextClassificationOptions,
    form: Form,
    lead: Option<&Arc<Lead>>,
    mut facts: Facts,
) -> Result<(Gathered, Facts), Problem> {
    let (count, most) = (inputs.len(), app.config.max_client_batch_size);
    if count > most {
        let message = format!("batch size {count} > maximum allowed batch size {most}");
        return Err(Problem::validation(message, DIALECT));
    }
    facts.characters = inputs.iter().map(characters).sum();
    let deadline = facts.started + app.config.request_timeout;
    let options = Arc::new(options);
    let lead = || lead.map(Leading::of).unwrap_or_default();
    let asks = inputs.into_iter().map(|input| Ask { input, options: Arc::clone(&options), form, lead: lead() });
    let terms = Terms { deadline, cache: facts.cache, news: News::of(count) };
    let ticket = service.host.submit(asks, terms).map_err(Problem::refusal)?;
    let gathered = reply::gather(ticket, count, deadline, DIALECT).await?;
    let facts = facts.of(&gathered);
    Ok((gathered, facts))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use axum::body::Body;
    use http_body_util::BodyExt;
    use serde_json::json;
    use tower::ServiceExt;

    use super::super::{Config, Found, Resolver, Wanted, app};
    use super::*;

    #[tokio::test]
    async fn a_query_is_tokenized_once_for_all_documents() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models/bert-rerank");
        let server = App::new(Config::default(), vec!["m".to_owned()]).unwrap();
        let wanted = Wanted { id: "m".to_owned(), model: Some("m".to_owned()), ..Wanted::default() };
        let resolve: Resolver = Box::new(move |_, _| Ok(Found { folder: folder.clone(), sha: None }));
        server.load(&[wanted], &resolve).unwrap();
        let texts: Vec<String> = (0..30).map(|at| format!("{at} people live in London")).collect();
        let ask = async |texts: &[String]| -> Vec<serde_json::Value> {
            let body = json!({"query": "Who lives in London?", "texts": texts}).to_string();
            let request = Request::post("/rerank").header("content-type", "application/json");
            let request = request.header("x-use-cache", "false").body(Body::from(body)).unwrap();
            let response = app(&server).oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
        };
        let served = server.served(server.slot(None).unwrap(), Duration::ZERO).await.unwrap();
        let tokenized = || text_model(&served).unwrap().host.model().pipeline.tokenized_texts();
        let before = tokenized();
        let places = ask(&texts).await;
        assert_eq!(tokenized() - before, 1 + 30);
        for place in places.iter().step_by(7) {
            let text = &texts[place["index"].as_u64().unwrap() as usize];
            assert_eq!(ask(std::slice::from_ref(text)).await[0]["score"], place["score"], "{text}");
        }
    }
}
