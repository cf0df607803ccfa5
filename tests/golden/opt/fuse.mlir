// passes: fuse_stages,annotate_demand
module attributes {agent.passes = ["inline_pipelines"], agent.version = 1 : i64} {
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text, %arg1: !agent.int):
    %0 = "agent.stage"(%arg0) {entry = "text:redact", id = "answer.redact", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["text"]} : (!agent.text) -> !agent.text
    %1 = "agent.stage"(%0) {binding = "clean", entry = "text:lower", id = "answer.lower", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["text"]} : (!agent.text) -> !agent.text
    %2 = "agent.stage"(%1) {binding = "words", entry = "text:words", id = "answer.words", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["text"]} : (!agent.text) -> !agent.list_of<!agent.text>
    %3 = "agent.constant"() {id = "answer.share.constant", value = 1.000000e+00 : f64} : () -> !agent.float
    %4 = "agent.binary"(%3, %arg1) {binding = "share", id = "answer.share", operator = "/"} : (!agent.float, !agent.int) -> !agent.float
    %5 = "agent.constant"() {id = "answer.join.separator", value = ", "} : () -> !agent.text
    %6 = "agent.stage"(%2, %5) {entry = "text:join", id = "answer.join", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["texts", "separator"]} : (!agent.list_of<!agent.text>, !agent.text) -> !agent.text
    %7 = "agent.template"(%6, %4) {id = "answer.template", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parts = [0, " ", 1]} : (!agent.text, !agent.float) -> !agent.text
    "agent.return"(%7) {id = "answer.return"} : (!agent.text) -> ()
  }) {name = "answer", parameters = [{name = "question", required = true, type = !agent.text}, {name = "number", required = true, type = !agent.int}], result = !agent.text} : () -> ()
}
