"""One program with every construct of the language, line by line as the language's description names them.

It is about spelling alone: what it means need not make sense, and no test runs it.
"""

from __future__ import annotations

WHOLE = '''## The file: what it is for.
## A second line of it.
use std/llm
use std/http
use std/mcp
use std/process
use ./shop as shop
use ../shared/words as words
use std/search: index, reranker

## A record with a default, options, lists, maps, labels and units.
type Answer { text: Text, sources: [Text], sure: Float = 0.0 }

type Wide {
  note: Text?
  table: {Text: [Int]}
  secret_text: Text @pii @internal
  vector: Tensor[f32, 384]
  matrix: Tensor[bf16, rows, 384]
  many: [Text?]?
  stop: Bool = false
  wait: Duration = 250 ms
  worth: Money = $0.40
  room: Bytesize = 80 GiB
  speed: Bandwidth = 3.35 TB/s
  often: Rate = 4 per s
  heat: Energy = 2 Wh
  draw: Power = 1.5 kW
  length: Tokens = 8_000 tokens
  passage: search.Passage
  raw: Json
  sound: Audio
  key: Secret
}

type Index

enum Intent { Refund(order: Int, amount: Money), Question(topic: Text = "none"), Other }

enum Role {
  System
  User
}

let window  = 30
let limit   = 2 GiB / (1 GiB/s)
let prices  = [$0.50 per 1000 runs, $2.50 per h, 10 %, 1e-3, 200 Gbit/s]
let counted = 1_200 tokens per min

model writer  = llm.chat("smollm2-135m-instruct")
model encoder = embed.sentence("all-minilm-l6-v2", dtype: "fp8")

resource handbook = search.index("handbook/*.md", encoder: encoder)

memory notes = memory.session(limit: 8_000 tokens)

server web = mcp.stdio(["web-mcp"])

tool order(id: Int) -> Order = python("shop:order") effects [reads "orders"]
tool refund(id: Int, amount: Money) -> Receipt = python("shop:refund") effects [writes "payments"] idempotent by id
tool search(query: Text) -> [Text] = web("search") effects [network]
tool fetch(id: Int) -> Json = http.get("https://host/{id}", headers: {"Authorization": secret("KEY")}) effects [network]
tool post(id: Int) -> Json = http.post("https://host", body: {"id": id}) effects [network, spends $0.10, writes "logs"]
tool count(path: Text) -> Text = process.run(["wc", "-w", "{path}"]) effects [process]
tool nothing() -> Bool = python("shop:nothing") effects []

stage clean(raw: Text) -> Text = python("shop:clean") needs [cpu 2 ms, memory 10 MiB]
stage Model.chat(prompt: Text, max_tokens: Int = 256) -> stream Text = builtin("llm:chat")
stage lower(raw: Text) -> Text = builtin("text:lower")

## Everything that stands in a pipeline.
pipeline answer(question: Text @pii, top: Int = 8, slow: Duration = 2 s) -> stream Text {
  hits  = handbook.search(question, top: top)
  best  = hits |> judge.rerank(question, keep: 3) |> first()
  label = if sure > 0.8 { "yes" } else if sure > 0.4 and not (odd or even) { "perhaps" } else { "no" }
  route = match intent {
    Refund(order, _) => refund(order)
    Question         => faq(question)
    shop.Other       => {
      inner = f(1)
      inner
    }
    _ => escalate(question)
  }
  found = match maybe { none => 0, some(x) => x }
  notes = for hit in hits where hit.score > 0.2, at most 4 at once { summarise(hit.text) }
  plain = for hit in hits { hit }
  draft = repeat text = first, at most 3 times {
    verdict = critic(text)
    stop text when verdict.ok
    next improve(text, verdict.note)
  }
  quick = race {
    local(question)
    remote(question)
  }
  both   = race { local(question), remote(question) with timeout 1 s }
  safe   = remote(question) otherwise local(question)
  named  = remote(question) otherwise on timeout, denied local(question)
  intent = writer.chat("What is wanted?\\n{mail}") into Intent
  order  = raw as Order
  held   = buffered(remote(question))
  value  = all(reply)
  public = declassify(value)
  part   = table["key"]
  item   = hits[0].next
  table  = {"a": 1, "b": [1, 2], "c": {"d": true}}
  empty  = {}
  nobody = none
  maths  = -(1 + 2 * 3 - 4 / 5 % 6) + 250 ms / 1 s
  same   = a == b or a != b and a <= b or a >= b or a < b or text contains "x"
  kind   = Answer(text: "t", sources: [], sure: 1.0)
  talk   = past + [Message(role: User, text: question)]
  text   = """
    Braces {{ }}, a hole {text.join(facts, "; ")}, quotes "inside" and {f({"a": 1})["a"]}.
      Indented, \\u{1F600} and \\t.
    """
  heard = interruptible {
    ears.transcribe(turn)
  }
  careful = remote(question)
    with timeout 800 ms, idle 2 s, retry 2 backoff 50 ms, breaker 5 pause 30 s, hedge after 300 ms, rate 4 per s,
    cache 1 h, buffer 64 drop oldest, place on gpu, approve "Refund {amount}?"
  newest = remote(question) with buffer latest
  nested = f((g(x) with timeout slow, retry most), 3)
  chat   = writer.chat([talk], system: "Be brief.", max_tokens: 64, temperature: 0.2, seed: 1, stop: ["\\n"])
  notes.store(talk, value)
  emit chat
  return chat
}

agent support(question: Text) -> Answer {
  model  writer
  tools  [order, shop.refund, search]
  system "You answer questions about {window} days."
  at most 6 steps
}

goal answer {
  rate         4 per s
  assume {
    question 40 tokens
    intent.Refund 10 %
    best 3 items
    reply output 120 tokens
    find.hits 8 items
  }
  first_token  p95 <= 800 ms
  token_gap    p95 <= 60 ms
  finish       p99 <= 6 s
  cost         <= $0.40 per 1000 runs
  energy       <= 2 Wh per run
  keep         @pii on [onprem]
  soft         finish 10
  prefer       cheapest
}

fleet lab {
  tier gpu   = catalog.h100 { count 0..8 }
  tier cpu   = catalog.laptop
  tier cloud = endpoint(secret("REMOTE_URL")) {
    serves ["gpt-oss-120b"]
    price $0.60 per 1_000_000 tokens
    first_token 400 ms
    rate 20 per s
  }
  link gpu <-> cpu 200 Gbit/s, 10 us
  link * <-> * 400 Gbit/s, 5 us
}

test "window" {
  given order(1) = Order(id: 1, paid: $3.00)
  given writer.chat = "thirty days"
  given nothing() = true
  given = 3
  expect all(answer("How long?")) contains "30 days"
  expect given == 3
}
'''
