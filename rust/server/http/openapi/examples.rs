//! Examples, of which the server's tests ask each.

use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};

/// An example with its name and what it shows.
type Named = (&'static str, &'static str, Value);

/// The bodies of a schema's name.
fn of(schema: &str) -> Vec<Named> {
    match schema {
        "Request" => vec![
            ("text", "A text", json!({ "inputs": "My name is Sarah Jessica Parker" })),
            (
                "strategy",
                "Entities of several texts, by another strategy",
                json!({
                    "inputs": ["Call me Jessica", "I live in London"],
                    "parameters": { "aggregation_strategy": "first" },
                }),
            ),
            (
                "windows",
                "Entities of a long text, read in windows that share 16 tokens",
                json!({ "inputs": "My name is Sarah Jessica Parker", "parameters": { "stride": 16 } }),
            ),
            (
                "best",
                "The best label only",
                json!({ "inputs": "What a wonderful evening!", "parameters": { "top_k": 1 } }),
            ),
            (
                "pair",
                "How well two texts go together",
                json!({ "inputs": { "text": "Where is London?", "text_pair": "London lies on the Thames." } }),
            ),
        ],
        "Answer" => vec![
            (
                "entities",
                "Entities of a text",
                json!([{
                    "entity_group": "PER", "score": 0.963_374_376_296_997_1, "word": "Sarah Jessica Parker",
                    "start": 11, "end": 31,
                }]),
            ),
            (
                "tokens",
                "Tokens, by the strategy `none`",
                json!([{
                    "entity": "B-PER", "score": 0.964_774_608_612_060_5, "index": 3, "word": "Jessica",
                    "start": 8, "end": 15,
                }]),
            ),
            ("labels", "Labels of a text", json!([[{ "label": "positive", "score": 0.968_395_829_200_744_6 }]])),
        ],
        "Predict" => vec![
            ("text", "A text", json!({ "inputs": "What a wonderful evening!" })),
            ("pair", "A pair of texts", json!({ "inputs": ["Where is London?", "London lies on the Thames."] })),
            ("batch", "Several texts", json!({ "inputs": [["Fine."], ["The soup was cold."]], "raw_scores": true })),
        ],
        "Prediction" => {
            vec![("labels", "Labels of a text", json!([{ "score": 0.968_395_83, "label": "positive" }]))]
        }
        "Rerank" => vec![(
            "texts",
            "Two texts",
            json!({
                "query": "Where is London?",
                "texts": ["The soup was cold.", "London lies on the Thames."],
                "return_text": true,
            }),
        )],
        "Ranking" => vec![(
            "ranking",
            "The better one first",
            json!([
                { "index": 1, "text": "London lies on the Thames.", "score": 0.982_3 },
                { "index": 0, "text": "The soup was cold.", "score": 0.000_2 },
            ]),
        )],
        _ => Vec::new(),
    }
}

/// Those of a schema as the document has them, which sorts them by name.
pub(super) fn written(schema: &str) -> impl Iterator<Item = (String, Example)> {
    of(schema).into_iter().enumerate().map(|(index, (name, summary, value))| {
        (format!("{}-{name}", index + 1), ExampleBuilder::new().summary(summary).value(Some(value)).build())
    })
}
