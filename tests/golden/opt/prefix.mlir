// passes: split_llm,hoist_prefix{least=8 cost=16}
#loc3 = loc("review.agent":5:17 to :21)
#loc4 = loc("review.agent":5:29 to :38)
#loc6 = loc("review.agent":6:10 to 8:4)
module attributes {agent.passes = ["inline_pipelines"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {dtype = "", engine = "", name = "smollm2-135m-instruct"}, entry = "llm:model", keyword = "model", name = "writer", type = "llm.Model"} : () -> () loc(#loc1)
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text loc("review.agent":5:17 to :21), %arg1: !agent.list_of<!agent.text> loc("review.agent":5:29 to :38)):
    %0 = "agent.open"() {id = "review.open.writer", name = "writer"} : () -> !agent.handle_of<"llm.Model"> loc(#loc5)
    %1 = "agent.map"(%arg1) ({
    ^bb0(%arg2: !agent.text loc("review.agent":6:10 to 8:4)):
      %2 = "agent.template"(%arg0, %arg2) {id = "review.question.chat.prompt", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parts = ["Of this page:\0A", 0, "\0Asay: ", 1]} : (!agent.text, !agent.text) -> !agent.text loc(#loc7)
      %3 = "agent.constant"() {id = "review.question.chat.system", value = ""} : () -> !agent.text loc(#loc8)
      %4 = "agent.constant"() {id = "review.question.chat.max_tokens", value = 48 : i64} : () -> !agent.int loc(#loc9)
      %5 = "agent.constant"() {id = "review.question.chat.temperature", value = 0.000000e+00 : f64} : () -> !agent.float loc(#loc10)
      %6 = "agent.constant"() {id = "review.question.chat.seed", value = 0 : i64} : () -> !agent.int loc(#loc11)
      %7 = "agent.constant"() {id = "review.question.chat.stop", value = []} : () -> !agent.list_of<!agent.text> loc(#loc12)
      %8 = "agent.chat"(%0, %2, %3, %4, %5, %6, %7) {id = "review.question.chat", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, output = "review", parameters = ["self", "prompt", "system", "max_tokens", "temperature", "seed", "stop"]} : (!agent.handle_of<"llm.Model">, !agent.text, !agent.text, !agent.int, !agent.float, !agent.int, !agent.list_of<!agent.text>) -> !agent.stream_of<!agent.text> loc(#loc13)
      %9 = "agent.collect"(%8) {id = "review.question.collect"} : (!agent.stream_of<!agent.text>) -> !agent.text loc(#loc14)
      "agent.yield"(%9) {id = "review.question.yield"} : (!agent.text) -> () loc(#loc14)
    }, {
    }) {at_most = 16 : i64, id = "review.map", variable = "question"} : (!agent.list_of<!agent.text>) -> !agent.list_of<!agent.text> loc(#loc6)
    "agent.return"(%1) {id = "review.return"} : (!agent.list_of<!agent.text>) -> () loc(#loc6)
  }) {name = "review", parameters = [{name = "page", required = true, type = !agent.text}, {name = "questions", required = true, type = !agent.list_of<!agent.text>}], result = !agent.list_of<!agent.text>} : () -> () loc(#loc2)
} loc(#loc)
#loc = loc("review.agent":1:1)
#loc1 = loc("review.agent":3:7 to :13)
#loc2 = loc("review.agent":5:10 to :16)
#loc5 = loc("review.agent":7:9 to :15)
#loc7 = loc("review.agent":7:21 to :61)
#loc8 = loc("std/llm.agent":14:18 to :20)
#loc9 = loc("review.agent":7:75 to :77)
#loc10 = loc("std/llm.agent":16:24 to :27)
#loc11 = loc("std/llm.agent":17:15 to :16)
#loc12 = loc("std/llm.agent":18:18 to :20)
#loc13 = loc("review.agent":7:9 to :78)
#loc14 = loc("review.agent":7:5 to :79)
