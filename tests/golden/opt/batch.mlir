// passes: batch_calls
module attributes {agent.version = 1 : i64} {
  "agent.handle"() {arguments = {name = "all-minilm-l6-v2"}, entry = "embed:model", keyword = "model", name = "encoder", type = "embed.Encoder"} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text, %arg1: !agent.list_of<!agent.text>):
    %0 = "agent.open"() {id = "near.open.encoder", name = "encoder"} : () -> !agent.handle_of<"embed.Encoder">
    %1 = "agent.stage"(%0, %arg0) {binding = "asked", entry = "embed:embed", id = "near.embed", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "text"]} : (!agent.handle_of<"embed.Encoder">, !agent.text) -> !agent.list_of<!agent.float>
    %2 = "agent.map"(%arg1) ({
    ^bb0(%arg2: !agent.text):
      %3 = "agent.stage"(%0, %arg2) {entry = "embed:embed", id = "near.note.embed", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "text"]} : (!agent.handle_of<"embed.Encoder">, !agent.text) -> !agent.list_of<!agent.float>
      %4 = "agent.stage"(%1, %3) {entry = "list:cosine", id = "near.note.similarity", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["a", "b"]} : (!agent.list_of<!agent.float>, !agent.list_of<!agent.float>) -> !agent.float
      "agent.yield"(%4) {id = "near.note.yield"} : (!agent.float) -> ()
    }, {
    }) {at_most = 16 : i64, id = "near.map", variable = "note"} : (!agent.list_of<!agent.text>) -> !agent.list_of<!agent.float>
    "agent.return"(%2) {id = "near.return"} : (!agent.list_of<!agent.float>) -> ()
  }) {name = "near", parameters = [{name = "question", required = true, type = !agent.text}, {name = "notes", required = true, type = !agent.list_of<!agent.text>}], result = !agent.list_of<!agent.float>} : () -> ()
}
