module attributes {agent.passes = ["batch_calls"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {name = "all-minilm-l6-v2"}, entry = "embed:model", keyword = "model", name = "encoder", type = "embed.Encoder"} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text, %arg1: !agent.list_of<!agent.text>):
    %0 = "agent.open"() {id = "near.open.encoder", name = "encoder"} : () -> !agent.handle_of<"embed.Encoder">
    %1 = "agent.stage"(%0, %arg0) {binding = "asked", entry = "embed:embed", id = "near.embed", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "text"]} : (!agent.handle_of<"embed.Encoder">, !agent.text) -> !agent.list_of<!agent.float>
    %2 = "agent.stage"(%0, %arg1) {batch = {entry = "embed:embed", items = "texts", parameter = "text"}, entry = "embed:embed_all", id = "near.note.embed", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "texts"], variable = "note"} : (!agent.handle_of<"embed.Encoder">, !agent.list_of<!agent.text>) -> !agent.list_of<!agent.list_of<!agent.float>>
    %3 = "agent.positions"(%arg1) {id = "near.note.positions"} : (!agent.list_of<!agent.text>) -> !agent.list_of<!agent.int>
    %4 = "agent.map"(%3) ({
    ^bb0(%arg2: !agent.int):
      %5 = "agent.index"(%2, %arg2) {id = "near.note.embed.answer"} : (!agent.list_of<!agent.list_of<!agent.float>>, !agent.int) -> !agent.list_of<!agent.float>
      %6 = "agent.stage"(%1, %5) {entry = "list:cosine", id = "near.note.similarity", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["a", "b"]} : (!agent.list_of<!agent.float>, !agent.list_of<!agent.float>) -> !agent.float
      "agent.yield"(%6) {id = "near.note.yield"} : (!agent.float) -> ()
    }, {
    }) {at_most = 16 : i64, id = "near.map", variable = "note.at"} : (!agent.list_of<!agent.int>) -> !agent.list_of<!agent.float>
    "agent.return"(%4) {id = "near.return"} : (!agent.list_of<!agent.float>) -> ()
  }) {name = "near", parameters = [{name = "question", required = true, type = !agent.text}, {name = "notes", required = true, type = !agent.list_of<!agent.text>}], result = !agent.list_of<!agent.float>} : () -> ()
}
