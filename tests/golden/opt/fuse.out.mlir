module attributes {agent.passes = ["inline_pipelines", "fuse_stages", "annotate_demand"], agent.version = 1 : i64} {
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text, %arg1: !agent.int):
    %0 = "agent.fused"() ({
      %1 = "agent.stage"(%arg0) {demand = {cpu = "4e-06*question.tokens"}, entry = "text:redact", id = "answer.redact", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["text"], times = "1"} : (!agent.text) -> !agent.text
      %2 = "agent.stage"(%1) {binding = "clean", demand = {}, entry = "text:lower", id = "answer.lower", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["text"], times = "1"} : (!agent.text) -> !agent.text
      %3 = "agent.stage"(%2) {binding = "words", demand = {}, entry = "text:words", id = "answer.words", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["text"], times = "1"} : (!agent.text) -> !agent.list_of<!agent.text>
      %4 = "agent.constant"() {id = "answer.share.constant", times = "1", value = 1.000000e+00 : f64} : () -> !agent.float
      %5 = "agent.binary"(%4, %arg1) {binding = "share", id = "answer.share", operator = "/", times = "1"} : (!agent.float, !agent.int) -> !agent.float
      %6 = "agent.constant"() {id = "answer.join.separator", times = "1", value = ", "} : () -> !agent.text
      %7 = "agent.stage"(%3, %6) {demand = {cpu = "5e-08*words.item.tokens*words.items"}, entry = "text:join", id = "answer.join", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["texts", "separator"], times = "1"} : (!agent.list_of<!agent.text>, !agent.text) -> !agent.text
      %8 = "agent.template"(%7, %5) {id = "answer.template", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parts = [0, " ", 1], times = "1"} : (!agent.text, !agent.float) -> !agent.text
      "agent.yield"(%8) {id = "answer.template.fused.yield", times = "1"} : (!agent.text) -> ()
    }) {demand = {cpu = "4e-06*question.tokens + 5e-08*words.item.tokens*words.items"}, id = "answer.template.fused", times = "1"} : () -> !agent.text
    "agent.return"(%0) {id = "answer.return", times = "1"} : (!agent.text) -> ()
  }) {name = "answer", parameters = [{name = "question", required = true, type = !agent.text}, {name = "number", required = true, type = !agent.int}], result = !agent.text, sizes = [{basis = "assumed", default = "64", name = "question.tokens"}, {basis = "assumed", default = "64", name = "clean.tokens"}, {basis = "assumed", default = "8", name = "words.items"}, {basis = "assumed", default = "64", name = "words.item.tokens"}]} : () -> ()
}
